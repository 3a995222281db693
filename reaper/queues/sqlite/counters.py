"""The counters of the accounting, each in a row of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from reaper.core.model import Outcome
from reaper.queues.accounting import ACCEPTED, settled
from reaper.queues.history import Ended, slot_of
from reaper.queues.sqlite.schema import statements

SQL = statements("counters.sql")
_ENDED = json.dumps([settled(outcome) for outcome in Outcome])


def count(connection: sqlite3.Connection, name: str, more: int = 1) -> None:
    """Add to a counter."""
    connection.execute(SQL["count"], (more, name))


def count_each(connection: sqlite3.Connection, names: Sequence[str], more: int = 1) -> None:
    """Add the same to each of one to three counters."""
    last = names[-1]
    connection.execute(SQL["count_each"], (more, *names, last, last)[:4])


def count_history(connection: sqlite3.Connection, ended: Ended, now: float) -> None:
    """Add what was settled now to the history."""
    if ended.outcomes:
        slot = slot_of(now)
        counts = ended.counts(now)
        connection.executemany(SQL["count_history"], [(slot, str(name), number) for name, number in counts.items()])


def open_rows(connection: sqlite3.Connection) -> int:
    """Return how many rows are open, as `open_count` does of all counters: here in one step, which claims take."""
    (number,) = connection.execute(SQL["open"], (ACCEPTED, _ENDED)).fetchone()
    return int(number)


def counters(connection: sqlite3.Connection) -> dict[str, int]:
    """Return all counters."""
    return dict(connection.execute(SQL["all"]))

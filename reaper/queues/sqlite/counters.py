"""The counters of the accounting, each in a row of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from reaper.queues.history import Ended, slot_of
from reaper.queues.sqlite.schema import statements

SQL = statements("counters.sql")


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


def counters(connection: sqlite3.Connection) -> dict[str, int]:
    """Return all counters."""
    return dict(connection.execute(SQL["all"]))

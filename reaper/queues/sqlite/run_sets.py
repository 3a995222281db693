"""Run sets: row IDs in a table that only this connection sees, so that a read-only connection can have them too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from reaper.core.model import Outcome, SessionId
from reaper.queues.base import RunSet
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.counters import open_rows
from reaper.queues.sqlite.schema import statements
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.values import SetView

SMALL_SET = 5_000
"""Sets smaller than this, and than half of what is open, are searched row by row. Others are searched along the queue,
whose head they mostly are: a set of 4,900 alone in its ledger cost 42 us a session row by row, and 23 along it."""
SQL = statements("run_sets.sql")


@dataclass(slots=True, eq=False)
class SqliteRunSet:
    """A `RunSet` of an open ledger."""

    thread: LedgerThread
    clock: LedgerClock
    set_id: int

    async def include(self, session_ids: Sequence[SessionId]) -> None:
        named = json.dumps(list(session_ids))
        await self.thread.read(lambda connection: include(connection, self.set_id, named))

    async def include_due(self, limit: int | None = None) -> int:
        def include_due(connection: sqlite3.Connection) -> int:
            more = -1 if limit is None else max(0, limit - _size(connection, self.set_id))
            connection.execute(SQL["include_due"], {"set_id": self.set_id, "more": more, **self.clock.instants()})
            return _size(connection, self.set_id)

        return await self.thread.read(include_due)

    async def ids(self) -> AsyncIterator[SessionId]:
        after = -1
        while True:
            page = await self.thread.read(partial(_page, set_id=self.set_id, after=after))
            for _, session_id in page:
                yield SessionId(session_id)
            if not page:
                return
            after = page[-1][0]

    async def view(self) -> SetView:
        def view(connection: sqlite3.Connection) -> SetView:
            rows = connection.execute(SQL["view"], {"set_id": self.set_id, **self.clock.instants()})
            found = list(rows)
            return SetView.of_counts({row[0]: row[1] for row in found}, {row[0]: row[2] for row in found})

        return await self.thread.read(view)

    async def settled_before(self, at: float) -> dict[Outcome, int]:
        def count(connection: sqlite3.Connection) -> dict[Outcome, int]:
            rows = connection.execute(SQL["settled_before"], {"set_id": self.set_id, "at": at})
            return {Outcome(outcome): number for outcome, number in rows}

        return await self.thread.read(count)

    async def next_at(self) -> float | None:
        def next_at(connection: sqlite3.Connection) -> float | None:
            values = {"set_id": self.set_id, **self.clock.instants()}
            if is_small(connection, self.set_id):
                (at,) = connection.execute(SQL["next_of_small"], values).fetchone()
                return None if at is None else float(at)
            found = [
                connection.execute(SQL["next_of_large"], {**values, "retry": retry, "kind": kind}).fetchone()
                for retry in (0, 1)
                for kind in (0, 1)
            ]
            found.append(connection.execute(SQL["next_lease_of_large"], values).fetchone())
            return min((row[0] for row in found if row is not None), default=None)

        return await self.thread.read(next_at)


def include(connection: sqlite3.Connection, set_id: int, session_ids: str) -> None:
    """Add the rows of these IDs, a JSON array, to a set."""
    connection.execute(SQL["include"], (set_id, session_ids))


def own_set_id(run_set: RunSet, thread: LedgerThread) -> int:
    """Return the number of a set of this ledger. Raises TypeError for a set of another queue."""
    if not isinstance(run_set, SqliteRunSet) or run_set.thread is not thread:
        raise TypeError("a run set belongs to the queue that made it")
    return run_set.set_id


def is_small(connection: sqlite3.Connection, set_id: int) -> bool:
    """Return whether a set is to be searched row by row, without counting a large one."""
    few = min(SMALL_SET, open_rows(connection) // 2)
    return connection.execute(SQL["has_more_than"], (set_id, max(few - 1, 0))).fetchone() is None


def _page(connection: sqlite3.Connection, *, set_id: int, after: int) -> list[tuple[int, str]]:
    return connection.execute(SQL["page"], (set_id, after)).fetchall()


def _size(connection: sqlite3.Connection, set_id: int) -> int:
    (number,) = connection.execute(SQL["size"], (set_id,)).fetchone()
    return int(number)

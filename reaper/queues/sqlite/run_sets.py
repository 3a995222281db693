"""Run sets: row IDs in a table that only this connection sees, so that a read-only connection can have them too."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from reaper.core.model import SessionId
from reaper.queues.base import RunSet
from reaper.queues.sqlite.schema import statements
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.values import SetView

SMALL_SET = 5_000
"""Sets smaller than this are searched row by row; larger ones along the queue, whose head they mostly are."""
SQL = statements("run_sets.sql")


@dataclass(slots=True, eq=False)
class SqliteRunSet:
    """A `RunSet` of an open ledger."""

    thread: LedgerThread
    now: Callable[[], float]
    set_id: int

    async def include_due(self, limit: int | None = None) -> int:
        def include(connection: sqlite3.Connection) -> int:
            more = -1 if limit is None else max(0, limit - _size(connection, self.set_id))
            connection.execute(SQL["include_due"], {"set_id": self.set_id, "now": self.now(), "more": more})
            return _size(connection, self.set_id)

        return await self.thread.read(include)

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
            counts: dict[str, int] = dict(connection.execute(SQL["view"], {"set_id": self.set_id, "now": self.now()}))
            return SetView.of_counts(counts)

        return await self.thread.read(view)

    async def next_at(self) -> float | None:
        def next_at(connection: sqlite3.Connection) -> float | None:
            now = self.now()
            if is_small(connection, self.set_id):
                (at,) = connection.execute(SQL["next_of_small"], {"set_id": self.set_id, "now": now}).fetchone()
                return None if at is None else float(at)
            found = [
                row[0]
                for retry, until in ((0, now), (1, float("inf")))
                for row in connection.execute(
                    SQL["next_of_large"], {"set_id": self.set_id, "retry": retry, "until": until}
                )
            ]
            return min(found, default=None)

        return await self.thread.read(next_at)


def own_set_id(run_set: RunSet, thread: LedgerThread) -> int:
    """Return the number of a set of this ledger. Raises TypeError for a set of another queue."""
    if not isinstance(run_set, SqliteRunSet) or run_set.thread is not thread:
        raise TypeError("a run set belongs to the queue that made it")
    return run_set.set_id


def is_small(connection: sqlite3.Connection, set_id: int) -> bool:
    """Return whether a set has fewer than `SMALL_SET` IDs, without counting a large one."""
    return connection.execute(SQL["has_more_than"], (set_id, SMALL_SET - 1)).fetchone() is None


def _page(connection: sqlite3.Connection, *, set_id: int, after: int) -> list[tuple[int, str]]:
    return connection.execute(SQL["page"], (set_id, after)).fetchall()


def _size(connection: sqlite3.Connection, set_id: int) -> int:
    (number,) = connection.execute(SQL["size"], (set_id,)).fetchone()
    return int(number)

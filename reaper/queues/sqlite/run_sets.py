"""Run sets: row IDs in a table that only this connection sees, so that a reading one can have them too."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from reaper.core.model import Outcome, SessionId
from reaper.queues.sqlite.claims import SMALL_SET
from reaper.queues.sqlite.schema import AT
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.values import SetView

_STATE = f"""
CASE WHEN outcome IS NOT NULL THEN outcome WHEN {AT} <= :now THEN '+ready' WHEN lease_until IS NOT NULL
THEN '+in_flight' WHEN sends > 0 THEN '+retrying' ELSE '+delayed' END
"""
_VIEW = f"""
SELECT {_STATE} AS state, count(*) FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = :set_id GROUP BY state
"""
_INCLUDE = f"""
INSERT OR IGNORE INTO temp.member (set_id, id)
SELECT :set_id, id FROM (
    SELECT id, {AT} AS at FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = 0 AND {AT} <= :now
    UNION ALL
    SELECT id, {AT} AS at FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = 1
        AND ({AT} <= :now OR lease_until IS NOT NULL)
) AS due WHERE NOT EXISTS (SELECT 1 FROM temp.member WHERE set_id = :set_id AND member.id = due.id)
ORDER BY at, id LIMIT :more
"""
_NEXT_OF_SMALL = f"""
SELECT min({AT}) FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = :set_id AND outcome IS NULL AND (sends > 0 OR {AT} <= :now)
"""
_NEXT_OF_LARGE = f"""
SELECT {AT} FROM item INDEXED BY item_open CROSS JOIN temp.member ON set_id = :set_id AND member.id = item.id
WHERE outcome IS NULL AND (sends > 0) = :retry AND {AT} <= :until ORDER BY {AT} LIMIT 1
"""


@dataclass(slots=True, eq=False)
class SqliteRunSet:
    """The IDs that one `once` is responsible for; see `reaper.queues.base.RunSet`."""

    thread: LedgerThread
    now: Callable[[], float]
    set_id: int

    async def include_due(self, limit: int | None = None) -> int:
        """Take in what is open and due, in flight included, until the set has `limit` IDs; return its size."""

        def include(connection: sqlite3.Connection) -> int:
            more = -1 if limit is None else max(0, limit - size(connection, self.set_id))
            connection.execute(_INCLUDE, {"set_id": self.set_id, "now": self.now(), "more": more})
            return size(connection, self.set_id)

        return await self.thread.read(include)

    async def ids(self) -> AsyncIterator[SessionId]:
        """Yield the IDs of the set, in the order they were taken in, a page at a time."""
        after = -1
        while True:
            page = await self.thread.read(partial(_page, set_id=self.set_id, after=after))
            for _, session_id in page:
                yield SessionId(session_id)
            if not page:
                return
            after = page[-1][0]

    async def view(self) -> SetView:
        """Count the set by state and outcome."""

        def view(connection: sqlite3.Connection) -> SetView:
            counts = dict(connection.execute(_VIEW, {"set_id": self.set_id, "now": self.now()}))
            ready, delayed, retrying, in_flight = (
                counts.pop(f"+{state}", 0) for state in ("ready", "delayed", "retrying", "in_flight")
            )
            settled = {Outcome(name): number for name, number in counts.items()}
            return SetView(ready, delayed, retrying, in_flight, settled)

        return await self.thread.read(view)

    async def next_at(self) -> float | None:
        """Return when the next open ID of the set can be claimed, delayed ones aside."""

        def next_at(connection: sqlite3.Connection) -> float | None:
            now = self.now()
            if is_small(connection, self.set_id):
                (at,) = connection.execute(_NEXT_OF_SMALL, {"set_id": self.set_id, "now": now}).fetchone()
                return None if at is None else float(at)
            found = [
                row[0]
                for retry, until in ((0, now), (1, float("inf")))
                for row in connection.execute(_NEXT_OF_LARGE, {"set_id": self.set_id, "retry": retry, "until": until})
            ]
            return min(found, default=None)

        return await self.thread.read(next_at)


def _page(connection: sqlite3.Connection, *, set_id: int, after: int) -> list[tuple[int, str]]:
    return connection.execute(
        "SELECT member.id, session_id FROM temp.member CROSS JOIN item ON item.id = member.id"
        " WHERE set_id = ? AND member.id > ? ORDER BY member.id LIMIT 1000",
        (set_id, after),
    ).fetchall()


def size(connection: sqlite3.Connection, set_id: int) -> int:
    """Return how many IDs a set has."""
    (number,) = connection.execute("SELECT count(*) FROM temp.member WHERE set_id = ?", (set_id,)).fetchone()
    return int(number)


def is_small(connection: sqlite3.Connection, set_id: int) -> bool:
    """Tell whether a set has fewer than `SMALL_SET` IDs, without counting a large one."""
    found = connection.execute(
        "SELECT 1 FROM temp.member WHERE set_id = ? LIMIT 1 OFFSET ?", (set_id, SMALL_SET - 1)
    ).fetchone()
    return found is None

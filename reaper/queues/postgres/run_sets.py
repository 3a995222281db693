"""Run sets: row IDs in a table, under a name of the process's own. A process that only reads keeps them itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from reaper.core.model import Outcome, SessionId
from reaper.queues.postgres.connection import BatchedConnection, Connection, Work
from reaper.queues.postgres.rows import all_rows
from reaper.queues.postgres.schema import AT, NOW, epoch
from reaper.queues.values import SetView

PAGE = 1_000

_DUE = f"""
SELECT id FROM reaper_session s WHERE outcome IS NULL AND ({AT} <= {NOW} OR lease_until IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM %MEMBERS% m WHERE m.id = s.id) ORDER BY {AT}, id LIMIT %(more)s
"""
_INCLUDE = f"INSERT INTO reaper_member (set_id, id) SELECT %(set_id)s, id FROM ({_DUE}) AS due ON CONFLICT DO NOTHING"
_VIEW = f"""
SELECT coalesce(jsonb_object_agg(state, number), '{{}}') FROM (
    SELECT CASE WHEN outcome IS NOT NULL THEN outcome WHEN {AT} <= {NOW} THEN '+ready'
        WHEN lease_until IS NOT NULL THEN '+in_flight' WHEN sends > 0 THEN '+retrying' ELSE '+delayed' END AS state,
        count(*) AS number
    FROM %MEMBERS% m JOIN reaper_session USING (id) GROUP BY state
) AS states
"""
_NEXT = f"""
SELECT {epoch(f"min({AT})")} FROM %MEMBERS% m JOIN reaper_session USING (id)
WHERE outcome IS NULL AND (sends > 0 OR {AT} <= {NOW})
"""
_PAGE = f"""
SELECT id, session_id FROM %MEMBERS% m JOIN reaper_session USING (id) WHERE id > %(after)s ORDER BY id LIMIT {PAGE}
"""
_IN_TABLE = "(SELECT id FROM reaper_member WHERE set_id = %(set_id)s)"
_IN_HAND = "(SELECT unnest(%(ids)s::bigint[]) AS id)"


@dataclass(slots=True, eq=False)
class PostgresRunSet:
    """The IDs that one `once` is responsible for; see `reaper.queues.base.RunSet`."""

    set_id: str
    reads: BatchedConnection[Work]
    write: Callable[[PostgresRunSet, Work], Awaitable[Any]]
    now: Callable[[], float | None]
    read_only: bool
    size: int = 0
    registered: bool = False
    ids_in_hand: list[int] = field(default_factory=list)

    async def register(self, connection: Connection, owner: str) -> None:
        """Let the set be known as its owner's, so that it goes with it."""
        await connection.execute(
            "INSERT INTO reaper_set (set_id, owner) VALUES (%s, %s) ON CONFLICT DO NOTHING", (self.set_id, owner)
        )
        self.registered = True

    async def include_due(self, limit: int | None = None) -> int:
        """Take in what is open and due, in flight included, until the set has `limit` IDs; return its size."""

        async def include(connection: Connection) -> int:
            more = None if limit is None else max(0, limit - self.size)
            if self.read_only:
                rows = await all_rows(connection, self._of(_DUE), self._params(more=more))
                self.ids_in_hand += [row[0] for row in rows]
                self.size = len(self.ids_in_hand)
            else:
                self.size += (await connection.execute(self._of(_INCLUDE), self._params(more=more))).rowcount
            return self.size

        return int(await (self.reads.ask(include) if self.read_only else self.write(self, include)))

    async def ids(self) -> AsyncIterator[SessionId]:
        """Yield the IDs of the set, in the order they were taken in, a page at a time."""
        after = -1
        while True:
            page = await self._ask(_PAGE, after=after)
            for _, session_id in page:
                yield SessionId(session_id)
            if len(page) < PAGE:
                return
            after = page[-1][0]

    async def view(self) -> SetView:
        """Count the set by state and outcome."""
        ((counts,),) = await self._ask(_VIEW)
        ready, delayed, retrying, in_flight = (
            counts.pop(f"+{state}", 0) for state in ("ready", "delayed", "retrying", "in_flight")
        )
        settled = {Outcome(name): number for name, number in counts.items()}
        return SetView(ready, delayed, retrying, in_flight, settled)

    async def next_at(self) -> float | None:
        """Return when the next open ID of the set can be claimed, delayed ones aside."""
        ((at,),) = await self._ask(_NEXT)
        return None if at is None else float(at)

    async def _ask(self, query: str, **more: object) -> list[tuple[Any, ...]]:
        async def read(connection: Connection) -> list[tuple[Any, ...]]:
            return await all_rows(connection, self._of(query), self._params(**more))

        rows: list[tuple[Any, ...]] = await self.reads.ask(read)
        return rows

    def _of(self, query: str) -> str:
        return query.replace("%MEMBERS%", _IN_HAND if self.read_only else _IN_TABLE)

    def _params(self, **more: object) -> dict[str, object]:
        return {"set_id": self.set_id, "ids": self.ids_in_hand, "now": self.now(), **more}

"""Reads the ledger: rows, heartbeats, figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from reaper.core.errors import QueueError
from reaper.core.model import DEAD, Audit, Item, Outcome, SessionId, Stats, WorkerHeartbeat
from reaper.queues.postgres import audit, rows
from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.database import Database, Row, fetch
from reaper.queues.postgres.statements import load
from reaper.queues.values import pause_of

PAGE = 500
"""Rows of `outcomes` in memory at a time."""
HEARTBEAT_LIFE_S = 20.0
"""A worker whose last heartbeat is older is not reported: it sends one every 5 s."""
_SQL = load("reader.sql")


@dataclass(slots=True, eq=False)
class PostgresReader:
    """The reading port of one open queue."""

    database: Database
    now: Callable[[], float]

    async def show(self, session_id: SessionId) -> Item | None:
        found = await self.database.fetch(_SQL["show"], session_id=rows.clean(session_id))
        return rows.item(found[0]) if found else None

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        found = await self.database.fetch(_SQL["outcomes_of"], ids=[rows.clean(each) for each in session_ids])
        return {SessionId(name): None if outcome is None else Outcome(outcome) for name, outcome in found}

    async def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]:
        chosen = frozenset(Outcome) if only is None else only
        at, place = since, -1
        while True:
            page = await self._settled_page(at, place, chosen)
            for _, _, row in page:
                yield rows.item(row)
            if len(page) < PAGE:
                return
            at, place, _ = page[-1]

    async def _settled_page(
        self, at: float | None, place: int, only: frozenset[Outcome]
    ) -> list[tuple[float, int, Row]]:
        """Return a page of settled rows after (settled_at, id), each with its own such place."""
        wanted = [outcome.value for outcome in only]
        params = self.database.params(at=at, id=place, only=wanted, limit=PAGE)

        async def read(connection: Connection) -> list[Row]:
            found = await fetch(connection, _SQL["dead_page"], params) if only & DEAD else []
            return found + (await fetch(connection, _SQL["done_page"], params) if only - DEAD else [])

        return sorted((row[12], row[17], row) for row in await self.database.read(read))[:PAGE]

    async def retrying(self, limit: int) -> list[Item]:
        return [rows.item(row) for row in await self.database.fetch(_SQL["retrying"], limit=limit)]

    async def live_workers(self) -> list[WorkerHeartbeat]:
        found = await self.database.fetch(_SQL["live_workers"], life_s=HEARTBEAT_LIFE_S)
        return [
            WorkerHeartbeat(owner, pid, started_at, sent_at, limit, tuple(map(pause_of, pauses)))
            for owner, pid, started_at, sent_at, limit, pauses in found
        ]

    async def stats(self) -> Stats:
        return await audit.stats(self.database)

    async def audit(self) -> Audit:
        return await audit.audit(self.database)

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in PostgreSQL cannot be copied to a file from here: use pg_dump")

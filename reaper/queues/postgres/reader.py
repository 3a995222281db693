"""Reads the ledger: rows, heartbeats, figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from reaper.core.errors import QueueError
from reaper.core.model import Audit, Item, LeaseHolder, Outcome, SessionId, State, Stats, WorkerHeartbeat
from reaper.queues.history import HistorySlot, slot_of, slots
from reaper.queues.postgres import audit, rows
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.selection import PostgresSelection
from reaper.queues.postgres.statements import load
from reaper.queues.selection import Selection, settled
from reaper.queues.values import KeptInvalidLine, pause_of

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

    def outcomes(self, *, since: float | None = None, only: frozenset[Outcome] | None = None) -> AsyncIterator[Item]:
        return self.select(settled(since, only))

    def select(self, selection: Selection) -> AsyncIterator[Item]:
        return PostgresSelection(self.database, selection, self.now()).select()

    async def count(self, selection: Selection) -> dict[State | Outcome, int]:
        return await PostgresSelection(self.database, selection, self.now()).count()

    async def retrying(self, limit: int) -> list[Item]:
        return [rows.item(row) for row in await self.database.fetch(_SQL["retrying"], limit=limit)]

    async def invalid_lines(self) -> list[KeptInvalidLine]:
        return [KeptInvalidLine(*row) for row in await self.database.fetch(_SQL["invalid_lines"])]

    async def live_workers(self) -> list[WorkerHeartbeat]:
        found = await self.database.fetch(_SQL["live_workers"], life_s=HEARTBEAT_LIFE_S)
        return [
            WorkerHeartbeat(owner, pid, started_at, sent_at, limit, tuple(map(pause_of, pauses)))
            for owner, pid, started_at, sent_at, limit, pauses in found
        ]

    async def lease_holders(self) -> list[LeaseHolder]:
        return [LeaseHolder(*row) for row in await self.database.fetch(_SQL["lease_holders"])]

    async def stats(self) -> Stats:
        return await audit.stats(self.database)

    async def history(self, since: float) -> list[HistorySlot]:
        return slots(await self.database.fetch(_SQL["history"], first=slot_of(since)))

    async def audit(self) -> Audit:
        return await audit.audit(self.database)

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in PostgreSQL cannot be copied to a file from here: use pg_dump")

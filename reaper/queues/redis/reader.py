"""Reads the ledger: rows, heartbeats, figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from reaper.core.errors import QueueError
from reaper.core.model import Audit, Item, LeaseHolder, Outcome, SessionId, State, Stats, WorkerHeartbeat
from reaper.queues.history import HistorySlot, slot_of, slots
from reaper.queues.redis import audit, rows
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.scripts import load
from reaper.queues.redis.selection import RedisSelection
from reaper.queues.selection import Selection, settled
from reaper.queues.values import KeptInvalidLine

PAGE = 1_000
HEARTBEAT_LIFE_S = 20.0
"""A worker whose last heartbeat is older is not reported: it sends one every 5 s."""
_SHOW, _OUTCOMES_OF, _RETRYING = load("show"), load("outcomes_of"), load("retrying")
_INVALID_LINES, _HISTORY = load("invalid_lines"), load("history")
_HEARTBEATS, _HOLDERS = load("heartbeats"), load("lease_holders")


@dataclass(slots=True, eq=False)
class RedisReader:
    """The reading port of one open queue."""

    connection: RedisConnection
    now: Callable[[], float]

    async def show(self, session_id: SessionId) -> Item | None:
        now, flat, source = await self.connection.run_shielded(self.connection.run(_SHOW, session_id))
        return rows.item(session_id, flat, source, float(now))

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        found: dict[SessionId, Outcome | None] = {}
        for start in range(0, len(session_ids), PAGE):
            asked = session_ids[start : start + PAGE]
            answers = await self.connection.run_shielded(self.connection.run(_OUTCOMES_OF, *asked))
            known = zip(asked, answers, strict=True)
            found |= {name: Outcome(outcome) if outcome else None for name, outcome in known if outcome is not None}
        return found

    def outcomes(self, *, since: float | None = None, only: frozenset[Outcome] | None = None) -> AsyncIterator[Item]:
        return self.select(settled(since, only))

    def select(self, selection: Selection) -> AsyncIterator[Item]:
        return RedisSelection(self.connection, selection, self.now()).select()

    async def count(self, selection: Selection) -> dict[State | Outcome, int]:
        return await RedisSelection(self.connection, selection, self.now()).count()

    async def retrying(self, limit: int) -> list[Item]:
        now, found = await self.connection.run_shielded(self.connection.run(_RETRYING, limit))
        items = (rows.item(SessionId(name), flat, source, float(now)) for name, flat, source in found)
        return [item for item in items if item is not None]

    async def invalid_lines(self) -> list[KeptInvalidLine]:
        newest_first = await self.connection.run_shielded(self.connection.run(_INVALID_LINES))
        return [rows.kept_invalid(text) for text in reversed(newest_first)]

    async def live_workers(self) -> list[WorkerHeartbeat]:
        found = await self.connection.run_shielded(self.connection.run(_HEARTBEATS, HEARTBEAT_LIFE_S))
        return sorted((rows.heartbeat(*one) for one in found), key=lambda one: (one.started_at, one.owner))

    async def lease_holders(self) -> list[LeaseHolder]:
        found = await self.connection.run_shielded(self.connection.run(_HOLDERS))
        return [LeaseHolder(owner, in_flight, float(until)) for owner, in_flight, until in found]

    async def stats(self) -> Stats:
        return await self.connection.run_shielded(audit.stats(self.connection))

    async def history(self, since: float) -> list[HistorySlot]:
        found = await self.connection.run_shielded(self.connection.run(_HISTORY, slot_of(since)))
        return slots((slot, name, int(number)) for slot, flat in found for name, number in rows.pairs(flat).items())

    async def audit(self) -> Audit:
        return await self.connection.run_shielded(audit.audit(self.connection))

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in Redis cannot be copied to a file: back up the server's append-only file instead")

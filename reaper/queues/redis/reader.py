"""Reads the ledger: rows, heartbeats, figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from reaper.core.errors import QueueError
from reaper.core.model import Audit, Item, Outcome, SessionId, Stats, WorkerHeartbeat
from reaper.queues.redis import audit, rows
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.scripts import load

PAGE = 1_000
ROWS = 500
"""Settled rows in memory at a time."""
HEARTBEAT_LIFE_S = 20.0
"""A worker whose last heartbeat is older is not reported: it sends one every 5 s."""
_SHOW, _OUTCOMES_OF, _SETTLED, _RETRYING = load("show"), load("outcomes_of"), load("settled"), load("retrying")
_HEARTBEATS = load("heartbeats")


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

    async def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]:
        score, place = ("", 0) if since is None else (repr(since), -1)
        chosen = sorted(Outcome if only is None else only)
        while True:
            work = self.connection.run(_SETTLED, score, place, ROWS, *chosen)
            now, page = await self.connection.run_shielded(work)
            for session_id, _, _, flat, source in page:
                if (item := rows.item(SessionId(session_id), flat, source, float(now))) is not None:
                    yield item
            if len(page) < ROWS:
                return
            _, score, place, _, _ = page[-1]

    async def retrying(self, limit: int) -> list[Item]:
        now, found = await self.connection.run_shielded(self.connection.run(_RETRYING, limit))
        items = (rows.item(SessionId(name), flat, source, float(now)) for name, flat, source in found)
        return [item for item in items if item is not None]

    async def live_workers(self) -> list[WorkerHeartbeat]:
        found = await self.connection.run_shielded(self.connection.run(_HEARTBEATS, HEARTBEAT_LIFE_S))
        return sorted((rows.heartbeat(*one) for one in found), key=lambda one: (one.started_at, one.owner))

    async def stats(self) -> Stats:
        return await self.connection.run_shielded(audit.stats(self.connection))

    async def audit(self) -> Audit:
        return await self.connection.run_shielded(audit.audit(self.connection))

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in Redis cannot be copied to a file: back up the server's append-only file instead")

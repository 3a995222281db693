"""The upkeep of the queue: release, prune, heartbeats."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from reaper.core.model import DEAD, Outcome, Pause
from reaper.queues.redis import rows
from reaper.queues.redis.claims import Claims
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.run_sets import KEPT_S
from reaper.queues.redis.scripts import load

MAX_PRUNED = 1_000
"""Rows that one call deletes at most, so that no other script waits for long."""
_HEARTBEAT_KEPT_S = 3_600.0
_PRUNED = ",".join(outcome for outcome in Outcome if outcome not in DEAD)
_MAINTAIN, _HEARTBEAT, _DEREGISTER = load("maintain"), load("heartbeat"), load("deregister")


@dataclass(slots=True, eq=False)
class Maintenance:
    """The upkeep that one open queue does. `started_at` is the server's time when it was opened."""

    connection: RedisConnection
    inbox: Inbox | None
    claims: Claims
    started_at: float
    registered: bool = False

    async def maintain(self, keep_settled_s: float) -> int:
        self.connection.refuse_read_only()
        return await self.connection.run_shielded(self._maintain(keep_settled_s))

    async def _maintain(self, keep_settled_s: float) -> int:
        released, unread = await self.connection.run(
            _MAINTAIN, keep_settled_s, MAX_PRUNED, _HEARTBEAT_KEPT_S, KEPT_S, _PRUNED, *self.claims.sets
        )
        if unread and self.inbox is not None:
            await self.inbox.drain()
        return int(released)

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        self.connection.refuse_read_only()
        self.registered = True
        text = rows.heartbeat_text(os.getpid(), self.started_at, limit, pauses)
        await self.connection.run_shielded(self.connection.run(_HEARTBEAT, self.claims.owner, text))

    async def deregister(self) -> None:
        """Remove this process's heartbeat and sets; the next `maintain` releases its leases."""
        claims = self.claims
        if self.registered or claims.claims or claims.sets:
            await self.connection.run(_DEREGISTER, claims.owner, int(claims.claims > 0), *claims.sets)

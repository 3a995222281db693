"""Leases out, results in, and the upkeep beside them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from reaper.core.errors import QueueError
from reaper.core.model import Lease, LeaseResult, Pause, Release
from reaper.queues.base import MAX_RESULTS, RunSet
from reaper.queues.process_name import new_owner
from reaper.queues.redis import maintenance, rows
from reaper.queues.redis.apply_log import ApplyPipeline
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.run_sets import SMALL, RedisRunSet, own_key
from reaper.queues.redis.scripts import load
from reaper.queues.server_time import ServerTime

_CLAIM, _NEXT_AT, _PAUSED, _HEARTBEAT = load("claim"), load("next_at"), load("paused"), load("heartbeat")


class RedisWork:
    """The work port of one open queue. Without an inbox it is open for reading only."""

    def __init__(self, connection: RedisConnection, inbox: Inbox | None, time: ServerTime) -> None:
        self.owner, self.now = new_owner(), time.now
        self._connection = connection
        self._inbox = inbox
        self._time = time
        self._started_at = time.now()
        self._applies = ApplyPipeline(connection, self.owner)
        self._claims = 0
        self._has_heartbeat = False
        self._sets: list[str] = []

    def new_set(self) -> RunSet:
        self._sets.append(self._connection.key(f"set:{self.owner}:{len(self._sets)}"))
        return RedisRunSet(self._connection, self._inbox, self._sets[-1])

    async def claim(self, limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        self._connection.refuse_read_only()
        self._connection.refuse_closed()
        task = self._connection.spawn(self._claim(limit, lease_s, own_key(self._connection, within)))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._release)
            raise

    async def _claim(self, limit: int, lease_s: float, set_key: str) -> list[Lease]:
        """Claim, and a second time when something came out of the inbox meanwhile."""
        last = False
        leases: list[Lease] = []
        while True:
            self._claims += 1
            try:
                found, until, unread = await self._connection.run(
                    _CLAIM, limit - len(leases), lease_s, self.owner, self._claims, set_key, SMALL
                )
                leases += [rows.lease(row, float(until)) for row in found]
                if last or not unread or len(leases) == limit or self._inbox is None or not await self._inbox.drain():
                    return leases
            except QueueError:
                if not leases:
                    raise
                return leases  # these are good; the next call raises the error
            last = True

    def _release(self, task: asyncio.Task[list[Lease]]) -> None:
        """Release the leases of a cancelled caller. If it is unknown whether the claim ran, they expire."""
        if not task.cancelled() and task.exception() is None:
            results = [LeaseResult(lease, Release(0.0), None) for lease in task.result()]
            for at in range(0, len(results), MAX_RESULTS):
                # No caller is left to raise an error to: the leases expire then.
                self._applies.post(results[at : at + MAX_RESULTS]).future.add_done_callback(asyncio.Future.exception)

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        self._connection.refuse_read_only()
        self._connection.refuse_closed()
        held: list[bool] = await self._applies.post(results).wait()
        return held

    async def next_at(self) -> float | None:
        return await self._connection.run_shielded(self._next_at())

    async def _next_at(self) -> float | None:
        at, unread = await self._connection.run(_NEXT_AT)
        if unread and self._inbox is not None and await self._inbox.drain():
            at, _ = await self._connection.run(_NEXT_AT)
        return float(at) if at else None

    async def paused(self) -> Pause | None:
        now, text = await self._connection.run_shielded(self._connection.run(_PAUSED))
        self._time.measured(float(now))
        return rows.pause(text, float(now))

    async def maintain(self, keep_settled_s: float) -> int:
        self._connection.refuse_read_only()
        return await self._connection.run_shielded(self._maintain(keep_settled_s))

    async def _maintain(self, keep_settled_s: float) -> int:
        released, unread = await maintenance.maintain(self._connection, keep_settled_s, self._sets)
        if unread and self._inbox is not None:
            await self._inbox.drain()
        return released

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        self._connection.refuse_read_only()
        self._has_heartbeat = True
        text = rows.heartbeat_text(os.getpid(), self._started_at, limit, pauses)
        await self._connection.run_shielded(self._connection.run(_HEARTBEAT, self.owner, text))

    async def deregister(self) -> None:
        """Remove every trace of this process but its leases: the next `maintain` releases them."""
        claimed = self._claims > 0
        if claimed or self._has_heartbeat or self._sets:
            await maintenance.deregister(self._connection, self.owner, self._sets, has_claimed=claimed)

"""Leases out, results in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from reaper.core.errors import QueueError
from reaper.core.model import Lease, LeaseResult, Release
from reaper.queues.base import MAX_RESULTS, RunSet
from reaper.queues.redis import rows
from reaper.queues.redis.apply_log import ApplyPipeline
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.run_sets import SMALL, RedisRunSet, own_key
from reaper.queues.redis.scripts import load

_CLAIM, _NEXT_AT = load("claim"), load("next_at")


@dataclass(slots=True, eq=False)
class Claims:
    """Claims and applies of one open queue. `sets` are the keys of its run sets, `claims` counts its claims."""

    connection: RedisConnection
    inbox: Inbox | None
    owner: str
    applies: ApplyPipeline
    sets: list[str] = field(default_factory=list)
    claims: int = 0

    def new_set(self) -> RunSet:
        self.sets.append(self.connection.key(f"set:{self.owner}:{len(self.sets)}"))
        return RedisRunSet(self.connection, self.inbox, self.sets[-1])

    async def claim(self, limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        self.connection.refuse_read_only()
        self.connection.refuse_closed()
        task = self.connection.spawn(self._claim(limit, lease_s, own_key(self.connection, within)))
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
            self.claims += 1
            try:
                found, until, unread = await self.connection.run(
                    _CLAIM, limit - len(leases), lease_s, self.owner, self.claims, set_key, SMALL
                )
                leases += [rows.lease(row, float(until)) for row in found]
                if last or not unread or len(leases) == limit or self.inbox is None or not await self.inbox.drain():
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
                # Nobody awaits the future: after an error the leases expire.
                self.applies.post(results[at : at + MAX_RESULTS]).add_done_callback(_mark_retrieved)

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        self.connection.refuse_read_only()
        self.connection.refuse_closed()
        return await self.applies.post(results)

    async def next_at(self) -> float | None:
        return await self.connection.run_shielded(self._next_at())

    async def _next_at(self) -> float | None:
        at, unread = await self.connection.run(_NEXT_AT)
        if unread and self.inbox is not None and await self.inbox.drain():
            at, _ = await self.connection.run(_NEXT_AT)
        return float(at) if at else None


def _mark_retrieved(future: asyncio.Future[list[bool]]) -> None:
    """Retrieve the exception of a future: asyncio logs one that nobody retrieved."""
    future.exception()

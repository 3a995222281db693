"""Applies, one after the other: one script each, for all the ends that it brings."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from reaper.core.model import LeaseResult
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.rows import apply_values
from reaper.queues.redis.scripts import load

MAX_UNACKNOWLEDGED = 4_096
"""Ends without an answer that the engine remembers for one process."""
UNACKNOWLEDGED_S = 86_400
_APPLY = load("apply")


class ApplyPipeline:
    """The applies of one open queue.

    One script is under way at a time, and each says which one before it was answered: so the engine remembers what it
    has carried out for as long as the answer may be lost, and no longer (promise 11).
    """

    def __init__(self, engine: RedisConnection, owner: str) -> None:
        self._engine = engine
        self._owner = owner
        self._waiting: deque[tuple[Sequence[LeaseResult], asyncio.Future[list[bool]]]] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._sent = 0
        self._answered = 0

    def post(self, ends: Sequence[LeaseResult]) -> asyncio.Future[list[bool]]:
        """Have decisions carried out. Cancelled before its script was sent it has not happened, else wholly."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((ends, future))
        if self._flushing is None:
            self._flushing = self._engine.spawn(self._flush())
        return future

    async def _flush(self) -> None:
        try:
            while self._waiting:
                ends, future = self._waiting.popleft()
                if not future.cancelled():
                    await self._send(ends, future)
        finally:
            self._flushing = None

    async def _send(self, ends: Sequence[LeaseResult], future: asyncio.Future[list[bool]]) -> None:
        self._sent += 1
        number = self._sent
        try:
            values = [value for end in ends for value in apply_values(end)]
            answers = await self._engine.run(
                _APPLY, self._owner, number, self._answered, MAX_UNACKNOWLEDGED, UNACKNOWLEDGED_S, *values
            )
        except Exception as error:  # noqa: BLE001 - the top of a task: whoever waits is told
            if not future.done():
                future.set_exception(error)
            return
        self._answered = number
        if not future.done():
            future.set_result([good == 1 for good in answers])

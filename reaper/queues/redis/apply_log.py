"""Sends the applies one after the other, so that a repeated apply can be recognised."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from reaper.core.model import LeaseResult
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.rows import apply_values
from reaper.queues.redis.scripts import load

MAX_UNACKNOWLEDGED = 4_096
"""Results that the server remembers for one process while their answer may be lost."""
UNACKNOWLEDGED_S = 86_400
_APPLY = load("apply")


class ApplyPipeline:
    """The applies of one open queue.

    One script runs at a time and names the last one that was answered. So the server remembers the receipts of an
    apply for as long as its answer may be lost, and no longer (promise 11).
    """

    def __init__(self, connection: RedisConnection, owner: str) -> None:
        self._connection = connection
        self._owner = owner
        self._waiting: deque[tuple[Sequence[LeaseResult], asyncio.Future[list[bool]]]] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._sent = 0
        self._answered = 0

    def post(self, results: Sequence[LeaseResult]) -> asyncio.Future[list[bool]]:
        """Queue results for the server. Cancelling the future before its script is sent drops them."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((results, future))
        if self._flushing is None:
            self._flushing = self._connection.spawn(self._flush())
        return future

    async def _flush(self) -> None:
        try:
            while self._waiting:
                results, future = self._waiting.popleft()
                if not future.cancelled():
                    await self._send(results, future)
        finally:
            self._flushing = None

    async def _send(self, results: Sequence[LeaseResult], future: asyncio.Future[list[bool]]) -> None:
        self._sent += 1
        number = self._sent
        try:
            values = [value for result in results for value in apply_values(result)]
            answers = await self._connection.run(
                _APPLY, self._owner, number, self._answered, MAX_UNACKNOWLEDGED, UNACKNOWLEDGED_S, *values
            )
        except Exception as error:  # noqa: BLE001 - the top of a task: the caller gets it
            if not future.done():
                future.set_exception(error)
            return
        self._answered = number
        if not future.done():
            future.set_result([good == 1 for good in answers])

"""Applies that come together go together: one script for all that wait while the one before is under way."""

from __future__ import annotations

import asyncio

from reaper.errors import QueueError
from reaper.queues.redis_engine import Engine
from reaper.queues.redis_lua_work import APPLY
from reaper.queues.redis_rows import Ask, apply_values

MOST_TOGETHER = 256
DOUBTED_MOST = 4_096
"""Applies without an answer that the engine remembers for one process."""
DOUBTED_S = 86_400


class Applies:
    """The applies of one open queue.

    One script is under way at a time, and each says which one before it was answered: so the engine remembers what it
    has carried out for as long as the answer may be lost, and no longer (promise 11).
    """

    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self._owner = owner
        self._waiting: list[tuple[Ask, asyncio.Future[bool]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._sent = 0
        self._answered = 0

    def post(self, ask: Ask) -> asyncio.Future[bool]:
        """Have a decision carried out. Cancelled before its script was sent it has not happened, else wholly."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, future))
        if self._flushing is None:
            self._flushing = self._engine.spawn(self._flush())
        return future

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch = [one for one in self._waiting[:MOST_TOGETHER] if not one[1].cancelled()]
                del self._waiting[:MOST_TOGETHER]
                if batch:
                    await self._send(batch)
        finally:
            self._flushing = None

    async def _send(self, batch: list[tuple[Ask, asyncio.Future[bool]]]) -> None:
        self._sent += 1
        number = self._sent
        try:
            values = [value for ask, _ in batch for value in apply_values(ask)]
            answers = await self._engine.run(
                APPLY, self._owner, number, self._answered, DOUBTED_MOST, DOUBTED_S, *values
            )
        except Exception as error:  # noqa: BLE001 - the top of a task: whoever waits is told
            for _, future in batch:
                if not future.done():
                    future.set_exception(_copy(error))
            return
        self._answered = number
        for (_, future), good in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(good == 1)


def _copy(error: Exception) -> Exception:
    """Return an error of each caller's own: raised in two tasks, one object would mix up their traces."""
    if not isinstance(error, QueueError):
        return error
    copy = type(error)(str(error))
    copy.__cause__ = error.__cause__
    return copy

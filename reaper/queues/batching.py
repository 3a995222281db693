"""Calls that are carried out in batches: what is posted while the engine is busy is carried out together.

A caller posts an operation and waits. Cancelling the caller never cancels an operation that has begun: it happens
wholly, and its `undo` is called with the result that nobody received. An operation whose caller was cancelled before
it began does not happen. An error belongs to the calls that it is delivered to; the others go on.

PostgreSQL and Redis run their batches in `Batcher`, one at a time. The SQLite ledger uses `Call` alone: its batches are
formed by the thread that owns the connection, which would wait for the event loop between two of them otherwise.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

A = TypeVar("A")


class Call(Generic[A]):
    """One posted operation, and the future that its caller waits for.

    `undo(result)` is called, in the event loop, when the operation happened and its caller did not get the result.
    """

    __slots__ = ("future", "operation", "undo")

    def __init__(self, operation: A, future: asyncio.Future[Any], undo: Callable[[Any], object] | None = None) -> None:
        self.operation = operation
        self.future = future
        self.undo = undo

    async def wait(self) -> Any:
        """Return the result or raise the error of the operation."""
        future = self.future
        try:
            return await future
        except asyncio.CancelledError:
            if self.undo is not None and future.done() and not future.cancelled() and future.exception() is None:
                self.undo(future.result())  # the result and the cancellation came in one turn of the loop
            raise

    def deliver(self, result: object) -> None:
        """Resolve the call with a result, or with the error that an `Exception` is."""
        if self.future.cancelled():
            if self.undo is not None and not isinstance(result, Exception):
                self.undo(result)
        elif isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class Batcher(Generic[A]):
    """Runs posted operations in a task of its own, at most `limit` in one batch and one batch at a time.

    `run` carries out a batch and returns a result or an error for each operation; what it raises is the error of all.
    `task` runs while there are calls; cancelled, it cancels those that wait.
    """

    def __init__(
        self,
        run: Callable[[Sequence[A]], Awaitable[Sequence[object]]],
        limit: int,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] = asyncio.create_task,
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._run = run
        self._limit = limit
        self._spawn = spawn
        self._calls: deque[Call[A]] = deque()

    def post(self, operation: A, undo: Callable[[Any], object] | None = None) -> Call[A]:
        """Queue an operation. Its batch is taken in the next turn of the loop, with what else is posted in this one."""
        call = Call(operation, asyncio.get_running_loop().create_future(), undo)
        self._calls.append(call)
        if self.task is None:
            self.task = self._spawn(self._serve())
        return call

    async def _serve(self) -> None:
        batch: list[Call[A]] = []
        try:
            while self._calls:
                batch = [self._calls.popleft() for _ in range(min(self._limit, len(self._calls)))]
                batch = [call for call in batch if not call.future.cancelled()]
                if batch:
                    await self._carry_out(batch)
        finally:
            self.task = None
            for call in (*batch, *self._calls):
                call.future.cancel()

    async def _carry_out(self, batch: Sequence[Call[A]]) -> None:
        results: Sequence[object]
        try:
            results = await self._run([call.operation for call in batch])
        except Exception as error:  # noqa: BLE001 - the top of a task: each caller gets it
            results = [error] * len(batch)
        for call, result in zip(batch, results, strict=True):
            call.deliver(result)

"""Positions of followed files when the rows are elsewhere: kept on this machine, written after the rows they stand for.

A crash in between reads some lines twice, which the queue takes for duplicates; none is passed over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from reaper.core.errors import QueueError
from reaper.queues.base import Queue
from reaper.queues.values import Batch, Position


@dataclass(slots=True, eq=False)
class LocalPositions:
    """A `PositionStore` over a queue on this machine, of which nothing else is used; `opened` opens it when needed."""

    opened: Callable[[], Awaitable[Queue]]
    _queue: Queue | None = None
    _opening: anyio.Lock = field(default_factory=anyio.Lock)

    async def save(self, position: Position) -> None:
        """Keep a position."""
        await (await self._open()).add(Batch(position.path, position=position))

    async def positions(self) -> list[Position]:
        """Return all that are kept."""
        return await (await self._open()).positions()

    async def close(self) -> None:
        """Close what was opened."""
        if self._queue is not None:
            with suppress(QueueError):
                await self._queue.close()

    async def _open(self) -> Queue:
        async with self._opening:
            if self._queue is None:
                self._queue = await self.opened()
            return self._queue

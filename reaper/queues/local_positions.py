"""Positions of followed files for a queue on another machine: kept here, written after the rows they stand for.

After a crash in between some lines are read twice, and count as duplicates; none is skipped.
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
    """A `PositionStore` in a ledger that has positions only. `open_store` opens it when it is first needed."""

    open_store: Callable[[], Awaitable[Queue]]
    _queue: Queue | None = None
    _opening: anyio.Lock = field(default_factory=anyio.Lock)

    async def save(self, position: Position) -> None:
        """Store a position durably."""
        await (await self._open()).add(Batch(position.path, position=position))

    async def positions(self) -> list[Position]:
        """Return all stored positions, by path."""
        return await (await self._open()).positions()

    async def close(self) -> None:
        """Close the ledger, if it was opened."""
        if self._queue is not None:
            with suppress(QueueError):
                await self._queue.close()

    async def _open(self) -> Queue:
        async with self._opening:
            if self._queue is None:
                self._queue = await self.open_store()
            return self._queue

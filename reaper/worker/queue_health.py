"""Whether the queue can be reached, as whoever used it last saw it; said once per change."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio

from reaper.core.errors import QueueUnavailableError
from reaper.worker.ports import QueueJournal

T = TypeVar("T")

WAIT_S, WAIT_MOST_S = 0.2, 5.0


@dataclass(slots=True)
class Reach:
    """What a process knows of its way to the queue. `now` runs steadily, `jitter` draws from 0 to 1."""

    journal: QueueJournal
    now: Callable[[], float] = anyio.current_time
    jitter: Callable[[], float] = random.random
    why: str = ""
    """What was said when it was lost."""
    _since: float | None = None
    _back: anyio.Event = field(default_factory=anyio.Event)

    @property
    def away_s(self) -> float:
        """How long the queue has been away; 0 while it is there."""
        return 0.0 if self._since is None else max(self.now() - self._since, 1e-9)

    def lost(self, error: QueueUnavailableError) -> None:
        """The queue could not be used."""
        self.why = str(error)
        if self._since is None:
            self._since = self.now()
            self._back = anyio.Event()
            self.journal.queue_unavailable(self.why)

    def found(self) -> None:
        """The queue answered."""
        if self._since is not None:
            away_s, self._since = self.away_s, None
            self._back.set()
            self.journal.queue_recovered(away_s)

    @property
    def wait_s(self) -> float:
        """How long to wait before the queue is asked again: a while that grows, drawn anew each time."""
        return min(WAIT_MOST_S, WAIT_S + self.away_s / 4) * (0.5 + self.jitter() / 2)

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the queue answers; a cancellation ends the waiting."""
        while True:
            try:
                answer = await ask()
            except QueueUnavailableError as error:
                await self.wait_out(error)
            else:
                self.found()
                return answer

    async def wait_out(self, error: QueueUnavailableError) -> None:
        """The queue could not be used: wait until it is worth asking again."""
        self.lost(error)
        with anyio.move_on_after(self.wait_s):
            await self._back.wait()  # it answered somebody else

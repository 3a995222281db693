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

FIRST_WAIT_S, MAX_WAIT_S = 0.2, 5.0


@dataclass(slots=True)
class QueueHealth:
    """What a process knows of its way to the queue. `now` runs steadily, `jitter` draws from 0 to 1."""

    journal: QueueJournal
    now: Callable[[], float] = anyio.current_time
    jitter: Callable[[], float] = random.random
    why: str = ""
    """What was said when it was lost."""
    _since: float | None = None
    _back: anyio.Event = field(default_factory=anyio.Event)

    @property
    def unavailable_s(self) -> float:
        """How long the queue has been away; 0 while it is there."""
        return 0.0 if self._since is None else max(self.now() - self._since, 1e-9)

    def mark_unavailable(self, error: QueueUnavailableError) -> None:
        """The queue could not be used."""
        self.why = str(error)
        if self._since is None:
            self._since = self.now()
            self._back = anyio.Event()
            self.journal.queue_unavailable(self.why)

    def mark_available(self) -> None:
        """The queue answered."""
        if self._since is not None:
            away_s, self._since = self.unavailable_s, None
            self._back.set()
            self.journal.queue_recovered(away_s)

    @property
    def wait_s(self) -> float:
        """How long to wait before the queue is asked again: a while that grows, drawn anew each time."""
        return min(MAX_WAIT_S, FIRST_WAIT_S + self.unavailable_s / 4) * (0.5 + self.jitter() / 2)

    async def retry_until_available(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the queue answers; a cancellation ends the waiting."""
        while True:
            try:
                answer = await ask()
            except QueueUnavailableError as error:
                await self.wait_before_retry(error)
            else:
                self.mark_available()
                return answer

    async def wait_before_retry(self, error: QueueUnavailableError) -> None:
        """The queue could not be used: wait until it is worth asking again."""
        self.mark_unavailable(error)
        with anyio.move_on_after(self.wait_s):
            await self._back.wait()  # it answered somebody else

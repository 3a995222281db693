"""Tracks whether the queue is available. Every caller reports success or failure; a change is logged once."""

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
    """What a process knows of its queue. `now` is monotonic, `jitter` is uniform in [0, 1)."""

    journal: QueueJournal
    now: Callable[[], float] = anyio.current_time
    jitter: Callable[[], float] = random.random
    why: str = ""
    """The last error."""
    is_pause_known: bool = True
    """Whether the operator's pause was read lately. While it was not, the queue counts as unavailable."""
    _since: float | None = None
    _available: anyio.Event = field(default_factory=anyio.Event)

    @property
    def unavailable_s(self) -> float:
        """How long the queue has been unavailable; 0 while it is available."""
        return 0.0 if self._since is None else max(self.now() - self._since, 1e-9)

    def mark_unavailable(self, error: QueueUnavailableError) -> None:
        """Note that the queue could not be used."""
        self.why = str(error)
        if self._since is None:
            self._since = self.now()
            self._available = anyio.Event()
            self.journal.queue_unavailable(self.why)

    def mark_available(self) -> None:
        """Note that the queue answered; callers that wait to retry go on. It ends no outage of the pause's read."""
        if self._since is not None and self.is_pause_known:
            unavailable_s, self._since = self.unavailable_s, None
            self._available.set()
            self.journal.queue_recovered(unavailable_s)

    @property
    def wait_s(self) -> float:
        """How long to wait before the next try: grows with the outage, drawn anew each time."""
        return min(MAX_WAIT_S, FIRST_WAIT_S + self.unavailable_s / 4) * (0.5 + self.jitter() / 2)

    async def retry_until_available(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run `operation` until it does not end in QueueUnavailableError; a cancellation ends the retries."""
        while True:
            try:
                result = await operation()
            except QueueUnavailableError as error:
                await self.wait_before_retry(error)
            else:
                self.mark_available()
                return result

    async def wait_before_retry(self, error: QueueUnavailableError) -> None:
        """Mark the queue unavailable; return when it is worth another try, at once when another caller succeeds."""
        self.mark_unavailable(error)
        with anyio.move_on_after(self.wait_s):
            await self._available.wait()

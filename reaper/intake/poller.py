"""Poll the sources of the daemon: every followed file and the spool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import anyio

from reaper.core.errors import QueueUnavailableError, UsageError
from reaper.intake.events import IntakeReport
from reaper.queues.values import Added


class Source(Protocol):
    """A source that is polled for new IDs; `name` is its path."""

    name: str

    async def poll(self, report: IntakeReport) -> Added | None:
        """Add new IDs. Raises UsageError or OSError when the source can't be used, QueueError as the queue does."""

    def close(self) -> None:
        """Close the files that stay open between polls."""


class Intake:
    """Polls the sources of a daemon, one round at a time.

    `run` and `poll` raise QueueError, except QueueUnavailableError: that is reported, and the next round continues
    from the last durable batch.
    """

    def __init__(self, sources: Sequence[Source], poll_s: float, report: IntakeReport) -> None:
        self._sources = sources
        self._poll_s = poll_s
        self._report = report
        self._failing: dict[str, str] = {}
        self._round = anyio.Lock()
        self._swapped = anyio.Event()

    async def run(self) -> None:
        """Poll the sources in turn, with `poll_s` between rounds, until cancelled."""
        while True:
            self._swapped = anyio.Event()
            await self.poll()
            with anyio.move_on_after(self._poll_s):
                await self._swapped.wait()

    async def poll(self) -> None:
        """Poll each source once. One that can't be used is reported once per change and does not delay the others."""
        async with self._round:
            for source in self._sources:
                try:
                    await source.poll(self._report)
                except (UsageError, OSError) as error:
                    sentence = _sentence(error, source.name)
                    if self._failing.get(source.name) != sentence:
                        self._failing[source.name] = sentence
                        self._report.failed(source.name, sentence)
                except QueueUnavailableError as error:
                    self._report.unavailable(error)
                    return
                else:
                    if self._failing.pop(source.name, None) is not None:
                        self._report.recovered(source.name)

    async def swap(self, sources: Sequence[Source], poll_s: float) -> None:
        """Replace the sources and the interval, after the current round."""
        async with self._round:
            for source in self._sources:
                source.close()
            self._sources, self._poll_s = sources, poll_s
            self._failing.clear()
        self._swapped.set()


def _sentence(error: UsageError | OSError, name: str) -> str:
    if isinstance(error, UsageError):
        return str(error)
    return f"{error.filename or name} cannot be used now: {error.strerror or error}"

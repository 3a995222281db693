"""The daemon's intake: polls every followed file and the spool, for as long as the process takes anything in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import anyio

from reaper.core.errors import QueueUnavailableError, UsageError
from reaper.intake.events import Report
from reaper.queues.values import Added


class Source(Protocol):
    """Something that brings IDs again and again; `name` is its path."""

    name: str

    async def poll(self, report: Report) -> Added | None:
        """Take in what is new. Raises UsageError or OSError when it can't be used now, QueueError as the queue does."""

    def close(self) -> None:
        """Let go of what is held between polls."""


class Intake:
    """What a daemon follows; one round over its sources goes on at a time.

    Raises QueueError from `run` and `poll`, but for a queue that is away: that is reported, and the next round goes on
    where the queue left off.
    """

    def __init__(self, sources: Sequence[Source], poll_s: float, report: Report) -> None:
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
        """Go round the sources once. One that can't be used is told of once per change and holds up no other."""
        async with self._round:
            for source in self._sources:
                try:
                    await source.poll(self._report)
                except (UsageError, OSError) as error:
                    told = _sentence(error, source.name)
                    if self._failing.get(source.name) != told:
                        self._failing[source.name] = told
                        self._report.failed(source.name, told)
                except QueueUnavailableError as error:
                    self._report.unavailable(error)
                    return
                else:
                    if self._failing.pop(source.name, None) is not None:
                        self._report.recovered(source.name)

    async def swap(self, sources: Sequence[Source], poll_s: float) -> None:
        """Follow other sources from now on; a round under way ends first."""
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

"""Poll the sources of the daemon: every followed file and the spool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import anyio
from anyio import to_thread

from reaper.core.errors import QueueError, QueueUnavailableError, UsageError
from reaper.core.text import describe_unforeseen, shown_path
from reaper.intake.events import IntakeReport
from reaper.queues.values import Added


class Source(Protocol):
    """A source that is polled for new IDs; `name` is its path."""

    name: str

    @property
    def is_settling(self) -> bool:
        """Return whether a line that was seen is added when its file stops changing."""

    @property
    def is_missing(self) -> bool:
        """Return whether it named no file at the last poll."""

    def count_files(self) -> Mapping[str, int] | None:
        """Return the number of files in each of its directories; None when it has none. Blocks."""

    async def poll(self, report: IntakeReport) -> Added | None:
        """Add new IDs. Raises UsageError or OSError when the source can't be used, QueueError as the queue does."""

    def close(self) -> None:
        """Close the files that stay open between polls."""


class Attempts:
    """Polls single sources. One that can't be used is reported once per change, and delays no other one."""

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}

    async def poll(self, source: Source, report: IntakeReport) -> Added | None:
        """Poll one source; return the sum of its new lines. Raises QueueError as the queue does, and nothing else."""
        try:
            added = await source.poll(report)
        except QueueError:
            raise
        except UsageError as error:
            self._fail(source, str(error), report)
        except OSError as error:
            place = source.name if error.filename is None else shown_path(str(error.filename))
            self._fail(source, f"{place} cannot be used now: {error.strerror or error}", report)
        except Exception as error:  # noqa: BLE001 - no single source may end the intake
            self._fail(source, f"{source.name} cannot be taken in now: {describe_unforeseen(error)}", report)
        else:
            if self._failing.pop(source.name, None) is not None:
                report.recovered(source.name)
            return added
        return None

    def clear(self) -> None:
        """Forget which sources fail."""
        self._failing.clear()

    def _fail(self, source: Source, sentence: str, report: IntakeReport) -> None:
        if self._failing.get(source.name) != sentence:
            self._failing[source.name] = sentence
            report.failed(source.name, sentence)


class Intake:
    """Polls the sources of a daemon, one round at a time.

    `run` and `poll` raise QueueError, except QueueUnavailableError: that is reported, and the next round continues
    from the last durable batch.
    """

    def __init__(self, sources: Sequence[Source], poll_s: float, report: IntakeReport) -> None:
        self._sources = sources
        self.poll_s = poll_s
        """Seconds between two rounds."""
        self._report = report
        self._attempts = Attempts()
        self._round = anyio.Lock()
        self._swapped = anyio.Event()

    @property
    def is_settling(self) -> bool:
        """Return whether a later poll adds lines although no producer writes."""
        return any(source.is_settling for source in self._sources)

    async def run(self) -> None:
        """Poll the sources in turn, with `poll_s` between rounds, until cancelled."""
        while True:
            self._swapped = anyio.Event()
            await self.poll()
            with anyio.move_on_after(self.poll_s):
                await self._swapped.wait()

    async def poll(self) -> None:
        """Poll each source once."""
        async with self._round:
            for source in self._sources:
                try:
                    await self._attempts.poll(source, self._report)
                except QueueUnavailableError as error:
                    self._report.unavailable(error)
                    return
            counts = [await to_thread.run_sync(source.count_files) for source in self._sources]
            missing = sum(source.is_missing for source in self._sources)
            self._report.counted(missing, next((one for one in counts if one is not None), None))

    async def swap(self, sources: Sequence[Source], poll_s: float) -> None:
        """Replace the sources and the interval, after the current round."""
        async with self._round:
            for source in self._sources:
                source.close()
            self._sources, self.poll_s = sources, poll_s
            self._attempts.clear()
        self._swapped.set()

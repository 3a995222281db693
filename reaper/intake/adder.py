"""Add the batches of one source to the queue; a row that the queue cannot take does not stop the others."""

from __future__ import annotations

from dataclasses import replace

import anyio

from reaper.core.errors import ReaperError
from reaper.core.text import describe_unforeseen
from reaper.intake.events import NOTHING, IntakeReport, add_up
from reaper.intake.line_reader import Parsed
from reaper.queues.base import IntakePort
from reaper.queues.values import Added, Batch, InvalidLine, Position

NOT_ADDED = "it could not be added"


class Adder:
    """Adds batches in order and sums up what came of them since `begin`."""

    def __init__(self, queue: IntakePort, default_after_s: float) -> None:
        self._queue = queue
        self._default_after_s = default_after_s
        self.total: Added | None = None

    def begin(self) -> None:
        """Forget the sum."""
        self.total = None

    async def add_lines(
        self, source: str, parsed: Parsed, report: IntakeReport, position: Position | None = None
    ) -> None:
        """Add parsed lines, and report what is to be said of them. Raises as `add` does."""
        await self.add(Batch(source, parsed.items, parsed.invalid, position), report)
        for note in parsed.notes:
            report.noted(source, f"{source}: {note}")

    async def add(self, batch: Batch, report: IntakeReport) -> None:
        """Add a batch; it is durable afterwards. Raises QueueError as the queue does.

        An error that nobody foresaw is taken for one row's fault: the batch is halved until the row is found, which is
        recorded as invalid instead. If not even that can be recorded, the error is raised: then it is the queue's.
        """
        try:
            with anyio.CancelScope(shield=True):  # what was added is counted, too
                added = await self._queue.add(batch, default_after_s=self._default_after_s)
        except ReaperError:
            raise
        except Exception as error:
            if not batch.items and not batch.invalid:
                raise
            await self._set_aside(batch, error, report)
            return
        self.total = add_up(self.total or NOTHING, added)
        if batch.invalid:
            report.invalid(batch.source, batch.invalid)

    async def _set_aside(self, batch: Batch, error: Exception, report: IntakeReport) -> None:
        items, invalid = batch.items, batch.invalid
        if len(items) + len(invalid) == 1:
            if invalid and invalid[0].reason.startswith(NOT_ADDED):
                raise error
            line, text = (0, items[0].session_id) if items else (invalid[0].line, "")
            row = InvalidLine(line, f"{NOT_ADDED}: {describe_unforeseen(error)}", text)
            await self.add(replace(batch, items=(), invalid=[row]), report)
            return
        # The position comes with the last part: a crash before that reads the others again.
        half = (len(items) + len(invalid)) // 2
        first = replace(batch, items=items[:half], invalid=invalid[: max(0, half - len(items))], position=None)
        second = replace(batch, items=items[half:], invalid=invalid[max(0, half - len(items)) :])
        await self.add(first, report)
        await self.add(second, report)

"""Read one file of a spool, as far as it is written."""

from __future__ import annotations

from functools import partial

from anyio import to_thread

from reaper.core.errors import UsageError
from reaper.intake.adder import Adder
from reaper.intake.events import NOTHING, IntakeReport
from reaper.intake.json_document import is_document
from reaper.intake.line_reader import SNIFF_BYTES, Reader, refuse_binary
from reaper.intake.tail import Tail, open_tail
from reaper.queues.base import IntakePort
from reaper.queues.values import Added, Position

MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
"""A JSON document that is larger is refused: the daemon's memory is bounded (docs/input.md)."""


class SpoolFile:
    """Adds the lines of one file, whole ones as they come and a last one without newline when the file is complete.

    The file is open only during `read`. `source` is its path when it was seen first, as it may be shown.
    """

    def __init__(self, queue: IntakePort, source: str, default_after_s: float) -> None:
        self.source = source
        self.position: Position | None = None
        """The end of the last whole line that was added; None before the first reading."""
        self._adder = Adder(queue, default_after_s)
        self._fault: str | None = None
        self._finished_size = -1

    def refuse(self, fault: str) -> None:
        """Let the next reading fail with this fault: it is not opened at all."""
        self._fault = fault

    @property
    def is_regular(self) -> bool:
        """Return whether it may be opened at all."""
        return self._fault is None

    def is_complete(self, size: int) -> bool:
        """Return whether nothing is left to read of a file of this size."""
        return size in (self._finished_size, 0 if self.position is None else self.position.offset)

    async def read(self, directory: int, name: str, report: IntakeReport, *, complete_at: int | None) -> Added | None:
        """Add the whole lines that are new; None when the file is gone.

        `complete_at`: the size at which the file stopped changing: then a last line without newline is added, too; None
        while it may grow. Raises UsageError when no later reading could succeed, OSError and QueueError otherwise; the
        lines that were added before are not read again.
        """
        if self._fault is not None:
            raise UsageError(f"{self.source} is not used: {self._fault}")
        tail = await to_thread.run_sync(partial(open_tail, name, self.position, at=directory, shown=self.source))
        if tail is None:
            return None
        self._adder.begin()
        try:
            if self.position is not None and tail.lines.offset < self.position.offset:
                report.noted(self.source, f"{self.source} was written anew; it is read again from its start")
                self.position = None
            # Judged as a whole: a file that is being written may have holes where its bytes will be.
            head = await to_thread.run_sync(tail.head, SNIFF_BYTES)
            if complete_at is not None:
                refuse_binary(head, self.source)
            is_begun = self.position is not None and self.position.offset > 0
            is_list = False if is_begun else is_document(head, at_end=complete_at is not None)
            if is_list and complete_at is not None:
                await self._read_document(tail, report, complete_at)
            elif b"\0" not in head and is_list is False:
                await self._read_lines(tail, report, complete_at)
        finally:
            tail.close()
            total = self._adder.total
            if total is not None and total != NOTHING:
                report.imported("spool", self.source, total)
        return total or NOTHING

    async def _read_document(self, tail: Tail, report: IntakeReport, complete_at: int) -> None:
        reader = Reader(tail.fd, self.source, max_document_bytes=MAX_DOCUMENT_BYTES)
        while (parsed := await reader.next()) is not None:
            await self._adder.add_lines(self.source, parsed, report)
        self._finished_size = complete_at

    async def _read_lines(self, tail: Tail, report: IntakeReport, complete_at: int | None) -> None:
        is_last = False
        upto: int | None = None
        while True:
            upto, parsed, doubt = await to_thread.run_sync(tail.read_lines, upto)
            if doubt is not None:
                report.noted(self.source, f"{self.source} {doubt} while it was read; it is read again from its start")
                tail.start_over()
                self.position = upto = None
                continue
            if parsed is None and upto == complete_at and not is_last:
                is_last = True
                tail.lines.finish()
                parsed = tail.lines.take()
            if parsed is not None:
                await self._adder.add_lines(self.source, parsed, report)
            if is_last:
                self._finished_size = complete_at or 0
                return
            # If the last line grows after all, it is read again as a whole: the position stays at its start.
            end = parsed or tail.lines
            self.position = tail.position(self.source, end.offset, end.line)
            if parsed is None:
                return

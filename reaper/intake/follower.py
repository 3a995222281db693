"""Follow a file that other programs append to and rotate: each whole line is added once, in spite of crashes."""

from __future__ import annotations

import os

from anyio import to_thread

from reaper.core.errors import UsageError
from reaper.intake.events import NOTHING, IntakeReport, add_up
from reaper.intake.line_reader import Parsed
from reaper.intake.tail import Tail, find_rotated, open_tail
from reaper.queues.base import IntakePort
from reaper.queues.values import Added, Batch, Position


class Follower:
    """Follows one path. The position is committed with the rows, so a crash neither loses nor repeats a line.

    If the file was truncated, overwritten or replaced, it starts over; the queue recognizes the duplicates.
    """

    def __init__(self, queue: IntakePort, path: str, default_after_s: float = 0.0) -> None:
        self.name = path
        self._queue = queue
        self._default_after_s = default_after_s
        self._tail: Tail | None = None
        self._committed: Position | None = None
        self._rotated = False
        """True when the path named another file at the last poll."""
        self._total: Added | None = None

    async def poll(self, report: IntakeReport) -> Added | None:
        """Add new whole lines to the queue and return the result; None when there are none or no file.

        A rotated file is finished, including a last line without newline, at the first poll after the rotation was
        noticed that finds it no longer growing. Raises UsageError when the file can't be used, QueueError as the queue
        does; after an error or a cancellation the next poll continues from the committed position.
        """
        self._total = None
        try:
            if self._tail is None:
                self._tail = await self._resume(report)
            if self._tail is not None:
                await self._follow(self._tail, report)
        except BaseException:
            self.close()
            raise
        finally:
            if self._total is not None and self._total != NOTHING:
                report.imported("file", self.name, self._total)
        return self._total

    def close(self) -> None:
        """Close the file; the next poll opens it again."""
        if self._tail is not None:
            self._tail.close()
        self._tail, self._committed, self._rotated = None, None, False

    async def _resume(self, report: IntakeReport) -> Tail | None:
        """Open the file of the committed position, else the current one."""
        known = [position for position in await self._queue.positions() if position.path == self.name]
        # A engine may keep a position for each file that the path has named; the last one is the newest.
        self._committed = known[-1] if known else None
        tail, note = await to_thread.run_sync(_reopen, self.name, self._committed)
        if note:
            report.noted(self.name, note)
        return tail

    async def _follow(self, tail: Tail, report: IntakeReport) -> None:
        while True:
            grew = await self._read(tail, report)
            successor = await to_thread.run_sync(_open_successor, self.name, tail)
            if successor is None:
                self._rotated = False
                return
            if grew or not self._rotated:
                # The writer may still have the old file open.
                successor.close()
                self._rotated = True
                return
            try:
                await self._finish_rotated_file(tail, successor, report)
            except BaseException:
                successor.close()
                raise
            tail.close()
            self._tail = tail = successor
            self._rotated = False

    async def _read(self, tail: Tail, report: IntakeReport) -> bool:
        """Add the lines up to the current size, not those appended meanwhile; return True when there were new bytes."""
        before, upto = tail.lines.read, None
        while True:
            upto, parsed, doubt = await to_thread.run_sync(_read_lines, tail, upto)
            if doubt is not None:
                report.noted(self.name, f"{self.name} {doubt}; it is read again from its start")
                tail.start_over()
                before, upto = -1, None
                continue
            # Lines beyond this batch may be parsed already: commit the end of the batch itself.
            end = parsed or tail.lines
            position = tail.position(self.name, end.offset, end.line)
            if parsed is not None:
                await self._add(Batch(self.name, parsed.items, parsed.invalid, position), report)
                continue
            if position != self._committed:
                await self._add(Batch(self.name, position=position), report)
            return tail.lines.read > before

    async def _finish_rotated_file(self, tail: Tail, successor: Tail, report: IntakeReport) -> None:
        """Add the last line of a rotated file and the position at the start of its successor, in one transaction."""
        tail.lines.finish()
        parsed = tail.lines.take()
        items, invalid = (parsed.items, parsed.invalid) if parsed else ([], [])
        await self._add(Batch(self.name, items, invalid, successor.position(self.name, 0, 0)), report)

    async def _add(self, batch: Batch, report: IntakeReport) -> None:
        added = await self._queue.add(batch, default_after_s=self._default_after_s)
        self._committed = batch.position
        self._total = add_up(self._total or NOTHING, added)
        if batch.invalid:
            report.invalid(self.name, batch.invalid)


def _reopen(path: str, position: Position | None) -> tuple[Tail | None, str | None]:
    """Return the tail to continue with, and a note when lines may have been missed or are read again."""
    if position is None:
        return open_tail(path), None
    current = open_tail(path, position)
    if current is not None and (current.device, current.inode) == (position.device, position.inode):
        again = current.lines.offset < position.offset
        note = f"{path} is not what it was at its byte {position.offset}; it is read again from its start"
        return current, note if again else None
    old = _open_rotated(path, position)
    if old is not None:
        if current is not None:
            current.close()
        return old, None
    if current is None:
        return None, None
    return current, (
        f"{path} is another file than before and the former one is not beside it: what that held after its byte "
        f"{position.offset} was not seen; the new one is read from its start"
    )


def _open_rotated(path: str, position: Position) -> Tail | None:
    """Open the former file under its new name at `position`, if it is certainly that file."""
    try:
        name = find_rotated(path, position)
        old = open_tail(name, position) if name else None
    except UsageError:
        return None
    if old is not None and old.lines.offset != position.offset:
        old.close()
        return None
    return old


def _read_lines(tail: Tail, upto: int | None) -> tuple[int, Parsed | None, str | None]:
    """Return the end of this poll's reading, the next lines, and why they can't be trusted (None: they can).

    The check comes after the read: an overwritten file could yield fragments of lines that are valid IDs.
    """
    size = tail.size() if upto is None else upto
    tail.fill(size)
    doubt = tail.changed()
    return size, None if doubt else tail.lines.take(), doubt


def _open_successor(path: str, tail: Tail) -> Tail | None:
    """Open the file that the path names now, if it is not the tail's."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if (status.st_dev, status.st_ino) == (tail.device, tail.inode):
        return None
    return open_tail(path)

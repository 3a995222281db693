"""A file that other programs append to and rotate: every whole line of it is taken in once, in spite of crashes."""

from __future__ import annotations

import os

from anyio import to_thread

from reaper.core.errors import UsageError
from reaper.intake.events import NOTHING, Report, add_up
from reaper.intake.line_reader import Parsed
from reaper.intake.tail import Tail, find_rotated, open_tail
from reaper.queues.base import IntakePort
from reaper.queues.values import Added, Batch, Position


class Follower:
    """Follows one path. The position is committed with the rows, so a crash neither loses nor repeats a line.

    On any doubt about the file (truncated, overwritten, another one) it starts over; the queue knows the duplicates.
    """

    def __init__(self, queue: IntakePort, path: str, default_after_s: float = 0.0) -> None:
        self.name = path
        self._queue = queue
        self._default_after_s = default_after_s
        self._tail: Tail | None = None
        self._committed: Position | None = None
        self._rotated = False
        """The path named another file at the last poll."""
        self._total: Added | None = None

    async def poll(self, report: Report) -> Added | None:
        """Take in the whole lines that are new; None when there is nothing to tell, the file missing for instance.

        A rotated file is left, its unterminated last line taken, at the first poll after the rotation was seen that
        finds it no longer growing. Raises UsageError when the file can't be used, QueueError as the queue does; after
        an error or a cancellation the next poll goes on from what is committed.
        """
        self._total = None
        try:
            if self._tail is None:
                self._tail = await self._resume(report)
            if self._tail is not None:
                await self._go_on(self._tail, report)
        except BaseException:
            self.close()
            raise
        finally:
            if self._total is not None and self._total != NOTHING:
                report.imported("file", self.name, self._total)
        return self._total

    def close(self) -> None:
        """Close the file; a later poll opens it again."""
        if self._tail is not None:
            self._tail.close()
        self._tail, self._committed, self._rotated = None, None, False

    async def _resume(self, report: Report) -> Tail | None:
        """Open the file that was read last, where it was left, else the one that is there now."""
        known = [position for position in await self._queue.positions() if position.path == self.name]
        # Should a back-end keep one for each file that the path ever named, the last is where reading stood.
        self._committed = known[-1] if known else None
        tail, note = await to_thread.run_sync(_reopen, self.name, self._committed)
        if note:
            report.noted(self.name, note)
        return tail

    async def _go_on(self, tail: Tail, report: Report) -> None:
        while True:
            grew = await self._read(tail, report)
            following = await to_thread.run_sync(_other, self.name, tail)
            if following is None:
                self._rotated = False
                return
            if grew or not self._rotated:
                # Whoever writes may not have heard of the rotation yet.
                following.close()
                self._rotated = True
                return
            try:
                await self._leave(tail, following, report)
            except BaseException:
                following.close()
                raise
            tail.close()
            self._tail = tail = following
            self._rotated = False

    async def _read(self, tail: Tail, report: Report) -> bool:
        """Take in what the file holds now, not what is added meanwhile; return whether there was anything new."""
        before, upto = tail.lines.read, None
        while True:
            upto, parsed, doubt = await to_thread.run_sync(_next, tail, upto)
            if doubt is not None:
                report.noted(self.name, f"{self.name} {doubt}; it is read again from its start")
                tail.start_over()
                before, upto = -1, None
                continue
            # Lines beyond this batch may be judged already: the batch's own end is what is committed with it.
            end = parsed or tail.lines
            position = tail.position(self.name, end.offset, end.line)
            if parsed is not None:
                await self._add(Batch(self.name, parsed.items, parsed.invalid, position), report)
                continue
            if position != self._committed:
                await self._add(Batch(self.name, position=position), report)
            return tail.lines.read > before

    async def _leave(self, tail: Tail, following: Tail, report: Report) -> None:
        """Take the last line of a rotated file and move on, in one transaction."""
        tail.lines.finish()
        parsed = tail.lines.take()
        items, invalid = (parsed.items, parsed.invalid) if parsed else ([], [])
        await self._add(Batch(self.name, items, invalid, following.position(self.name, 0, 0)), report)

    async def _add(self, batch: Batch, report: Report) -> None:
        added = await self._queue.add(batch, default_after_s=self._default_after_s)
        self._committed = batch.position
        self._total = add_up(self._total or NOTHING, added)
        if batch.invalid:
            report.invalid(self.name, batch.invalid)


def _reopen(path: str, position: Position | None) -> tuple[Tail | None, str | None]:
    """Return the tail to go on with, and a note when something may have been missed or is read again."""
    if position is None:
        return open_tail(path), None
    current = open_tail(path, position)
    if current is not None and (current.device, current.inode) == (position.device, position.inode):
        again = current.lines.offset < position.offset
        note = f"{path} is not what it was at its byte {position.offset}; it is read again from its start"
        return current, note if again else None
    old = _rotated(path, position)
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


def _rotated(path: str, position: Position) -> Tail | None:
    """Return the former file under its new name, where reading it stood, if it is certainly that file."""
    try:
        name = find_rotated(path, position)
        old = open_tail(name, position) if name else None
    except UsageError:
        return None
    if old is not None and old.lines.offset != position.offset:
        old.close()
        return None
    return old


def _next(tail: Tail, upto: int | None) -> tuple[int, Parsed | None, str | None]:
    """Return how far to read in this poll, the next lines, and why they can't be trusted, if so.

    The file is looked at after the reading: an overwritten one could yield pieces of lines that look like IDs.
    """
    size = tail.size() if upto is None else upto
    tail.fill(size)
    doubt = tail.changed()
    return size, None if doubt else tail.lines.take(), doubt


def _other(path: str, tail: Tail) -> Tail | None:
    """Return the file that the path names now, if it is another one than the tail's."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if (status.st_dev, status.st_ino) == (tail.device, tail.inode):
        return None
    return open_tail(path)

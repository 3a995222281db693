"""Follow a file that other programs append to and rotate: each whole line is added once, in spite of crashes."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace

from anyio import to_thread

from reaper.core.text import shown_path
from reaper.intake.adder import Adder
from reaper.intake.events import NOTHING, IntakeReport
from reaper.intake.rotated import Rotated, is_at, open_renamed
from reaper.intake.tail import Tail, open_tail, since_ns
from reaper.queues.base import IntakePort
from reaper.queues.values import Added, Batch, Position

NO_CHANGE_SINCE_NS = (1 << 63) - 1
"""No file changed so late: with a position of an earlier version it is not known which generations were read."""


class Follower:
    """Follows one path. The position is committed with the rows, so a crash neither loses nor repeats a line.

    A rotated file is read to its end, then every generation between it and the present file. If the file was truncated,
    overwritten or replaced, it starts over; the queue recognizes the duplicates. Lines that cannot have been read are
    reported. `followed`: the absolute paths that are followed for themselves.
    """

    def __init__(
        self, queue: IntakePort, path: str, default_after_s: float = 0.0, followed: Collection[str] = ()
    ) -> None:
        self.name = shown_path(path)
        self.is_missing = False
        """True when the path named no file at the last poll."""
        self.is_settling = False
        self._path = path
        self._queue = queue
        self._adder = Adder(queue, default_after_s)
        self._rotated = Rotated(path, self._adder, followed)
        self._tail: Tail | None = None
        self._committed: Position | None = None
        self._since_ns = NO_CHANGE_SINCE_NS
        """The last change of the tail when the path last named it: generations after it changed later."""

    async def poll(self, report: IntakeReport) -> Added | None:
        """Add new whole lines to the queue and return the result; None when there are none or no file.

        Raises UsageError when the file can't be used, QueueError as the queue does; after an error or a cancellation
        the next poll continues from the committed position.
        """
        self._adder.begin()
        try:
            if self._tail is None:
                self._tail = await self._resume(report)
            if self._tail is not None:
                await self._follow(self._tail, report)
            await self._rotated.poll(report)
        except BaseException:
            self.close()
            raise
        finally:
            if self._adder.total is not None and self._adder.total != NOTHING:
                report.imported("file", self.name, self._adder.total)
        return self._adder.total

    def count_files(self) -> None:
        """Return None: it has no directories of its own."""

    def close(self) -> None:
        """Close the files; the next poll opens them again."""
        if self._tail is not None:
            self._tail.close()
        self._rotated.close()
        self._tail, self._committed = None, None

    async def _resume(self, report: IntakeReport) -> Tail | None:
        """Open the file of the committed position, else the present one after all that lies between."""
        known = {position.path: position for position in await self._queue.positions()}
        position = self._committed = known.get(self.name)
        tail = await to_thread.run_sync(open_tail, self._path, position)
        try:
            self.is_missing = tail is None
            if position is None:
                return tail
            kept_ns = since_ns(position)
            self._since_ns = NO_CHANGE_SINCE_NS if kept_ns is None else kept_ns
            self._rotated.begin(position.inode, self._since_ns)
            await self._rotated.resume(known.get(self._rotated.key), position.inode)
            if tail is not None and is_at(tail, position):
                return tail
            if (old := await to_thread.run_sync(open_renamed, self._path, position)) is not None:
                if tail is not None:
                    tail.close()
                self._since_ns = old.changed_at_ns if kept_ns is None else kept_ns
                return old
            if tail is None:
                tail = await self._rotated.open_newest(position.device, self._since_ns)
            if tail is not None:
                await self._begin_anew(tail, position, report)
        except BaseException:
            if tail is not None:
                tail.close()
            raise
        return tail

    async def _begin_anew(self, tail: Tail, position: Position, report: IntakeReport) -> None:
        """Read the generations after a file that is not there any more, and report what can't have been seen."""
        what = f"{self.name} is another file than before and the former one is not beside it"
        if (tail.device, tail.inode) == (position.device, position.inode):
            what = f"{self.name} is not what it was at its byte {position.offset}"
        await self._skip(tail, position, what, report)

    async def _skip(self, tail: Tail, position: Position, what: str, report: IntakeReport) -> None:
        """Read the copies and generations that there are of a file whose rest cannot be read; report the gap."""
        apart = {tail.inode}
        is_found = await self._rotated.read_generations(report, position.device, self._since_ns, apart, position)
        lost = f"what it held after its byte {position.offset}"
        if is_found:
            lost = "a copy of it was read, but what was written after the copy and before it was truncated"
        report.noted(self.name, f"{what}: {lost} was not seen. The present file is read from its start")

    async def _follow(self, tail: Tail, report: IntakeReport) -> None:
        while True:
            successor, is_missing = await to_thread.run_sync(_open_successor, self._path, tail)
            try:
                self.is_missing = is_missing
                await self._read(tail, report, is_present=successor is None and not is_missing)
                if successor is None:
                    if is_missing:
                        await self._read_between(tail, report)
                    return
                await self._change(tail, successor, report)
            except BaseException:
                if successor is not None:
                    successor.close()
                raise
            self._rotated.keep(tail)
            self._tail = tail = successor

    async def _read(self, tail: Tail, report: IntakeReport, *, is_present: bool) -> None:
        """Add the lines up to the current size, not those appended meanwhile."""
        upto: int | None = None
        if is_present and not tail.lines.read:
            # Nothing was read by which a file that was copied and truncated since could be known.
            await self._rotated.read_generations(report, tail.device, self._since_ns, {tail.inode})
        while True:
            upto, parsed, doubt = await to_thread.run_sync(tail.read_lines, upto)
            if doubt is not None:
                position = tail.position(self.name, tail.lines.offset, tail.lines.line)
                await self._skip(tail, position, f"{self.name} {doubt}, as copytruncate does", report)
                await to_thread.run_sync(tail.skip_hole)
                upto = None
                continue
            # Lines beyond this batch may be parsed already: commit the end of the batch itself.
            end = parsed or tail.lines
            since = tail.changed_at_ns if is_present else self._since_ns
            position = tail.position(self.name, end.offset, end.line, since)
            if parsed is not None:
                await self._adder.add_lines(self.name, parsed, report, position)
                self._committed = position
                continue
            if self._committed is None or _place(position) != _place(self._committed):
                await self._adder.add(Batch(self.name, position=position), report)
                self._committed = position
            if is_present:
                self._since_ns = tail.changed_at_ns
                self._rotated.begin(tail.inode, self._since_ns)
            return

    async def _read_between(self, tail: Tail, report: IntakeReport, successor: Tail | None = None) -> None:
        """Read the generations between a rotated file, read to its end, and the present one."""
        self._rotated.mark_read(tail)
        apart = {tail.inode} if successor is None else {tail.inode, successor.inode}
        await self._rotated.read_generations(report, tail.device, self._since_ns, apart)
        await self._rotated.report_gaps(tail, self._since_ns, report)

    async def _change(self, tail: Tail, successor: Tail, report: IntakeReport) -> None:
        """Leave a rotated file, read to its end, for the present one, after the generations between the two."""
        await self._read_between(tail, report, successor)
        former = tail.position(self._rotated.key, tail.lines.offset, tail.lines.line)
        await self._adder.add(Batch(self.name, position=former), report)
        self._committed = successor.position(self.name, 0, 0)
        await self._adder.add(Batch(self.name, position=self._committed), report)
        if tail.has_rest:
            note = "was rotated in the middle of a line, which is taken when its newline comes"
            report.noted(self.name, f"{self.name} {note}")


def _open_successor(path: str, tail: Tail) -> tuple[Tail | None, bool]:
    """Open the file that the path names now, if it is not the tail's; return it and whether there is none at all."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None, True
    if (status.st_dev, status.st_ino) == (tail.device, tail.inode):
        return None, False
    return open_tail(path), False


def _place(position: Position) -> Position:
    """Return a position without the time in its fingerprint: a file that only its time changed has no new position."""
    return replace(position, prefix_hash=position.prefix_hash.rpartition(":")[0])

"""Read the rotated files of a followed path: those that a writer may still have open, and those never opened before."""

from __future__ import annotations

from collections.abc import Collection

from anyio import to_thread

from reaper.core.errors import UsageError
from reaper.core.text import shown_path
from reaper.intake.adder import Adder
from reaper.intake.events import IntakeReport
from reaper.intake.generations import Neighbour, find_gaps, find_neighbours, find_renamed, is_generation
from reaper.intake.tail import Tail, open_tail
from reaper.queues.values import Position

MAX_FORMER = 2
"""Rotated files that are still read: a writer may have them open, and a last line may wait for its newline."""
TRIES = 5
"""A rotation can rename a file between the moment that it is found and the moment that it is opened."""


class Rotated:
    """The rotated files of one followed path. `followed`: absolute paths that are followed for themselves."""

    def __init__(self, path: str, adder: Adder, followed: Collection[str]) -> None:
        self.name = shown_path(path)
        self.key = f"{self.name} (rotated)"
        """The path under which the position in the last rotated file is kept."""
        self._path = path
        self._adder = adder
        self._followed = followed
        self._open: list[Tail] = []
        self._read_at_ns: dict[int, int] = {}
        """The last change of each file that was read to its end since `begin`, by inode."""
        self._copies: dict[int, int] = {}
        """The compressed copies of such files, by inode: each has one."""
        self._noted: set[tuple[str, int]] = set()

    def begin(self, inode: int, changed_at_ns: int) -> None:
        """Start after this file: it was read to its end, all generations before it, too."""
        self._read_at_ns, self._copies = {inode: changed_at_ns}, {}

    def mark_read(self, tail: Tail) -> None:
        """Remember that a file was read to its present end."""
        self._read_at_ns[tail.inode] = tail.changed_at_ns

    async def resume(self, position: Position | None, apart: int) -> None:
        """Open the last rotated file of an earlier process, unless it is gone or has the inode `apart`."""
        if position is not None and position.inode != apart:
            tail = await to_thread.run_sync(open_renamed, self._path, position)
            if tail is not None:
                self._open.append(tail)

    def keep(self, tail: Tail) -> None:
        """Read this file, too, until two others were rotated or it is deleted."""
        self._open.append(tail)
        while len(self._open) > MAX_FORMER:
            self._open.pop(0).close()

    def close(self) -> None:
        """Close the files."""
        for tail in self._open:
            tail.close()
        self._open = []

    async def poll(self, report: IntakeReport) -> None:
        """Add the lines that writers appended to files that were rotated."""
        for tail in list(self._open):
            is_last, before = tail is self._open[-1], tail.lines.read
            doubt = await self._read(tail, report, key=self.key if is_last else None)
            gone = await to_thread.run_sync(tail.is_deleted) and tail.lines.read == before
            if doubt is None and not gone:
                continue
            if doubt is not None or tail.has_rest:
                why = doubt or "was deleted"
                report.noted(
                    self.name,
                    f"{self.name}: a rotated file of it {why} after its line {tail.lines.line}: "
                    "what it held after that was not seen",
                )
            self._open.remove(tail)
            tail.close()

    async def open_newest(self, device: int, since_ns: int) -> Tail | None:
        """Open the generation that changed last, at `since_ns` or later; None when there is none."""
        found = await to_thread.run_sync(find_neighbours, self._path, device, since_ns, self._followed)
        newest = next((one for one in reversed(found) if one.is_generation), None)
        return None if newest is None else await to_thread.run_sync(_open_generation, newest, device)

    async def read_generations(
        self, report: IntakeReport, device: int, since_ns: int, apart: Collection[int], position: Position | None = None
    ) -> bool:
        """Add the lines of every generation that changed at `since_ns` or later, oldest first.

        `apart`: inodes that are read for themselves. Returns whether one of them holds the bytes before `position`, so
        is a copy of that file. Reports neighbours that may hold lines and are not read.
        """
        is_found, seen = False, {*apart, *(tail.inode for tail in self._open)}
        while True:
            # Searched again after each: there may be another rotation meanwhile.
            found = await to_thread.run_sync(find_neighbours, self._path, device, since_ns, self._followed)
            read = self._read_at_ns
            new = next((o for o in found if o.inode not in seen and read.get(o.inode) != o.changed_at_ns), None)
            if new is None:
                return is_found
            seen.add(new.inode)
            try:
                tail = await to_thread.run_sync(_open_generation, new, device) if new.is_generation else None
            except UsageError as error:
                report.noted(self.name, f"{error}; what it holds was not seen")
                continue
            if tail is None:
                self._report_unread(new, {one.inode for one in found}, report)
                continue
            try:
                is_found |= position is not None and await to_thread.run_sync(tail.matches, position)
                await self._read(tail, report, key=None)
            except BaseException:
                tail.close()
                raise
            self.mark_read(tail)
            self.keep(tail)

    async def report_gaps(self, tail: Tail, since_ns: int, report: IntakeReport) -> None:
        """Report that generations after a rotated file are gone: certainly where they are numbered, else possibly."""
        for sentence in await to_thread.run_sync(self._find_gaps, tail, since_ns):
            mark = (sentence, 0 if "another directory" in sentence else tail.inode)
            if mark not in self._noted:
                self._noted.add(mark)
                report.noted(self.name, sentence)
        for one in await to_thread.run_sync(self._find_alike, tail, since_ns):
            self._report_unread(one, (), report)

    def _find_gaps(self, tail: Tail, since_ns: int) -> list[str]:
        renamed = find_renamed(self._path, tail.device, tail.inode)
        if renamed is not None:
            gaps = map(shown_path, find_gaps(self._path, renamed))
            return [f"{gap}, a rotated file of {self.name}, is gone: what it held was not seen" for gap in gaps]
        later = find_neighbours(self._path, tail.device, since_ns, self._followed)
        if not tail.is_deleted():
            return [f"{self.name} is rotated into another directory, where generations between two polls are not seen"]
        if not any(one.is_generation for one in later):
            return []
        what = "was rotated more than once and the oldest file deleted: what others held that are gone was not seen"
        return [f"{self.name} {what}"]

    def _find_alike(self, tail: Tail, since_ns: int) -> list[Neighbour]:
        """Return what may be generations, because the rotated file was given a name like theirs: not one we know."""
        renamed = find_renamed(self._path, tail.device, tail.inode)
        if renamed is None or is_generation(self._path, renamed):
            return []
        found = find_neighbours(self._path, tail.device, since_ns, self._followed, also_alike=True)
        read = {tail.inode, *(one.inode for one in self._open), *self._read_at_ns}
        return [one for one in found if not one.is_generation and one.inode not in read]

    async def _read(self, tail: Tail, report: IntakeReport, key: str | None) -> str | None:
        """Add the whole lines of a file that are new; return why the file can't be trusted any more, as a predicate."""
        before, upto = tail.lines.offset, None
        while True:
            upto, parsed, doubt = await to_thread.run_sync(tail.read_lines, upto)
            if doubt is not None:
                return doubt
            end = parsed or tail.lines
            position = tail.position(key, end.offset, end.line) if key and end.offset > before else None
            if parsed is None:
                return None
            await self._adder.add_lines(self.name, parsed, report, position)

    def _is_copy(self, one: Neighbour, present: Collection[int]) -> bool:
        """Return whether a compressed file stands for one that was read and is gone: compressing keeps the time."""
        for inode, changed_at_ns in self._read_at_ns.items():
            is_replaced = changed_at_ns == one.changed_at_ns and inode not in present
            if is_replaced and self._copies.setdefault(inode, one.inode) == one.inode:
                return True
        return False

    def _report_unread(self, one: Neighbour, present: Collection[int], report: IntakeReport) -> None:
        """Report a neighbour that is not read, once, unless it is the compressed copy of a file that was read."""
        mark = (one.path, one.changed_at_ns)
        if mark in self._noted or (one.is_compressed and self._is_copy(one, present)):
            return
        self._noted.add(mark)
        shown = shown_path(one.path)
        if one.is_compressed:
            what = "is compressed: unless it was read before, what it holds was not seen (`zcat | reaper add --from -`)"
        elif one.is_generation:
            what = "is gone: what it held was not seen"
        else:
            what = "changed since, and its name is not one that rotation gives: what it holds was not seen"
        report.noted(self.name, f"{shown} beside {self.name} {what}")


def open_renamed(path: str, position: Position) -> Tail | None:
    """Open the file of a position under the name that it has now, None unless it is certainly that file. Blocks."""
    for _ in range(TRIES):
        name = find_renamed(path, position.device, position.inode)
        if name is None:
            return None
        try:
            tail = open_tail(name, position)
        except UsageError:
            return None
        if tail is not None:
            if is_at(tail, position):
                return tail
            tail.close()
            if (tail.device, tail.inode) == (position.device, position.inode):
                return None
    return None


def is_at(tail: Tail, position: Position) -> bool:
    """Return whether a tail was opened at this position, in the same file."""
    same = (tail.device, tail.inode) == (position.device, position.inode)
    return same and tail.lines.offset == position.offset


def _open_generation(one: Neighbour, device: int) -> Tail | None:
    name: str | None = one.path
    for _ in range(TRIES):
        tail = open_tail(name) if name is not None else None
        if tail is not None:
            if (tail.device, tail.inode) == (device, one.inode):
                return tail
            tail.close()
        name = find_renamed(one.path, device, one.inode)
    return None

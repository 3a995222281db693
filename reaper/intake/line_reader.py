"""Bytes to judged lines, a batch at a time, in memory that does not grow with the file or with a line."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

import anyio
from anyio import to_thread

from reaper.core.errors import UsageError
from reaper.intake.line_grammar import MAX_LINE_BYTES, parse
from reaper.queues.values import InvalidLine, NewItem

BATCH_LINES = 5000
CHUNK_BYTES = 128 * 1024
SNIFF_BYTES = 8192
"""A NUL among so many first bytes means that the file is no text; git looks as far."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """Some lines, judged. `offset` is the byte after the last of them, `line` its number."""

    items: list[NewItem]
    invalid: list[InvalidLine]
    offset: int
    line: int


class LineBuffer:
    """Cuts what is fed to it into lines and judges them, at most `BATCH_LINES` ahead of what is taken.

    Feed only while not `full`. `read` is the byte after the last one fed; `offset` and `line` tell how far lines were
    judged. A line without newline stays back until the rest of it comes, or `finish` is called.
    """

    def __init__(self, offset: int = 0, line: int = 0) -> None:
        self.read = self.offset = offset
        self.line = line
        self._todo: list[bytes] = []
        self._rest = b""
        self._cut = 0
        """How many bytes of the line in `_rest` were dropped, it being too long anyway."""
        self._items: list[NewItem] = []
        self._invalid: list[InvalidLine] = []
        self._judged = 0

    @property
    def full(self) -> bool:
        """Tell whether a whole batch is waiting to be taken."""
        return self._judged == BATCH_LINES

    @property
    def unfinished(self) -> bool:
        """Tell whether the last line fed lacks its newline."""
        return bool(self._rest)

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        assert not self.full, "take first"
        self.read += len(data)
        if len(self._rest) > MAX_LINE_BYTES:
            end = data.find(b"\n")
            self._cut += len(data) if end < 0 else end
            if end < 0:
                return
            data = data[end:]
        self._todo = (self._rest + data).split(b"\n")
        self._rest = self._todo.pop()
        if self._todo:
            self.offset += self._cut
            self._cut = 0
        if len(self._rest) > MAX_LINE_BYTES:
            # One byte more than allowed is enough to be judged too long.
            self._cut += len(self._rest) - MAX_LINE_BYTES - 1
            self._rest = self._rest[: MAX_LINE_BYTES + 1]
        self._judge()

    def finish(self) -> None:
        """Take the last line though it has no newline."""
        assert not self.full, "take first"
        if self._rest:
            self._todo, self._rest = [self._rest], b""
            self.offset += self._cut - 1
            self._cut = 0
            self._judge()

    def take(self) -> Parsed | None:
        """Return what was judged since the last call, None when that is no line at all."""
        if not self._judged:
            return None
        parsed = Parsed(self._items, self._invalid, self.offset, self.line)
        self._items, self._invalid, self._judged = [], [], 0
        self._judge()
        return parsed

    def _judge(self) -> None:
        room = BATCH_LINES - self._judged
        lines, self._todo = self._todo[:room], self._todo[room:]
        for number, line in enumerate(lines, self.line + 1):
            match parse(line, number):
                case NewItem() as item:
                    self._items.append(item)
                case InvalidLine() as invalid:
                    self._invalid.append(invalid)
                case None:
                    pass
        self.line += len(lines)
        self._judged += len(lines)
        self.offset += sum(map(len, lines)) + len(lines)


class Reader:
    """Reads a file or a stream from where it stands to its end. It does not own the descriptor.

    Blocking reads happen in a thread, one hop per batch; waiting for a pipe, a socket or a terminal can be cancelled.
    """

    def __init__(self, fd: int, source: str) -> None:
        self.lines = LineBuffer()
        self._fd = fd
        self._source = source
        self._ended = False
        mode = os.fstat(fd).st_mode
        self._streams = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)

    async def next(self) -> Parsed | None:
        """Return the next lines, the last one without newline included; None at the end.

        Raises UsageError when the input is binary, before any line of it was returned; OSError when it can't be read.
        """
        while not self.lines.full and not self._ended:
            if self._streams:
                # A thread stuck in read() could not be cancelled, and would keep the process from ending.
                await anyio.wait_readable(self._fd)
            await to_thread.run_sync(self._fill)
        return await to_thread.run_sync(self.lines.take)

    def _fill(self) -> None:
        while not self.lines.full and not self._ended:
            try:
                data = os.read(self._fd, CHUNK_BYTES)
            except BlockingIOError:
                return
            if self.lines.read < SNIFF_BYTES:
                refuse_binary(data[: SNIFF_BYTES - self.lines.read], self._source)
            if data:
                self.lines.feed(data)
            else:
                self.lines.finish()
                self._ended = True
            if self._streams:
                return


def refuse_binary(head: bytes, source: str) -> None:
    """Raise UsageError when the first bytes of an input are not those of a text."""
    if b"\0" in head:
        raise UsageError(f"{source} looks binary; give a text with one session ID, or one JSON object, per line")

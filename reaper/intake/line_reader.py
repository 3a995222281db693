"""Turn bytes into parsed lines, a batch at a time, in memory that grows neither with the file nor with a line."""

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
"""A NUL among the first 8192 bytes means that the file is binary; git checks 8000."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """Parsed lines. `offset` is the byte after the last of them, `line` its number."""

    items: list[NewItem]
    invalid: list[InvalidLine]
    offset: int
    line: int


class LineBuffer:
    """Splits bytes into lines and parses them, at most `BATCH_LINES` before `take` is called.

    Feed only while not `full`. `read` is the byte after the last one fed; `offset` and `line` are the end of the last
    parsed line. A line without newline is kept until its rest arrives or `finish` is called.
    """

    def __init__(self, offset: int = 0, line: int = 0) -> None:
        self.read = self.offset = offset
        self.line = line
        self._pending: list[bytes] = []
        self._rest = b""
        self._cut = 0
        """Number of bytes dropped from the line in `_rest`, because it is too long anyway."""
        self._items: list[NewItem] = []
        self._invalid: list[InvalidLine] = []
        self._parsed = 0

    @property
    def full(self) -> bool:
        """Return True when a whole batch is ready: call `take` before feeding more."""
        return self._parsed == BATCH_LINES

    def feed(self, data: bytes) -> None:
        """Add the next bytes."""
        assert not self.full, "take first"
        self.read += len(data)
        if len(self._rest) > MAX_LINE_BYTES:
            end = data.find(b"\n")
            self._cut += len(data) if end < 0 else end
            if end < 0:
                return
            data = data[end:]
        self._pending = (self._rest + data).split(b"\n")
        self._rest = self._pending.pop()
        if self._pending:
            self.offset += self._cut
            self._cut = 0
        if len(self._rest) > MAX_LINE_BYTES:
            # One byte more than allowed suffices for the parser to refuse the line.
            self._cut += len(self._rest) - MAX_LINE_BYTES - 1
            self._rest = self._rest[: MAX_LINE_BYTES + 1]
        self._parse()

    def finish(self) -> None:
        """Parse the last line although it has no newline."""
        assert not self.full, "take first"
        if self._rest:
            self._pending, self._rest = [self._rest], b""
            self.offset += self._cut - 1
            self._cut = 0
            self._parse()

    def take(self) -> Parsed | None:
        """Return the lines parsed since the last call, None when there are none."""
        if not self._parsed:
            return None
        parsed = Parsed(self._items, self._invalid, self.offset, self.line)
        self._items, self._invalid, self._parsed = [], [], 0
        self._parse()
        return parsed

    def _parse(self) -> None:
        free = BATCH_LINES - self._parsed
        lines, self._pending = self._pending[:free], self._pending[free:]
        for number, line in enumerate(lines, self.line + 1):
            match parse(line, number):
                case NewItem() as item:
                    self._items.append(item)
                case InvalidLine() as invalid:
                    self._invalid.append(invalid)
                case None:
                    pass
        self.line += len(lines)
        self._parsed += len(lines)
        self.offset += sum(map(len, lines)) + len(lines)


class Reader:
    """Reads a file or a stream from its current position to its end. The caller owns the descriptor.

    Blocking reads run in a thread, one call per batch; waiting for a pipe, a socket or a terminal can be cancelled.
    """

    def __init__(self, fd: int, source: str) -> None:
        self.lines = LineBuffer()
        self._fd = fd
        self._source = source
        self._at_end = False
        self._line = 0
        mode = os.fstat(fd).st_mode
        self._is_stream = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)

    async def next(self) -> Parsed | None:
        """Return the next lines, including a last one without newline; None at the end.

        Raises UsageError for a binary input, before any of its lines was returned, and when a read fails.
        """
        while not self.lines.full and not self._at_end:
            try:
                if self._is_stream:
                    # A thread blocked in read() cannot be cancelled and would keep the process from exiting.
                    await anyio.wait_readable(self._fd)
                await to_thread.run_sync(self._fill)
            except OSError as error:
                why = f"{error.strerror or error}; its first {self._line} lines were read"
                raise UsageError(f"{self._source} could not be read to its end: {why}") from error
        parsed = await to_thread.run_sync(self.lines.take)
        if parsed is not None:
            self._line = parsed.line
        return parsed

    def _fill(self) -> None:
        while not self.lines.full and not self._at_end:
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
                self._at_end = True
            if self._is_stream:
                return


def refuse_binary(head: bytes, source: str) -> None:
    """Raise UsageError when the first bytes of an input contain a NUL."""
    if b"\0" in head:
        raise UsageError(f"{source} looks binary; give a text with one session ID, or one JSON object, per line")

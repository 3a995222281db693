"""Turn bytes into parsed lines, a batch at a time, in memory that grows neither with the file nor with a line."""

from __future__ import annotations

import codecs
import math
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import anyio
from anyio import to_thread

from reaper.core.errors import UsageError
from reaper.core.text import describe_unforeseen
from reaper.intake.json_document import MAX_DOCUMENT_BYTES, Document, is_document
from reaper.intake.line_grammar import MAX_LINE_BYTES, Title, parse, parse_entry
from reaper.queues.values import InvalidLine, NewItem

BATCH_LINES = 5000
CHUNK_BYTES = 128 * 1024
COMMIT_S = 0.2
"""Lines of a stream wait at most so long for others of their batch."""
SNIFF_BYTES = 8192
"""A NUL among the first 8192 bytes means that the file is binary; git checks 8000."""


_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, slots=True)
class Parsed:
    """Parsed lines. `offset` is the byte after the last of them, `line` its number."""

    items: list[NewItem]
    invalid: list[InvalidLine]
    offset: int
    line: int
    notes: list[str] = field(default_factory=list)
    """What the operator should know of them beside the invalid ones: sentences."""
    is_document: bool = False
    """Whether they are entries of a JSON document; `line` is then the number of the last one."""


class LineBuffer:
    """Splits bytes into lines and parses them, at most `BATCH_LINES` before `take` is called.

    Feed only while not `full`. `read` is the byte after the last one fed; `offset` and `line` are the end of the last
    parsed line. A line without newline is kept until its rest arrives or `finish` is called.
    """

    def __init__(self, offset: int = 0, line: int = 0) -> None:
        self.read = self.offset = offset
        self.line = line
        self._first = 1
        """The number of the first line that is neither blank nor a comment, as far as they were parsed."""
        self._pending: list[bytes] = []
        self._rest = b""
        self._cut = 0
        """Number of bytes dropped from the line in `_rest`, because it is too long anyway."""
        self._batch = Parsed([], [], offset, line)
        self._parsed = 0

    @property
    def waiting(self) -> bool:
        """Return True when there is something to take."""
        return self._parsed > 0

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
        parsed = replace(self._batch, offset=self.offset, line=self.line)
        self._batch, self._parsed = Parsed([], [], self.offset, self.line), 0
        self._parse()
        return parsed

    def _parse(self) -> None:
        free = BATCH_LINES - self._parsed
        lines, self._pending = self._pending[:free], self._pending[free:]
        for number, line in enumerate(lines, self.line + 1):
            _collect(_parse_safely(self._parse_line, line, number), self._batch)
        self.line += len(lines)
        self._parsed += len(lines)
        self.offset += sum(map(len, lines)) + len(lines)

    def _parse_line(self, line: bytes, number: int) -> NewItem | InvalidLine | Title | None:
        found = parse(line, number, self._first)
        if found is None and number == self._first:
            self._first += 1
        return found


class Reader:
    """Reads a file or a stream from its current position to its end: lines, or a JSON document.

    The caller owns the descriptor. Blocking reads run in a thread, one call per batch; waiting for a pipe, a socket or
    a terminal can be cancelled, and then no line that was read is lost: `next` or `lines.take` returns it. Lines that
    trickle are returned every `COMMIT_S`, a document only when all of it was read and checked. Reading ends at
    `stop_at` (by the event loop): then `was_cut`, unless the input ended before.
    """

    def __init__(
        self, fd: int, source: str, stop_at: float = math.inf, max_document_bytes: int = MAX_DOCUMENT_BYTES
    ) -> None:
        self.lines = LineBuffer()
        self.was_cut = False
        self._stop_at = stop_at
        self._fd = fd
        self._source = source
        self._read = 0
        self._at_end = False
        self._line = 0
        self._head: bytearray | None = bytearray()
        """The first bytes, until they show whether it is a document; then None."""
        self._document: Document | None = None
        self._max_document_bytes = max_document_bytes
        mode = os.fstat(fd).st_mode
        self._is_stream = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)

    async def next(self) -> Parsed | None:
        """Return the next lines, including a last one without newline; None at the end.

        Raises UsageError for a binary input, before any of its lines was returned, for a JSON document that cannot be
        used, of which then no entry was returned, and when a read fails.
        """
        commit_at = math.inf
        while not self.lines.full and not self._at_end:
            if self.lines.waiting:
                commit_at = min(commit_at, anyio.current_time() + COMMIT_S)
            try:
                if not await self._readable(min(commit_at, self._stop_at)):
                    self.was_cut = anyio.current_time() >= self._stop_at
                    break
                await to_thread.run_sync(self._fill)
            except OSError as error:
                why = f"{error.strerror or error}; its first {self._line} lines were read"
                raise UsageError(f"{self._source} could not be read to its end: {why}") from error
        parsed = await to_thread.run_sync(self._take)
        if parsed is not None:
            self._line = parsed.line
        return parsed

    async def _readable(self, until: float) -> bool:
        """Wait until the next read will not block; return False when `until` comes first."""
        if not self._is_stream:
            return anyio.current_time() < until
        with anyio.CancelScope(deadline=until):
            # A thread blocked in read() cannot be cancelled and would keep the process from exiting.
            await anyio.wait_readable(self._fd)
            return True
        return False

    def _fill(self) -> None:
        while not self.lines.full and not self._at_end:
            try:
                data = os.read(self._fd, CHUNK_BYTES)
            except BlockingIOError:
                return
            if self._read < SNIFF_BYTES:
                refuse_binary(data[: SNIFF_BYTES - self._read], self._source)
            self._read += len(data)
            self._at_end = not data
            self._feed(data)
            if self._is_stream:
                return

    def _feed(self, data: bytes) -> None:
        """Add the next bytes to what they belong to, or to the head until that is known."""
        if self._head is not None:
            self._head += data
            found = is_document(self._head, at_end=self._at_end)
            if found is None and len(self._head) <= self._max_document_bytes:
                return
            data, self._head = bytes(self._head), None
            if found is not False:
                self._document = Document(self._source, self._max_document_bytes)
        if self._document is not None:
            self._document.feed(data)
            if self._at_end:
                self._document.finish()
            return
        if data:
            self.lines.feed(data)
        if self._at_end and not self.lines.full:
            self.lines.finish()

    def _take(self) -> Parsed | None:
        if self._document is None:
            parsed = self.lines.take()
            if self._at_end and not self.lines.full:
                self.lines.finish()
            return parsed
        return self._take_entries(self._document) if self._at_end else None

    def _take_entries(self, document: Document) -> Parsed | None:
        parsed, number = Parsed([], [], 0, 0, is_document=True), self._line
        while number < self._line + BATCH_LINES and (entry := document.next()) is not None:
            number += 1
            _collect(_parse_safely(parse_entry, entry, number), parsed)
        return replace(parsed, line=number) if number > self._line else None


def _parse_safely(parse_one: Callable[[bytes, int], _Parsed], text: bytes, number: int) -> _Parsed | InvalidLine:
    """Parse one line or entry. An error that nobody foresaw makes it invalid, and no other one."""
    try:
        return parse_one(text, number)
    except Exception as error:  # noqa: BLE001 - no single line may stop the others
        return InvalidLine(number, describe_unforeseen(error), "")


def _collect(found: NewItem | InvalidLine | Title | None, batch: Parsed) -> None:
    match found:
        case NewItem():
            batch.items.append(found)
        case InvalidLine():
            batch.invalid.append(found)
        case Title():
            batch.notes.append(found.note)
        case None:
            pass


def refuse_binary(head: bytes, source: str) -> None:
    """Raise UsageError when the first bytes of an input contain a NUL."""
    if b"\0" in head:
        remedy = "a UTF-16 file, as Windows writes, becomes one by: iconv -f UTF-16 -t UTF-8"
        if not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            remedy = "IDs that NULs separate, as find -print0 writes them, become one by: tr '\\0' '\\n'"
        raise UsageError(
            f"{source} looks binary; give a text with one session ID, or one JSON object, per line ({remedy})"
        )

"""Standard error that holds nobody up: its reader may be slow, stand still, or be gone.

A write that cannot block goes straight to the descriptor. Where it might (a full pipe, a stopped terminal), a thread
writes from a bounded buffer. While the reader is slow, `is_behind` asks the work to wait; once it has taken nothing for
`STUCK_S`, lines are dropped where the buffer is full, info first, and counted. The descriptor is shared with other
programs, so it is never made non-blocking.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import select
import stat
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

STUCK_S = 1.0
BEHIND_BYTES = 64 * 1024
"""From so many buffered bytes on the work waits, as long as the reader takes some."""
MAX_INFO_BYTES, MAX_BYTES = 256 * 1024, 1024 * 1024
"""Limits of the buffer: for lines of level info and below, and for all."""
PIECE_BYTES = 4096
"""A pipe that poll(2) calls writable has room for so many bytes (PIPE_BUF on Linux), a socket for more."""
FLUSH_S = 5.0
_BEGUN: Final = logging.CRITICAL + 1
"""The level of the rest of a line that was written in part: it is never dropped."""


class StderrWriter:
    """Writes lines to one descriptor. Threads may share it."""

    def __init__(self, fd: int, now: Callable[[], float] = time.monotonic) -> None:
        self._fd, self._now = fd, now
        mode = os.fstat(fd).st_mode
        self._never_blocks = stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(fd))
        self._is_pipe = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._changed = threading.Condition()
        self._pending: deque[tuple[int, bytes]] = deque()
        self._pending_bytes = self._pending_infos = 0
        self._thread: threading.Thread | None = None
        self._written = 0
        self._seen: tuple[int, int] = (0, 0)
        self._progress_at = now()
        self.dropped = {"info": 0, "warning": 0}
        """Lines that were never written, by their level: up to info, and from warning on."""
        self._reported = dict(self.dropped)
        self._fails = False
        """Whether the last write failed. What is lost then is said when one works again: a reader that is gone would
        lose that line, too, and each such loss would be one more to say, for ever."""

    def write(self, lines: Sequence[tuple[int, bytes]]) -> None:
        """Write lines, each with its level of `logging`, now or when the reader takes them. Never blocks."""
        with self._changed:
            done = 0
            if not self._pending:
                data = b"".join([line for _, line in lines])
                try:
                    done = self._write_ready(data)
                except OSError:
                    self._count(lines)  # the reader is gone, or the disk is full
                    self._fails = True
                    return
                self._fails = False
                if done == len(data):
                    return
            for level, line in lines:
                if done >= len(line):
                    done -= len(line)
                elif done:
                    self._add(_BEGUN, line[done:])
                    done = 0
                else:
                    self._add(level, line)

    @property
    def is_behind(self) -> bool:
        """Whether the reader takes lines, but more slowly than they come: whoever makes more should wait."""
        if self._pending_bytes <= BEHIND_BYTES:
            return False
        with self._changed:
            return not self._is_stuck()

    def take_lost(self) -> dict[str, int]:
        """Return how many lines were dropped since the last call, once the buffer is empty again; else nothing.

        Nothing, too, after a write that failed.
        """
        if self._pending or self._fails or self._reported == self.dropped:
            return {}
        with self._changed:
            lost = {name: count - self._reported[name] for name, count in self.dropped.items()}
            self._reported = dict(self.dropped)
        return lost

    def flush(self, within_s: float = FLUSH_S) -> bool:
        """Wait until all is written, no longer than the reader takes some; return whether all is."""
        until = self._now() + within_s
        with self._changed:
            self._progress_at = self._now()  # a reader that begins now has its whole time
            while self._pending and self._now() < until and not self._is_stuck():
                self._changed.wait(0.05)
            return not self._pending

    def _write_ready(self, data: bytes) -> int:
        """Write as much as cannot block; return how many bytes."""
        if self._never_blocks:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            return len(data)
        done = 0
        while self._is_pipe and done < len(data) and self._poll.poll(0):
            try:
                done += os.write(self._fd, data[done : done + PIECE_BYTES])
            except BlockingIOError:  # another program made it non-blocking
                break
        return done

    def _add(self, level: int, line: bytes) -> None:
        if not self._pending:
            self._progress_at, self._seen = self._now(), (self._written, _unread(self._fd))
        info = level < logging.WARNING
        if info and self._pending_bytes > MAX_INFO_BYTES and self._is_stuck():
            self._count([(level, line)])
            return
        if self._pending_bytes + len(line) > MAX_BYTES and level != _BEGUN:
            if self._pending_infos:
                self._evict_info()
            if info or self._pending_bytes + len(line) > MAX_BYTES:
                self._count([(level, line)])
                return
        self._pending.append((level, line))
        self._pending_bytes += len(line)
        self._pending_infos += info
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_pending, name="stderr", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _evict_info(self) -> None:
        """Drop every buffered line of level info but the one that is being written."""
        begun, *rest = self._pending
        self._count([entry for entry in rest if entry[0] < logging.WARNING])
        self._pending = deque([(_BEGUN, begun[1]), *(entry for entry in rest if entry[0] >= logging.WARNING)])
        self._pending_bytes = sum(len(line) for _, line in self._pending)
        self._pending_infos = 0

    def _count(self, lines: Sequence[tuple[int, bytes]]) -> None:
        for level, _ in lines:
            self.dropped["info" if level < logging.WARNING else "warning"] += 1

    def _is_stuck(self) -> bool:
        """Return whether the reader has taken nothing for `STUCK_S` though something waits for it."""
        seen = (self._written, _unread(self._fd))
        if seen != self._seen:
            self._seen, self._progress_at = seen, self._now()
        return self._now() - self._progress_at >= STUCK_S

    def _write_pending(self) -> None:
        """Write what is buffered, line by line; a line leaves the buffer when it is written."""
        while True:
            with self._changed:
                while not self._pending:
                    self._changed.wait()
                level, line = self._pending[0]
            rest = memoryview(line)
            try:
                while rest:
                    try:
                        written = os.write(self._fd, rest[:PIECE_BYTES])
                    except BlockingIOError:
                        select.select([], [self._fd], [])
                        continue
                    self._written += written
                    rest = rest[written:]
                self._fails = False
            except OSError:
                self._count([(level, line)])
                self._fails = True
            with self._changed:
                level, line = self._pending.popleft()
                self._pending_bytes -= len(line)
                self._pending_infos -= level < logging.WARNING
                self._changed.notify_all()


def _unread(fd: int) -> int:
    """Return how many bytes the reader of a pipe, a socket or a terminal has not taken yet; 0 where nobody knows."""
    buffer = bytearray(4)
    with suppress(OSError):
        mode = os.fstat(fd).st_mode
        fcntl.ioctl(fd, termios.FIONREAD if stat.S_ISFIFO(mode) else termios.TIOCOUTQ, buffer)
    return int.from_bytes(buffer, sys.byteorder)


class _Raw(io.RawIOBase):
    """The descriptor's stream for `sys.stderr`: prints of Python, of libraries and of displays."""

    def __init__(self, writer: StderrWriter, fd: int, encoding: str) -> None:
        self.writer, self._fd, self._encoding = writer, fd, encoding
        self.take_line: Callable[[str], object] | None = None
        """Gets each printed line instead of the descriptor."""
        self._begun = b""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def fileno(self) -> int:
        return self._fd

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.take_line is None:
            self.writer.write([(logging.WARNING, bytes(data))])
        else:
            *lines, self._begun = (self._begun + bytes(data)).split(b"\n")
            for line in lines:
                self.take_line(line.decode(self._encoding, "backslashreplace"))
        return len(data)

    def flush(self) -> None:
        """Give away a line that has no end yet."""
        line, self._begun = self._begun, b""
        if line and self.take_line is not None:
            self.take_line(line.decode(self._encoding, "backslashreplace"))


def guard_stderr() -> None:
    """Replace `sys.stderr`, if it is the process's own, by one that nobody's reading holds up."""
    stream = sys.stderr
    if stream is sys.__stderr__ and isinstance(stream, io.TextIOWrapper):
        stream.flush()
        raw = _Raw(StderrWriter(stream.fileno()), stream.fileno(), stream.encoding)
        sys.stderr = io.TextIOWrapper(
            raw,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=True,
            write_through=True,
        )


def writer_of(stream: object) -> StderrWriter | None:
    """Return the writer of a guarded stream; None for another stream."""
    raw = getattr(stream, "buffer", None)
    return raw.writer if isinstance(raw, _Raw) else None


def divert_prints(stream: object, take_line: Callable[[str], object] | None) -> None:
    """Give each line printed to a guarded stream to `take_line`; None: print it."""
    raw = getattr(stream, "buffer", None)
    if isinstance(raw, _Raw):
        raw.flush()
        raw.take_line = take_line


def flush_stderr() -> bool:
    """Wait until all lines are written, for as long as somebody reads them; return whether all are."""
    raw = getattr(sys.stderr, "buffer", None)
    if not isinstance(raw, _Raw):
        return True
    raw.flush()
    return raw.writer.flush()

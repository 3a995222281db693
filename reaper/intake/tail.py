"""Read a growing file: the position so far, and whether it is still the same file."""

from __future__ import annotations

import errno
import hashlib
import os

from reaper.core import files
from reaper.core.errors import UsageError
from reaper.core.text import shown_path
from reaper.intake.line_reader import CHUNK_BYTES, LineBuffer, Parsed
from reaper.queues.values import Position

PREFIX_BYTES = 1024
"""The hash of the first 1024 bytes distinguishes a file from another one that got the same inode number."""
LATEST_BYTES = 1024
"""The hash of the last 1024 bytes before the position distinguishes a file that grew from one that was written anew."""

OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of an open that are not the fault of the file: the next poll tries again."""

_VERSION = "2"


class Tail:
    """An open regular file and the lines read from it. All methods block briefly: call them in a thread."""

    def __init__(self, fd: int, offset: int = 0, line: int = 0) -> None:
        """Take over `fd`. `offset` and `line`: the end of an earlier reading, whose fingerprint was verified."""
        status = os.fstat(fd)
        self.device = status.st_dev
        self.inode = status.st_ino
        self.changed_at_ns = status.st_mtime_ns
        self.fd = fd
        self.start_over(offset, line)

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)

    def size(self) -> int:
        """Return the current size in bytes, and keep the time of the last change before it."""
        status = os.fstat(self.fd)
        self.changed_at_ns = status.st_mtime_ns
        return status.st_size

    def position(self, path: str, offset: int, line: int, since_ns: int | None = None) -> Position:
        """Return the position after line `line`, which ends before byte `offset`, of the file followed as `path`.

        The hashes are those of the bytes that were read, not of the bytes that stand there now. `since_ns`: files that
        changed before were read; None: before the last change of this file.
        """
        head = self._head[:offset]
        marks = (
            _VERSION,
            _hash(head),
            _hash(self._before(offset)),
            str(self.changed_at_ns if since_ns is None else since_ns),
        )
        return Position(path, self.device, self.inode, len(head), ":".join(marks), offset, line)

    def is_deleted(self) -> bool:
        """Return whether no path names the file any more."""
        return os.fstat(self.fd).st_nlink == 0

    @property
    def has_rest(self) -> bool:
        """Return whether a last line waits for its newline."""
        return self.lines.read > self.lines.offset

    def matches(self, position: Position) -> bool:
        """Return whether the file holds the bytes before `position`, whichever file that was."""
        return holds(self.fd, position)

    def head(self, size: int) -> bytes:
        """Return the first bytes of the file as it is now."""
        return os.pread(self.fd, size, 0)

    def changed(self) -> str | None:
        """Return why the file no longer holds the bytes that were read, as a predicate; None while it does."""
        if self.size() < self.lines.read:
            return "was truncated"
        latest = self._window[-LATEST_BYTES:]
        if os.pread(self.fd, len(self._head), 0) != self._head or (
            os.pread(self.fd, len(latest), self.lines.read - len(latest)) != latest
        ):
            return "was overwritten"
        return None

    def start_over(self, offset: int = 0, line: int = 0) -> None:
        """Continue at byte `offset`, after line `line`."""
        self.lines = LineBuffer(offset, line)
        self._head = os.pread(self.fd, min(PREFIX_BYTES, offset), 0)
        begin = max(0, offset - LATEST_BYTES)
        self._window = os.pread(self.fd, offset - begin, begin)
        """The bytes before `lines.read`: those of the last chunk, and 1024 before it."""
        self._line_start = (offset, self._window)
        """The end of the last whole line before the last chunk, and the bytes before it."""

    def skip_hole(self) -> None:
        """Start over behind NULs at the start: a writer that does not append leaves them when its file is truncated."""
        offset, size = 0, self.size()
        while offset < size:
            data = os.pread(self.fd, CHUNK_BYTES, offset)
            offset += len(data) - len(data.lstrip(b"\0"))
            if not data or data.strip(b"\0"):
                break
        self.start_over(offset)

    def fill(self, upto: int) -> None:
        """Read until a batch is full, the byte `upto` or the end."""
        while not self.lines.full and self.lines.read < upto:
            data = os.pread(self.fd, min(CHUNK_BYTES, upto - self.lines.read), self.lines.read)
            if not data:
                return
            if len(self._head) < PREFIX_BYTES:
                self._head = (self._head + data)[:PREFIX_BYTES]
            self._line_start = (self.lines.offset, self._before(self.lines.offset))
            self._window = self._window[-LATEST_BYTES:] + data
            self.lines.feed(data)

    def read_lines(self, upto: int | None) -> tuple[int, Parsed | None, str | None]:
        """Return the end of this reading, the next lines, and why they can't be trusted (None: they can).

        `upto` is the end of this reading; None: the current size. The check comes after the read: a file that was
        overwritten meanwhile could yield fragments of lines that are valid IDs.
        """
        size = self.size() if upto is None else upto
        self.fill(size)
        doubt = self.changed()
        return size, None if doubt else self.lines.take(), doubt

    def _before(self, offset: int) -> bytes:
        """Return up to 1024 bytes before `offset`, the end of a line of the last chunk or of the last one before it."""
        end, before = self._line_start
        if offset == end:
            return before
        end = len(self._window) - (self.lines.read - offset)
        return self._window[max(0, end - LATEST_BYTES) : end]


def open_tail(
    path: str, position: Position | None = None, *, at: int | None = None, shown: str | None = None
) -> Tail | None:
    """Open a file at `position` if it is certainly the same file, else at its start; None when it does not exist.

    `at`: the descriptor of the directory that `path` is a name in; a link there is refused. `shown`: its name in
    messages. "Certainly": device, inode
    and fingerprint are equal, and the file is not shorter. Raises UsageError when it cannot be read or is not a regular
    file, OSError when this process or the machine has too few resources.
    """
    fd = open_regular_file(path, at=at, shown=shown)
    if fd is None:
        return None
    try:
        if position is not None and continues(fd, position):
            return Tail(fd, position.offset, position.line)
        return Tail(fd)
    except BaseException:
        os.close(fd)
        raise


def open_regular_file(path: str, *, at: int | None = None, shown: str | None = None) -> int | None:
    """Open a regular file; None when it does not exist. Raises as `open_tail` does."""
    try:
        return files.open_regular(path, at=at)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in OUT_OF_RESOURCES:
            raise
        if error.errno == errno.EINVAL:
            raise UsageError(f"{shown or shown_path(path)} is not used: {error.strerror}") from error
        raise UsageError(f"{shown or shown_path(path)} cannot be read: {error.strerror}") from error


def continues(fd: int, position: Position) -> bool:
    """Return whether an open file is certainly the one of `position`, with the same bytes before it."""
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) != (position.device, position.inode):
        return False
    return holds(fd, position)


def holds(fd: int, position: Position) -> bool:
    """Return whether an open file holds the bytes before `position`, by their fingerprint."""
    if os.fstat(fd).st_size < position.offset or position.prefix_bytes != min(PREFIX_BYTES, position.offset):
        return False
    version, *marks = position.prefix_hash.split(":")
    if version != _VERSION:  # of an earlier version of reaper: the hash of the prefix alone
        marks = [version]
    if _hash(os.pread(fd, position.prefix_bytes, 0)) != marks[0]:
        return False
    begin = max(0, position.offset - LATEST_BYTES)
    latest = os.pread(fd, position.offset - begin, begin)
    return _hash(latest) == marks[1] if len(marks) > 1 else not latest or latest.endswith(b"\n")


def since_ns(position: Position) -> int | None:
    """Return the time before which all changes were read; None for a position of an earlier version."""
    version, *marks = position.prefix_hash.split(":")
    return int(marks[2]) if version == _VERSION else None


def _hash(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()

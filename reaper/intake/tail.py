"""Read a growing file: the position so far, and whether it is still the same file."""

from __future__ import annotations

import hashlib
import os
import stat

from reaper.core.errors import UsageError
from reaper.intake.line_reader import CHUNK_BYTES, LineBuffer
from reaper.queues.values import Position

PREFIX_BYTES = 1024
"""The hash of the first 1024 bytes distinguishes a file from another one that got the same inode number."""


class Tail:
    """An open regular file and the lines read from it. All methods block briefly: call them in a thread."""

    def __init__(self, fd: int, offset: int = 0, line: int = 0) -> None:
        """Take over `fd`. `offset` and `line`: the end of an earlier reading, whose prefix was verified."""
        status = os.fstat(fd)
        self.device = status.st_dev
        self.inode = status.st_ino
        self._fd = fd
        self.start_over(offset, line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def size(self) -> int:
        """Return the current size in bytes."""
        return os.fstat(self._fd).st_size

    def position(self, path: str, offset: int, line: int) -> Position:
        """Return the position after line `line`, which ends before byte `offset`, of the file followed as `path`."""
        head = self._head[:offset]
        return Position(path, self.device, self.inode, len(head), _hash(head), offset, line)

    def changed(self) -> str | None:
        """Return why the file no longer begins with the bytes that were read, as a predicate; None while it does."""
        if self.size() < self.lines.read:
            return "was truncated"
        if os.pread(self._fd, len(self._head), 0) != self._head:
            return "was overwritten"
        return None

    def start_over(self, offset: int = 0, line: int = 0) -> None:
        """Continue at byte `offset`, after line `line`."""
        self.lines = LineBuffer(offset, line)
        self._head = os.pread(self._fd, min(PREFIX_BYTES, offset), 0)

    def fill(self, upto: int) -> None:
        """Read until a batch is full, the byte `upto` or the end."""
        while not self.lines.full and self.lines.read < upto:
            data = os.pread(self._fd, min(CHUNK_BYTES, upto - self.lines.read), self.lines.read)
            if not data:
                return
            if len(self._head) < PREFIX_BYTES:
                self._head = (self._head + data)[:PREFIX_BYTES]
            self.lines.feed(data)


def open_tail(path: str, position: Position | None = None) -> Tail | None:
    """Open a file at `position` if it is certainly the same file, else at its start; None when it does not exist.

    "Certainly": device, inode and prefix are equal, the file is not shorter, and a line begins there. Raises UsageError
    when it cannot be read or is not a regular file.
    """
    try:
        # O_NONBLOCK: opening a FIFO would block; it is refused below.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise UsageError(f"{path} is not a regular file; only such can be followed")
        if position is not None and _continues(fd, position):
            return Tail(fd, position.offset, position.line)
        return Tail(fd)
    except BaseException:
        os.close(fd)
        raise


def find_rotated(path: str, position: Position) -> str | None:
    """Return the path of the file of `position` if it was renamed in the directory of `path`, as logrotate does."""
    directory, name = os.path.split(path)
    stem = name.split(".")[0] or name
    try:
        with os.scandir(directory or ".") as entries:
            for entry in entries:
                if not entry.name.startswith(stem) or entry.name == name or entry.inode() != position.inode:
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_dev == position.device:
                    return os.path.join(directory, entry.name)
    except OSError:
        return None
    return None


def _continues(fd: int, position: Position) -> bool:
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) != (position.device, position.inode) or status.st_size < position.offset:
        return False
    if position.prefix_bytes != min(PREFIX_BYTES, position.offset):
        return False
    if _hash(os.pread(fd, position.prefix_bytes, 0)) != position.prefix_hash:
        return False
    return position.offset == 0 or os.pread(fd, 1, position.offset - 1) == b"\n"


def _hash(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()

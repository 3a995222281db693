"""One file that grows: where reading it stands, and whether it is still the file it was."""

from __future__ import annotations

import hashlib
import os
import stat

from reaper.core.errors import UsageError
from reaper.intake.line_reader import CHUNK_BYTES, LineBuffer
from reaper.queues.values import Position

PREFIX_BYTES = 1024
"""So much of a file's beginning tells it from another one with its inode number."""


class Tail:
    """An open regular file with the lines read from it so far. All methods block briefly: call them in a thread."""

    def __init__(self, fd: int, offset: int = 0, line: int = 0) -> None:
        """Own `fd`; `offset` and `line` are where a former reading ended, the first `PREFIX_BYTES` of it verified."""
        status = os.fstat(fd)
        self.device = status.st_dev
        self.inode = status.st_ino
        self._fd = fd
        self._begin(offset, line)
        self._head = os.pread(fd, min(PREFIX_BYTES, offset), 0)

    def _begin(self, offset: int, line: int) -> None:
        self.lines = LineBuffer(offset, line)
        self._head = b""

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def size(self) -> int:
        """Return how long the file is now."""
        return os.fstat(self._fd).st_size

    def position(self, path: str, offset: int, line: int) -> Position:
        """Return the position after line `line`, which ends before byte `offset`, of the file followed as `path`."""
        head = self._head[:offset]
        return Position(path, self.device, self.inode, len(head), _hash(head), offset, line)

    def changed(self) -> str | None:
        """Return in words why the file is no longer a continuation of what was read, None while it is."""
        if self.size() < self.lines.read:
            return "was truncated"
        if os.pread(self._fd, len(self._head), 0) != self._head:
            return "was overwritten"
        return None

    def start_over(self) -> None:
        """Go back to the first byte."""
        self._begin(0, 0)

    def fill(self, upto: int) -> None:
        """Read until a batch is full, or to the byte `upto`, or to the end."""
        while not self.lines.full and self.lines.read < upto:
            data = os.pread(self._fd, min(CHUNK_BYTES, upto - self.lines.read), self.lines.read)
            if not data:
                return
            if len(self._head) < PREFIX_BYTES:
                self._head = (self._head + data)[:PREFIX_BYTES]
            self.lines.feed(data)


def open_tail(path: str, position: Position | None = None) -> Tail | None:
    """Open a file at its start, or where `position` ended if it is certainly that file; None when it is not there.

    "Certainly" is: device, inode and prefix are the same, nothing is missing, and a line begins there. Otherwise the
    tail stands at 0. Raises UsageError when it cannot be read or is not a regular file.
    """
    try:
        # A FIFO would block the open, and is refused below.
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
    """Return the path of the file that `position` is about, renamed beside `path` as logrotate does; else None."""
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

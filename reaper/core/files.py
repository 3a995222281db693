"""Open and read files that the operator or other programs give: regular ones only, without waiting for a writer.

In place of any of them may stand a FIFO, a device or a directory. Opening or reading one could block for ever, read
without end or change the device. The only file access of this room, because every other room needs it.
"""

from __future__ import annotations

import errno
import os
import stat

CHUNK_BYTES = 1 << 20

_KINDS = (
    (stat.S_ISREG, "regular file"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def open_regular(path: str | os.PathLike[str], *, at: int | None = None) -> int:
    """Open a regular file for reading and return its descriptor, never waiting for a writer.

    `at`: the descriptor of the directory in which `path` is a name; a link there is not followed. Raises OSError whose
    `strerror` says what stands there instead.
    """
    _refuse_other(os.stat(path, dir_fd=at, follow_symlinks=at is None).st_mode, path)  # opening a device may act on it
    more = 0 if at is None else os.O_NOFOLLOW
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | more, dir_fd=at)
    try:
        _refuse_other(os.fstat(fd).st_mode, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_regular(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Return the content of a regular file. Raises OSError as `open_regular` does, and for one that is too large."""
    fd = open_regular(path)
    try:
        content = bytearray()
        while data := os.read(fd, min(CHUNK_BYTES, max_bytes + 1 - len(content))):
            content += data
            if len(content) > max_bytes:
                raise OSError(errno.EFBIG, f"it is larger than {_size(max_bytes)}", os.fspath(path))
        return bytes(content)
    finally:
        os.close(fd)


def kind_of(mode: int) -> str:
    """Return what a file is: `directory`, `FIFO`, `device`."""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "special file")


def _refuse_other(mode: int, path: str | os.PathLike[str]) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is a {kind_of(mode)}, not a regular file", os.fspath(path))


def _size(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB" if size_bytes >> 20 else f"{size_bytes >> 10} KiB"

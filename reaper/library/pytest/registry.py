"""The lists of sessions that test runs registered: a file per process, locked for as long as the process lives.

`DIR/runs/NAME.ids` has a session ID a line, on the disk before its registration returns. The kernel drops the lock
with the process, however it ends, so a list that nobody locks is what a run left behind. A file gets its final name
only when it is locked.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SUFFIX = ".ids"


@dataclass(slots=True)
class Lists:
    """The lists below one directory, and this process's own, which is made with its first line."""

    root: Path
    _own: int | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        return self.root / "runs"

    def write(self, session_id: str) -> None:
        """Add a line to this process's list; it survives the death of the process and of the machine."""
        if self._own is None:
            self._own = self._made()
        os.write(self._own, f"{session_id}\n".encode())
        os.fsync(self._own)

    def let_go(self) -> None:
        """Give up this process's list: it is what a run left behind, from now on."""
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def any(self) -> bool:
        """Tell whether there is a list at all; costs a look into a directory."""
        return bool(self._names())

    @contextmanager
    def left_behind(self) -> Iterator[list[Path]]:
        """Lock the lists that no living process holds, for the time of the block."""
        held: dict[Path, int] = {}
        try:
            for name in self._names():
                path = self.folder / name
                if (fd := _taken(path)) is not None:
                    held[path] = fd
            yield list(held)
        finally:
            for fd in held.values():
                os.close(fd)

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.folder) if name.endswith(SUFFIX) and name[0] != ".")
        except OSError:
            return []

    def _made(self) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{os.getpid()}-{secrets.token_hex(6)}"
        unlocked = self.folder / f".{name}"
        fd = os.open(unlocked, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(unlocked, self.folder / f"{name}{SUFFIX}")
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return fd


def _taken(path: Path) -> int | None:
    """Return a locked descriptor of a list, None when a living process has it or it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who held it before may have dealt with it and removed it.
        if os.stat(path).st_ino == os.fstat(fd).st_ino:
            return fd
    os.close(fd)
    return None

"""Store the sessions that test runs register: one file per process, locked while the process lives.

`DIR/runs/NAME.ids` has one session ID per line, on disk before its registration returns. However a process ends, the
kernel releases its lock, so an unlocked list belongs to a run that has ended. A file gets its final name only after it
is locked.
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
class Registry:
    """The lists in one directory, and the own list of this process, which the first line creates."""

    root: Path
    _own: int | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        return self.root / "runs"

    def write(self, session_id: str) -> None:
        """Add a line to the list of this process; it survives the death of the process and of the machine."""
        if self._own is None:
            self._own = self._create()
        os.write(self._own, f"{session_id}\n".encode())
        os.fsync(self._own)

    def release(self) -> None:
        """Unlock the list of this process: from now on it counts as one of an ended run."""
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def has_lists(self) -> bool:
        """Return True when any list exists; reads one directory."""
        return bool(self._names())

    @contextmanager
    def unclaimed(self) -> Iterator[list[Path]]:
        """Lock the lists of ended processes for the block, and yield their paths."""
        locked: dict[Path, int] = {}
        try:
            for name in self._names():
                path = self.folder / name
                if (fd := _lock(path)) is not None:
                    locked[path] = fd
            yield list(locked)
        finally:
            for fd in locked.values():
                os.close(fd)

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.folder) if name.endswith(SUFFIX) and name[0] != ".")
        except OSError:
            return []

    def _create(self) -> int:
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


def _lock(path: Path) -> int | None:
    """Return a locked descriptor of a list, None when a living process holds it or it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The previous holder may have stopped its sessions and removed it.
        if os.stat(path).st_ino == os.fstat(fd).st_ino:
            return fd
    os.close(fd)
    return None

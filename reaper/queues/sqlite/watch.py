"""Knows the files of an open ledger by device and inode, and notices when their names lead elsewhere.

SQLite goes on with the files that it opened, whatever became of their names: in a deleted ledger, or beside a deleted
log, it commits what no other process will ever see. So the names are compared before and after each transaction (about
5 µs). A file that is overwritten in place keeps its inode; its header shows it.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field

_Id = tuple[int, int]
LOG, INDEX = "-wal", "-shm"
_HEADER_BYTES = 100
_DESCRIPTORS = "/proc/self/fd"
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class FileWatch:
    """The files of one open ledger. `name` is the ledger as it was given, `path` the same without links."""

    name: str
    path: str
    ids: dict[str, _Id] = field(default_factory=dict)
    """Device and inode of each file when it was opened, by suffix."""
    _written: tuple[int, int] = (0, 0)
    """Size and time of the last write that was found to be SQLite's."""
    _changes: int = 0
    """The highest count of changes seen in the file's header; SQLite only adds to it."""
    _uses_log: bool = False
    overwritten: bool = False
    _linked: bool = False

    def opened(self) -> bool:
        """Note the files that SQLite has opened; return False when the names lead to others by now.

        To be called after the opening: on an overlay file system that gives a file another inode.
        """
        self.ids = {suffix: _id(found) for suffix in ("", LOG, INDEX) if (found := self._stat(suffix)) is not None}
        return "" in self.ids and (self.descriptor("") is not None or not os.path.isdir(_DESCRIPTORS))

    def finding(self) -> str | None:
        """Return a sentence when the files are not those any more that were opened."""
        try:
            found = os.stat(self.name)
        except (FileNotFoundError, NotADirectoryError):
            return f"the ledger {self.name} was deleted or moved away under this process"
        except OSError:
            return None  # no proof of anything: SQLite will say what it cannot do
        if _id(found) != self.ids[""]:
            return f"the ledger {self.name} was replaced by another file under this process"
        if self._is_overwritten(found):
            self.overwritten = True
            return f"the ledger {self.name} was overwritten with other content under this process"
        for suffix in (LOG, INDEX):
            if (known := self.ids.get(suffix)) is not None and self.current(suffix) != known:
                return f"{self.path}{suffix}, a part of the ledger, was deleted or replaced under this process"
        if (found.st_nlink > 1) != self._linked:
            self._linked = not self._linked
            if self._linked:
                _LOG.warning(
                    "the ledger %s got a second name (hard link): remove it before the next start, or use copies made "
                    "with `reaper queue backup`",
                    self.path,
                )
        return None

    def current(self, suffix: str) -> _Id | None:
        """Return device and inode of the file that has the name now, None without one."""
        found = self._stat(suffix)
        return None if found is None else _id(found)

    def has_name(self, suffix: str) -> bool:
        """Return whether a file that was opened still has a name, if another one."""
        number = self.descriptor(suffix)
        return number is not None and os.fstat(number).st_nlink > 0

    def descriptor(self, suffix: str) -> int | None:
        """Return SQLite's own descriptor of a file, to read from and never to close: a close would drop its locks."""
        try:
            numbers = [int(name) for name in os.listdir(_DESCRIPTORS)]
        except OSError:
            return None  # no Linux
        for number in numbers:
            try:
                if _id(os.fstat(number)) == self.ids.get(suffix):
                    return number
            except OSError:
                continue
        return None

    def _stat(self, suffix: str) -> os.stat_result | None:
        try:
            return os.stat(self.path + suffix)
        except OSError:
            return None

    def _is_overwritten(self, found: os.stat_result) -> bool:
        """Return whether a file that changed was changed by another program than SQLite."""
        written = (found.st_size, found.st_mtime_ns)
        if written == self._written or (number := self.descriptor("")) is None:
            return False
        header = os.pread(number, _HEADER_BYTES, 0)
        changes = int.from_bytes(header[24:28], "big")
        uses_log = header[18:20] == b"\2\2"
        # A copy made by a backup is in another journal mode; an older state of this file counts fewer changes.
        if len(header) < _HEADER_BYTES or changes < self._changes or (self._uses_log and not uses_log):
            return True
        self._written, self._changes, self._uses_log = written, changes, uses_log
        return False


def _id(found: os.stat_result) -> _Id:
    return found.st_dev, found.st_ino

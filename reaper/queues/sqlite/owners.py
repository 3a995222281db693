"""Lock files of living processes, beside the ledger: `LEDGER.owners/OWNER`, locked as long as its process runs.

The kernel releases the lock with the process, however that ends, so a restart waits for no lease of a dead process. A
file gets its final name only when it is locked, and names are never used twice: a file that is missing or not locked
means dead. `flock` belongs to the open file, so two queues in one process are two owners.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from dataclasses import dataclass, field

from reaper.queues.sqlite.errors import translated_os

CHECKPOINT = ".checkpoint"
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Locks:
    """The locks of one open queue in the directory `root`. Methods raise QueueError when a lock cannot be made."""

    root: str
    owner: str
    _own: int | None = field(default=None, repr=False)
    _checkpoint: int | None = field(default=None, repr=False)

    def register(self) -> None:
        """Lock this owner's file, until `release`: from now on it counts as alive. Idempotent."""
        if self._own is not None:
            return
        unlocked = os.path.join(self.root, f".new.{self.owner}")
        try:
            self._own = self._locked(unlocked, os.O_EXCL)
            os.rename(unlocked, self._own_path)
        except OSError as error:
            raise translated_os(error, self._own_path) from error

    def restore(self) -> None:
        """Make the own lock file anew if it was deleted: without it other processes take this one for dead."""
        if self._checkpoint is not None and not self._is_named(CHECKPOINT, self._checkpoint):
            os.close(self._checkpoint)
            self._checkpoint = None
        if self._own is not None and not self._is_named(self.owner, self._own):
            _LOG.warning("the lock file %s was deleted and is made anew: leave that directory alone", self._own_path)
            os.close(self._own)
            self._own = None
            self.register()

    def try_become_checkpointer(self) -> bool:
        """Return whether this process is, now or already, the one that checkpoints."""
        if self._checkpoint is None:
            path = os.path.join(self.root, CHECKPOINT)
            try:
                self._checkpoint = self._locked(path)
            except BlockingIOError:
                return False
            except OSError as error:
                raise translated_os(error, path) from error
        return True

    def is_alive(self, owner: str) -> bool:
        """Return whether an owner's process runs; True in doubt."""
        if owner == self.owner:
            return True
        try:
            fd = os.open(os.path.join(self.root, owner), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            return False
        finally:
            os.close(fd)

    def listed(self) -> set[str]:
        """Return the owners that have a lock file."""
        try:
            return {name for name in os.listdir(self.root) if not name.startswith(".")}
        except OSError:
            return set()

    def unregister(self, owner: str) -> None:
        """Remove a dead owner's lock file."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.root, owner))

    def release(self) -> None:
        """Remove the own lock file and release all locks."""
        if self._own is not None:
            self.unregister(self.owner)
        self.drop()

    def drop(self) -> None:
        """Release all locks and leave their files, as the death of the process does."""
        for fd in (self._own, self._checkpoint):
            if fd is not None:
                os.close(fd)
        self._own = self._checkpoint = None

    @property
    def _own_path(self) -> str:
        return os.path.join(self.root, self.owner)

    def _is_named(self, name: str, fd: int) -> bool:
        """Return whether an open lock file still has its name; True in doubt."""
        try:
            found, ours = os.stat(os.path.join(self.root, name)), os.fstat(fd)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)

    def _locked(self, path: str, more: int = 0) -> int:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.root, 0o700)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | more, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        return fd

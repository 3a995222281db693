"""The four directories of a spool, held open: what stands at their names later, a link or another one, is not used."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, count

from reaper.core.errors import ConfigError, UsageError
from reaper.core.files import kind_of
from reaper.core.text import shown_path

ROOMS = ("tmp", "new", "done", "bad")
MAX_NAME_BYTES = 255
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Room:
    fd: int
    device: int
    inode: int


class Rooms:
    """Opens `tmp/ new/ done/ bad/` of a spool without following links, and again when the spool was made anew.

    A link, or a directory of another user than reaper's own and root, could lead where its maker may not write or
    delete himself: it is refused. The spool's own path may be a link. All methods block.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._rooms: dict[str, _Room] = {}
        self._lock = threading.Lock()
        """Holds `_rooms` still while a descriptor of it is copied in another thread."""
        self.refused: dict[str, str] = {}
        """The directories that cannot be used now, and the reason why, as a sentence."""

    def prepare(self) -> None:
        """Create what is missing, private to this user, and open it. Raises ConfigError when one can't be used."""
        try:
            _make_parents(self._directory)
            self._open()
        except (OSError, ValueError) as error:
            raise self._unusable(error) from error
        if self.refused:
            sentences = list(self.refused.values())
            self.close()
            raise ConfigError(sentences[0])

    def rehearse(self) -> list[str]:
        """Do what `prepare` does and leave nothing behind; return what is worth a warning, as sentences.

        Raises ConfigError as `prepare` does.
        """
        try:
            missing, above = _missing_parents(self._directory)
            rooms = {} if missing else self._open_those_there()
            if missing or len(rooms) + len(self.refused) < len(ROOMS):
                if missing and os.path.lexists(missing[-1]):
                    raise FileNotFoundError(errno.ENOENT, "it is a link that leads nowhere")
                with tempfile.TemporaryFile(dir=above):
                    pass
        except (OSError, ValueError) as error:
            raise self._unusable(error) from error
        if self.refused:
            raise ConfigError(next(iter(self.refused.values())))
        split = self._split(rooms)
        return [split] if split else []

    def split(self) -> str | None:
        """Return a sentence if files cannot be moved from one directory to another, which needs one file system."""
        return self._split({name: room.device for name, room in self._rooms.items()})

    def refresh(self) -> None:
        """Open the directories again if a path names another one than before. `refused` is up to date then.

        Raises OSError when the spool is not there.
        """
        if self.refused or len(self._rooms) < len(ROOMS) or any(self._is_replaced(name) for name in ROOMS):
            self._open()

    def fd(self, name: str) -> int:
        """Return the descriptor of a directory, valid until the next `refresh`. Raises UsageError when refused."""
        room = self._rooms.get(name)
        if room is None:
            raise UsageError(self.refused.get(name) or f"intake.spool_dir: {self.path(name)} is not open")
        return room.fd

    @contextmanager
    def borrow(self, name: str) -> Iterator[int | None]:
        """Give a copy of a directory's descriptor for the block, in any thread; None when it cannot be used."""
        with self._lock:
            room = self._rooms.get(name)
            fd = None if room is None else os.dup(room.fd)
        try:
            yield fd
        finally:
            if fd is not None:
                os.close(fd)

    def path(self, *names: str) -> str:
        """Return the path of a directory, or of a file in it, as it may be shown."""
        return shown_path(os.path.join(self._directory, *names))

    def move(self, name: str, room: str, into: str) -> str:
        """Rename a file of `room` into another directory under a free name; return that name.

        Nothing is overwritten. Raises OSError when it can't be moved, UsageError when the directory is refused.
        """
        source, target = self.fd(room), self.fd(into)
        # Only this process moves files there, so the name stays free until the rename.
        free = next(candidate for candidate in _names(name) if not _exists(candidate, target))
        os.rename(name, free, src_dir_fd=source, dst_dir_fd=target)
        return free

    def count(self, name: str) -> int:
        """Return the number of files in a directory, in any thread; -1 when it cannot be used."""
        with suppress(OSError), self.borrow(name) as fd:
            return -1 if fd is None else len(os.listdir(fd))
        return -1

    def prune(self, name: str, before: float) -> int:
        """Delete the files that were moved into a directory before this Unix time; return their number."""
        pruned = 0
        with suppress(OSError), self.borrow(name) as fd:
            if fd is None:
                return 0
            with os.scandir(fd) as entries:
                for entry in entries:
                    # A file that cannot be deleted costs little space, and must not stop the daemon.
                    with suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        # A rename sets the change time, so this is the time of the move.
                        if stat.S_ISREG(status.st_mode) and status.st_ctime < before:
                            os.unlink(entry.name, dir_fd=fd)
                            pruned += 1
        return pruned

    def close(self) -> None:
        """Close the directories."""
        with self._lock:
            for room in self._rooms.values():
                os.close(room.fd)
            self._rooms.clear()

    def _open(self) -> None:
        self.close()
        self.refused = {}
        spool = os.open(self._directory, _DIRECTORY)
        try:
            for name in ROOMS:
                try:
                    with suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=spool)
                    room = self._open_room(name, spool)
                except OSError as error:
                    self.refused[name] = f"intake.spool_dir: {self.path(name)} cannot be used: {error.strerror}"
                except UsageError as error:
                    self.refused[name] = str(error)
                else:
                    with self._lock:
                        self._rooms[name] = room
        finally:
            os.close(spool)

    def _open_those_there(self) -> dict[str, int]:
        """Open and close what exists of the directories, note what is refused; return the devices of the rest."""
        devices = {}
        self.refused = {}
        spool = os.open(self._directory, _DIRECTORY)
        try:
            for name in ROOMS:
                try:
                    room = self._open_room(name, spool)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self.refused[name] = f"intake.spool_dir: {self.path(name)} cannot be used: {error.strerror}"
                except UsageError as error:
                    self.refused[name] = str(error)
                else:
                    os.close(room.fd)
                    devices[name] = room.device
        finally:
            os.close(spool)
        return devices

    def _split(self, devices: dict[str, int]) -> str | None:
        elsewhere = [name for name in ("done", "bad") if name in devices and devices[name] != devices.get("new")]
        if "new" not in devices or not elsewhere:
            return None
        return (
            f"{' and '.join(f'{name}/' for name in elsewhere)} of {self.path()} cannot take files of new/, which is "
            "on another file system: each is read once and stays there; put all directories on one"
        )

    def _unusable(self, error: OSError | ValueError) -> ConfigError:
        why = (isinstance(error, OSError) and error.strerror) or error
        return ConfigError(
            f"intake.spool_dir: {self.path()} cannot be made: {why}; name a directory that this user may make"
        )

    def _open_room(self, name: str, spool: int) -> _Room:
        mode = os.stat(name, dir_fd=spool, follow_symlinks=False).st_mode
        if not stat.S_ISDIR(mode):
            raise UsageError(f"intake.spool_dir: {self.path(name)} is a {kind_of(mode)}: make it a directory")
        fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=spool)
        try:
            status = os.fstat(fd)
            if status.st_uid not in (os.geteuid(), 0):
                raise UsageError(
                    f"intake.spool_dir: {self.path(name)} belongs to another user ({status.st_uid}): make it belong to "
                    f"the user of reaper ({os.geteuid()}), and give others access by their group (docs/files.md)"
                )
            wanted = os.R_OK | os.X_OK | (0 if name == "tmp" else os.W_OK)
            if not os.access(".", wanted, dir_fd=fd, effective_ids=os.access in os.supports_effective_ids):
                raise UsageError(f"intake.spool_dir: this user may not read and write {self.path(name)}")
        except BaseException:
            os.close(fd)
            raise
        return _Room(fd, status.st_dev, status.st_ino)

    def _is_replaced(self, name: str) -> bool:
        room = self._rooms[name]
        try:
            status = os.stat(os.path.join(self._directory, name), follow_symlinks=False)
        except FileNotFoundError:
            return True
        is_same = (status.st_dev, status.st_ino) == (room.device, room.inode)
        return not is_same or status.st_uid not in (os.geteuid(), 0)


def _make_parents(directory: str) -> None:
    """Create the spool and what is missing above it, one by one: `parents=True` would ignore the mode for parents."""
    for path in _missing_parents(directory)[0]:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)


def _missing_parents(directory: str) -> tuple[list[str], str]:
    """Return what does not exist of a path, the topmost first, and the directory above that."""
    missing = []
    path = os.path.abspath(directory)
    while not os.path.exists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing[::-1], path


def _names(name: str) -> Iterator[str]:
    """Yield the name, then names with a suffix, shortened where the two would be too long together."""
    yield name
    raw = os.fsencode(name)
    for number in chain(range(1, 100), count(time.time_ns())):
        suffix = b".%d" % number
        yield os.fsdecode(raw[: MAX_NAME_BYTES - len(suffix)] + suffix)


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True

"""The file of a ledger: under one name, whose it is, its directory and itself made private."""

from __future__ import annotations

import errno
import glob
import os
import pwd
import stat
import tempfile

from reaper.core.errors import NoQueueError, QueueError
from reaper.queues.sqlite.errors import translated_os
from reaper.queues.sqlite.outage import existing_directory

MOUNTS = "/proc/self/mountinfo"
FORMER = ".before-"
"""Stands between a ledger's name and the time of a restore, in the name of the ledger that was there before."""


def prepare_file(path: str, *, create: bool) -> bool:
    """Check that the ledger's file is there and is ours, or create it; return whether it was created.

    `path` has no links. Its directory is created 0700 and the file 0600, before SQLite sees it. An existing file is
    not opened here: to close it would drop the locks that another connection of this process holds on it. Raises
    QueueError, also for a file with a second name: beside each name would be a log and locks of its own.
    """
    if _is_there(path):
        return False
    if not create:
        raise NoQueueError(
            f"there is no ledger at {path} yet: `reaper add`, `once` and `run` create it, --queue names another"
        )
    try:
        _make_directory(os.path.dirname(path))
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise translated_os(error, path) from error
    return True


def rehearse_file(path: str) -> bool:
    """Do what `prepare_file` does and leave nothing behind; return whether the file is there. Raises QueueError."""
    if _is_there(path):
        return True
    directory = existing_directory(path)
    try:
        below = os.path.relpath(os.path.dirname(path), directory).split(os.sep)[0]
        if below != "." and os.path.lexists(os.path.join(directory, below)):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryFile(dir=directory):
            return False
    except OSError as error:
        raise translated_os(error, path) from error


def _is_there(path: str) -> bool:
    """Return whether a ledger's file exists. Raises QueueError for one that may not be used."""
    _refuse_other_user(path)
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise translated_os(error, path) from error
    if not stat.S_ISREG(found.st_mode):
        raise QueueError(f"{path} is not a file: name the ledger's file with --queue sqlite:///PATH")
    _refuse_second_name(path, found)
    return True


def prepare_directory(path: str) -> None:
    """Make the directory of a ledger that is not there yet, or check that it is ours. Raises QueueError."""
    try:
        _make_directory(os.path.dirname(path))
    except OSError as error:
        raise translated_os(error, path) from error
    _refuse_other_user(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def second_names(path: str) -> list[str]:
    """Return the names that a restore which was cut short gave the ledger beside its own."""
    names = glob.glob(f"{glob.escape(path)}{FORMER}*")
    return [name for name in names if os.path.exists(path) and os.path.samefile(name, path)]


def _make_directory(path: str) -> None:
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            continue
        sync_directory(os.path.dirname(directory))


def _refuse_second_name(path: str, found: os.stat_result) -> None:
    if found.st_nlink > 1 and second_names(path):
        raise QueueError(f"a restore of the ledger {path} was cut short: run `reaper queue restore FILE` once more")
    if found.st_nlink > 1:
        raise QueueError(
            f"the ledger {path} has {found.st_nlink} names (hard links), each with a log and locks of its own: "
            f"find the others with `find DIRECTORY -samefile {path}` and remove them, or use a copy"
        )
    if _is_mount_point(path):
        raise QueueError(
            f"the ledger {path} is mounted as a single file, and its log would stay outside: mount its directory"
        )


def _is_mount_point(path: str) -> bool:
    """Return whether a file is itself mounted (`docker -v FILE:FILE`), as the kernel says."""
    name = path
    for character in "\\ \t\n":
        name = name.replace(character, f"\\{ord(character):03o}")
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:
            return any(line.split(" ", 5)[4] == name for line in mounts)
    except OSError:
        return False  # no Linux


def _refuse_other_user(path: str) -> None:
    """Raise QueueError for a ledger of another user: our files beside it would lock its owner out."""
    seen = path
    while True:
        try:
            owner = os.stat(seen).st_uid
        except PermissionError:
            seen = os.path.dirname(seen)  # a directory that we may not search: whose is it?
        except OSError:
            return
        else:
            break
    if owner != os.geteuid():
        name = _user_name(owner)
        raise QueueError(f"the ledger {path} belongs to user {name}: run `sudo -u {name} reaper …`")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"'#{uid}'"  # in quotes: to a shell a bare # begins a comment

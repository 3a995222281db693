"""Finds out what a process or a disk lacks when SQLite or the file system refuses: SQLite's own words name the call."""

from __future__ import annotations

import errno
import os
import resource
import tempfile

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
TEMPORARY = ("SQLITE_TMPDIR", "TMPDIR")
_NEEDED = 5
"""Descriptors that SQLite opens for a ledger, its directory included; it closes them before it reports a failure."""
_LEAST_BYTES = 64 * 1024
"""SQLite asks for so much at once where it maps the index of its log."""


def shortage(path: str) -> str | None:
    """Return what is lacking for the file at `path`, as a sentence with a remedy; None where nothing is found."""
    directory = existing_directory(path)
    return _descriptors() or _disk(directory, f"the ledger {path}") or _temporary(directory)


def disk_fault(path: str) -> str | None:
    """Return why the file system of a ledger takes no writes, as a sentence with a remedy; None where nothing is found.

    It asks the file system alone: a ledger whose disk is full can still be read, and shows calm figures.
    """
    return _disk(existing_directory(path), f"the ledger {path}")


def is_read_only(path: str) -> bool:
    """Return whether the file system of a file, or of the directory that is to hold it, takes no writes."""
    try:
        return bool(os.statvfs(existing_directory(path)).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def existing_directory(path: str) -> str:
    """Return the directory of a file, or the nearest one above it that exists."""
    directory = os.path.dirname(path)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory


def no_descriptors() -> str:
    """Return the sentence for a process that may open no more files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"this process has no file descriptors left (it may open {limit}): raise the limit (LimitNOFILE=, ulimit -n); "
        "nothing that was accepted is lost"
    )


def _descriptors() -> str | None:
    opened: list[int] = []
    try:
        for _ in range(_NEEDED):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401  # the rest may fail
    except OSError as error:
        return no_descriptors() if error.errno in NO_DESCRIPTORS else None
    finally:
        for number in opened:
            os.close(number)
    return None


def _disk(directory: str, what: str) -> str | None:
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    place = _mount_point(directory)
    if found.f_flag & os.ST_RDONLY:
        return f"{what} is on a read-only file system ({place}): make it writable"
    if found.f_bavail * found.f_frsize < _LEAST_BYTES:
        return f"the disk of {what} is full (no space left on {place}): make room, nothing that was accepted is lost"
    if found.f_files and not found.f_favail:
        return (
            f"the disk of {what} is full (no inodes left on {place}): delete files, nothing that was accepted is lost"
        )
    return None


def _temporary(directory: str) -> str | None:
    """Look at where SQLite sorts what does not fit into memory."""
    named = next((os.environ[name] for name in TEMPORARY if os.environ.get(name)), tempfile.gettempdir())
    try:
        if os.stat(named).st_dev == os.stat(directory).st_dev:
            return None
    except OSError:
        return None
    return _disk(named, f"temporary files ({named})")


def _mount_point(directory: str) -> str:
    while not os.path.ismount(directory) and directory != os.path.dirname(directory):
        directory = os.path.dirname(directory)
    return directory

"""Puts a checked copy in the place of a ledger, and keeps the former one beside it."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import sqlite3
import time
from collections.abc import Iterator

from reaper.core.errors import QueueError, UsageError
from reaper.queues.sqlite.backup import copy_ledger, remove_copy
from reaper.queues.sqlite.errors import code_of, translated_os
from reaper.queues.sqlite.file import FORMER, prepare_directory, prepare_file, second_names, sync_directory
from reaper.queues.sqlite.schema import connect
from reaper.queues.sqlite.watch import INDEX, LOG

_NEW = ".restored-"
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
"""The bytes that each connection of SQLite holds a lock on while it has the file open (sqlite.org/fileformat2.html)."""


def restore(path: str, copy: str) -> str | None:
    """Put a copy of the ledger `copy` at `path`; return where the former ledger is now, None if there was none.

    Nothing is changed before the copy is on the same disk, whole and synced; then one rename does it. One that died in
    between left the ledger with two names, with which no reaper opens it: the next call begins with taking that back.
    Raises UsageError for a copy that is no ledger, is damaged or of a newer version, and QueueError while a process has
    the ledger open.
    """
    path, copy = os.path.realpath(path), os.path.abspath(copy)
    _check(copy, path)
    exists = os.path.lexists(path)
    if not exists:
        prepare_directory(path)
    elif not second_names(path):
        prepare_file(path, create=False)
    with _exclusively(path) if exists else contextlib.nullcontext():
        new = f"{path}{_NEW}{os.getpid()}"
        former = None
        try:
            if exists:
                _take_back(path)
                prepare_file(path, create=False)
            remove_copy(new)
            copy_ledger(copy, new)
            _sync(new)
            if exists:
                former = _set_aside(path)
                os.rename(new, path)
            else:
                os.link(new, path)  # a rename would replace a ledger that was made meanwhile
                os.unlink(new)
            sync_directory(os.path.dirname(path))
        except FileExistsError as error:
            remove_copy(new)
            raise QueueError(
                f"{error.filename2 or path} was made by another process meanwhile: run it again"
            ) from error
        except OSError as error:
            remove_copy(new)
            raise translated_os(error, path) from error
    return former


def _check(copy: str, path: str) -> None:
    """Raise UsageError for a file that cannot take the ledger's place."""
    try:
        if os.path.samefile(copy, path):
            raise UsageError(f"{copy} is the ledger itself: name a copy of it")
    except OSError:
        pass  # one of them is not there
    if not os.path.isfile(copy):
        raise UsageError(f"there is no file {copy}: name a copy that `reaper queue backup` made")
    try:
        with contextlib.closing(connect(copy, read_only=True)) as connection:
            (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except (QueueError, sqlite3.Error) as error:
        cause = error.__cause__ if isinstance(error, QueueError) else error
        if isinstance(cause, sqlite3.Error) and code_of(cause) == sqlite3.SQLITE_NOTADB:
            raise UsageError(f"{copy} is not a ledger: name a copy that `reaper queue backup` made") from error
        raise UsageError(f"{copy} cannot be restored: {error}") from error
    if finding != "ok":
        raise UsageError(f"{copy} cannot be restored, it is damaged ({' '.join(finding.split())}): take another copy")


@contextlib.contextmanager
def _exclusively(path: str) -> Iterator[None]:
    """Keep every other process from the ledger. Raises QueueError when one has it open."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise translated_os(error, path) from error
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        yield
    except BlockingIOError as error:
        raise QueueError(
            f"a process works on the ledger {path}: stop every reaper on it first (`systemctl stop reaper`; "
            f"`fuser {path}` shows them)"
        ) from error
    finally:
        os.close(fd)


def _set_aside(path: str) -> str:
    """Give the former ledger another name, its log with it: the log must never stand beside the new file."""
    former = f"{path}{FORMER}{time.strftime('%Y%m%dT%H%M%S')}"
    os.link(path, former)
    for suffix in (LOG, INDEX):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + suffix, former + suffix)
    return former


def _take_back(path: str) -> None:
    """Undo what a restore that died left: the ledger's second name with its log, and copies that are not in place."""
    for former in second_names(path):
        for suffix in (LOG, INDEX):
            with contextlib.suppress(FileNotFoundError):
                os.rename(former + suffix, path + suffix)
        os.unlink(former)
    for left in glob.glob(f"{glob.escape(path)}{_NEW}*"):
        remove_copy(left)


def _sync(path: str) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())

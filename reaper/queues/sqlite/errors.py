"""Errors of SQLite and the file system, translated into one sentence for the operator."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.sqlite.outage import NO_DESCRIPTORS, NO_ROOM, is_read_only, no_descriptors, shortage


def code_of(error: BaseException) -> int:
    """Return SQLite's primary result code, 0 for an error of another kind."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


_FAILED_FOR_GOOD = frozenset(
    {
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_DATA,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
    }
)
_OUTAGES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOMEM,
    }
)
_OS_OUTAGES = NO_ROOM | NO_DESCRIPTORS | {errno.EROFS, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}


def is_fatal(error: BaseException) -> bool:
    """Return whether no later write can be trusted: after a failed fsync, a later commit only seems to succeed.

    A write, a truncation or a map that failed undoes its transaction and nothing else.
    """
    code = code_of(error)
    if code == sqlite3.SQLITE_IOERR:
        return getattr(error, "sqlite_errorcode", 0) in (*_FAILED_FOR_GOOD, sqlite3.SQLITE_IOERR)
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def damaged(finding: str) -> sqlite3.DatabaseError:
    """Return the error that SQLite raises for a damaged file, for damage that only `integrity_check` finds."""
    error = sqlite3.DatabaseError(finding)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def translated(error: sqlite3.Error, path: str) -> QueueError:
    """Return the QueueError for an error of SQLite, with the cause set: `QueueUnavailableError` for an outage."""
    code = code_of(error)
    lacking = None
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or (
        code == sqlite3.SQLITE_IOERR and not is_fatal(error)
    ):
        lacking = shortage(path)
    is_outage = lacking is not None or (code in _OUTAGES and not is_fatal(error))
    result = (QueueUnavailableError if is_outage else QueueError)(lacking or _sentence(error, path))
    result.__cause__ = error
    return result


def _sentence(error: sqlite3.Error, path: str) -> str:
    match code_of(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                f"the ledger {path} was locked by another process for too long: see what else writes to it, try again"
            )
        case sqlite3.SQLITE_FULL:
            return f"the disk that holds the ledger {path} is full: make room, nothing that was accepted is lost"
        case sqlite3.SQLITE_IOERR if is_fatal(error):
            return f"the disk failed under the ledger {path} ({error}): check the disk, then start the reaper again"
        case sqlite3.SQLITE_IOERR:
            name = getattr(error, "sqlite_errorname", error)
            return f"the disk refused a write to the ledger {path} ({name}): check the disk and the quota of this user"
        case sqlite3.SQLITE_READONLY:
            return (
                f"the ledger {path} cannot be written (read-only file or file system): make it writable for this user"
            )
        case sqlite3.SQLITE_CORRUPT:
            return f"the ledger {path} is damaged ({error}): restore a copy made with `reaper queue backup`"
        case sqlite3.SQLITE_NOTADB:
            return f"the file {path} is not a ledger: name another one with --queue, or move this file away"
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return f"the ledger {path} cannot be opened ({error}): check the rights on it and on its directory"
        case _:
            return f"the ledger {path} cannot be used: {error}"


def translated_os(error: OSError, path: str) -> QueueError:
    """Return the QueueError for what the file system refused at `path`, with the cause set.

    It is a QueueUnavailableError for an outage.
    """
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            text = shortage(path) or f"there is no room for {path}: no space left on its file system, or for this user"
        case errno.EMFILE | errno.ENFILE:
            text = no_descriptors()
        case errno.EACCES | errno.EPERM:
            text = f"{path} cannot be used by this user: check the rights on it and on its directory"
        case errno.ENOENT:
            text = f"the directory of {path} does not exist: make it, or name another place"
        case errno.EROFS:
            text = f"{path} is on a read-only file system: put the ledger on a writable one with --queue"
        case _:
            text = f"{path} cannot be used: {error.strerror or error}"
    result = (QueueUnavailableError if error.errno in _OS_OUTAGES else QueueError)(text)
    result.__cause__ = error
    return result


@contextmanager
def refused_for_good(path: str) -> Iterator[None]:
    """Turn the outage of a read-only file system at the opening of a ledger into a refusal: a mistake in the set-up."""
    try:
        yield
    except QueueUnavailableError as error:
        if is_read_only(path):
            raise QueueError(str(error)) from error
        raise

"""Errors of SQLite and the file system, translated into one sentence for the operator."""

from __future__ import annotations

import errno
import sqlite3

from reaper.core.errors import QueueError


def code_of(error: BaseException) -> int:
    """Return SQLite's primary result code, 0 for an error of another kind."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def is_fatal(error: BaseException) -> bool:
    """Return whether no later write can be trusted: after a failed fsync, a later commit only seems to succeed."""
    return code_of(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def damaged(finding: str) -> sqlite3.DatabaseError:
    """Return the error that SQLite raises for a damaged file, for damage that only `integrity_check` finds."""
    error = sqlite3.DatabaseError(finding)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def translated(error: sqlite3.Error, path: str) -> QueueError:
    """Return the QueueError for an error of SQLite, with the cause set."""
    result = QueueError(_sentence(error, path))
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
        case sqlite3.SQLITE_IOERR:
            return f"the disk failed under the ledger {path} ({error}): check the disk, then start the reaper again"
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
    """Return the QueueError for what the file system refused at `path`, with the cause set."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            text = f"there is no room for {path}: free some space on its file system"
        case errno.EACCES | errno.EPERM:
            text = f"{path} cannot be used by this user: check the rights on it and on its directory"
        case errno.ENOENT:
            text = f"the directory of {path} does not exist: make it, or name another place"
        case errno.EROFS:
            text = f"{path} is on a read-only file system: put the ledger on a writable one with --queue"
        case _:
            text = f"{path} cannot be used: {error.strerror or error}"
    result = QueueError(text)
    result.__cause__ = error
    return result

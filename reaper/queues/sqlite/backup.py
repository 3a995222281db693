"""Consistent copies of the ledger, made while other processes write."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3

from reaper.core.errors import QueueError, QueueUnavailableError, UsageError
from reaper.queues.sqlite.errors import translated, translated_os
from reaper.queues.sqlite.schema import connect

MAX_PAGES_PER_STEP = 1024


def back_up(path: str, copy: str) -> None:
    """Copy the ledger at `path` to the new private file `copy` and verify it. On an error no copy is left.

    Raises UsageError for a name at which no file can be made, QueueError when the copy cannot be made.
    """
    try:
        copy_ledger(path, os.path.abspath(copy))
    except FileExistsError as error:
        raise UsageError(f"{copy} exists: name a new file for the copy") from error
    except OSError as error:
        refusal = translated_os(error, copy)
        if isinstance(refusal, QueueUnavailableError):
            raise refusal from error
        reason = "its directory does not exist" if error.errno == errno.ENOENT else error.strerror
        raise UsageError(f"{copy} cannot be written: {reason}: name another file for the copy") from error


def copy_ledger(path: str, copy: str) -> None:
    """Copy as `back_up` does. Raises OSError when the file cannot be made.

    One read snapshot covers the first page to the last: without it every write of another process would start the
    copy over.
    """
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        _copy(path, copy)
    except BaseException:
        remove_copy(copy)
        raise


def remove_copy(copy: str) -> None:
    """Remove a copy and what SQLite may have left beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(copy + suffix)


def _copy(path: str, copy: str) -> None:
    with contextlib.closing(connect(path, read_only=True)) as source:
        try:
            with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as target:
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM counter").fetchone()
                source.backup(target, pages=MAX_PAGES_PER_STEP)
                source.execute("COMMIT")
                # A copy in the log's mode would leave two more files beside it.
                target.execute("PRAGMA journal_mode = DELETE")
                findings = [text for (text,) in target.execute("PRAGMA integrity_check(1)")]
        except sqlite3.Error as error:
            raise translated(error, copy) from error
    if findings != ["ok"]:
        raise QueueError(f"the copy {copy} is damaged ({findings[0]}): check the ledger {path} and the disk")

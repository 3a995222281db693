"""Saves what only this process can still read of a ledger whose files were deleted or replaced under it.

The descriptors that SQLite holds outlive the names. What was deleted gets its name back where no other file has it by
now, so that the next process goes on with all that was committed. What was moved away from its log gets it folded in,
and is whole when it is moved back. What was replaced is copied beside the ledger, for `reaper queue restore`. A file
that another process put at one of the names is left as it is.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress

from reaper.queues.sqlite.file import sync_directory
from reaper.queues.sqlite.watch import INDEX, LOG, FileWatch

_CHUNK_BYTES = 1024 * 1024


def rescue(connection: sqlite3.Connection, watch: FileWatch) -> str:
    """Save what would be lost; return the end of the sentence that says so. Never raises for what a disk can do."""
    try:
        if watch.overwritten:
            return _set_log_aside(watch)
        if watch.current("") != watch.ids[""]:
            return _save_ledger(connection, watch)
        if watch.current(LOG) is None and LOG in watch.ids:
            return _restore_log(connection, watch)
        if watch.current(LOG) != watch.ids.get(LOG):
            return _save_ledger(connection, watch)
    except (OSError, sqlite3.Error) as error:
        return f"; what only this process could read of it was not saved ({error})"
    return ""


def _set_log_aside(watch: FileWatch) -> str:
    """Take the log away from content that it does not belong to: SQLite would mix the two."""
    if LOG not in watch.ids or watch.current(LOG) != watch.ids[LOG]:
        return ""
    aside = f"{watch.path}.log-{watch.ids[LOG][1]}"
    os.rename(watch.path + LOG, aside)
    if watch.current(INDEX) == watch.ids.get(INDEX):
        os.unlink(watch.path + INDEX)
    return f"; the log of the former content is now {aside}: next time use `reaper queue restore`"


def _save_ledger(connection: sqlite3.Connection, watch: FileWatch) -> str:
    """Make a moved ledger whole; copy another one beside its name, or back to it where that is free."""
    is_moved = watch.current("") != watch.ids[""] and watch.has_name("")
    log_is_ours = watch.current(LOG) == watch.ids.get(LOG)
    if is_moved and not log_is_ours and watch.has_name(LOG):
        return ""  # the log went with it: the two are whole
    if is_moved and log_is_ours and _fold_log(connection, watch):
        _unlink_log(watch)
        return "; it is whole where it was moved to"
    copy = f"{watch.path}.rescued-{watch.ids[''][1]}"
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return f"; its last state is in {copy}"  # by another process that had it open
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as target:
            connection.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    except BaseException:
        with suppress(OSError):
            os.unlink(copy)
        raise
    if log_is_ours and watch.current("") != watch.ids[""]:
        _unlink_log(watch)
    if not is_moved and watch.current(LOG) is None:
        with suppress(FileExistsError):
            os.link(copy, watch.path)
            os.unlink(copy)
            sync_directory(os.path.dirname(watch.path))
            return "; it was put back with all that it held"
    return f"; its last state is in {copy}: `reaper queue restore {copy}` if that is the right one"


def _fold_log(connection: sqlite3.Connection, watch: FileWatch) -> bool:
    """Copy the log into its ledger, which has another name by now; return whether all of it is there.

    A new ledger under our name deletes our log before it takes over our index, which then says nothing about our log.
    """
    busy, pages, copied = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
    return not busy and pages == copied and watch.current(LOG) == watch.ids.get(LOG)


def _unlink_log(watch: FileWatch) -> None:
    """Remove our log: it would be taken for the log of the file that has, or gets, the ledger's name."""
    for suffix in (LOG, INDEX):
        if watch.current(suffix) == watch.ids.get(suffix):
            os.unlink(watch.path + suffix)


def _restore_log(connection: sqlite3.Connection, watch: FileWatch) -> str:
    """Give the log its name back, unless another process has begun a new one; nobody commits to it meanwhile."""
    number = watch.descriptor(LOG)
    if number is None:
        return ""
    new = f"{watch.path}.log-{watch.ids[LOG][1]}"
    connection.execute("BEGIN IMMEDIATE")
    try:
        with open(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            offset = 0
            while chunk := os.pread(number, _CHUNK_BYTES, offset):
                file.write(chunk)
                offset += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.link(new, watch.path + LOG)
    finally:
        with suppress(OSError):
            os.unlink(new)
        connection.execute("ROLLBACK")
    sync_directory(os.path.dirname(watch.path))
    return "; it was put back and holds all that was committed"

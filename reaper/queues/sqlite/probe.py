"""Do what a worker does when it opens a ledger, and leave nothing behind: for `reaper check`."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from os.path import realpath
from urllib.parse import quote

from reaper.core.errors import QueueUnavailableError
from reaper.queues.sqlite.errors import refused_for_good, translated, translated_os
from reaper.queues.sqlite.file import rehearse_file
from reaper.queues.sqlite.outage import existing_directory, shortage
from reaper.queues.sqlite.owners import CHECKPOINT
from reaper.queues.sqlite.schema import BUSY_S, LOG_KEPT_BYTES, SCHEMA

LOW_BYTES = 2 * LOG_KEPT_BYTES
"""Less free space than this is a warning: the log alone may take half of it."""
LARGE_LOG_BYTES = 4 * LOG_KEPT_BYTES
"""A log that is larger than this has not been copied into the ledger for long."""


def probe(path: str) -> list[str]:
    """Return what is worth a warning, as sentences. Blocks.

    A ledger that is there should be open for reading meanwhile: else the end of this connection, the last one, would
    copy the log into the ledger. Raises QueueError as the opening by a worker would, QueueUnavailableError for an
    outage that `run` would wait out.
    """
    path = realpath(path)
    version = None
    with refused_for_good(path):
        if rehearse_file(path):
            version = _begin_writing(path)
            _rehearse_locks(path)
        if lacking := shortage(path):
            raise QueueUnavailableError(lacking)
    return list(_risks(path, version))


def _begin_writing(path: str) -> int:
    """Begin a transaction that writes, and undo it; return the ledger's schema. Raises QueueError."""
    name = f"file:{quote(path)}?mode=rw"
    try:
        with closing(sqlite3.connect(name, uri=True, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {version}")  # BEGIN alone is content with a read-only file
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return int(version)


def _rehearse_locks(path: str) -> None:
    """See whether lock files can be made and locked beside the ledger. Raises QueueError."""
    root = f"{path}.owners"
    try:
        with tempfile.TemporaryFile(dir=root if os.path.lexists(root) else os.path.dirname(path)):
            pass
        own = os.path.join(root, CHECKPOINT)
        if os.path.lexists(own):
            os.close(os.open(own, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise translated_os(error, root) from error


def _risks(path: str, version: int | None) -> Iterator[str]:
    if version is not None and 0 < version < SCHEMA:
        yield f"it has schema {version}: the first verb that writes, as run does, brings it to {SCHEMA}"
    directory = existing_directory(path)
    found = os.statvfs(directory)
    free_bytes = found.f_bavail * found.f_frsize
    if free_bytes < LOW_BYTES:
        yield f"only {free_bytes >> 20} MiB are free in {directory}: make room; with none left, run waits"
    if version is None:
        return
    log = f"{path}-wal"
    if os.path.exists(log) and (log_bytes := os.stat(log).st_size) > LARGE_LOG_BYTES:
        yield (
            f"its log {log} has {log_bytes >> 20} MiB: some process has been reading the ledger for long; "
            "run copies the log into the ledger when that has ended"
        )
    if readers := _readers(path):
        yield f"{readers} may read the ledger {path}, which names sessions: chmod go= {path}"
    if os.stat(directory).st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not os.stat(directory).st_mode & stat.S_ISVTX:
        yield f"other users may write in {directory}, and so replace the ledger: chmod go-w {directory}"


def _readers(path: str) -> str:
    """Return who but its owner may read a file, in words; empty for nobody."""
    mode, above = os.stat(path).st_mode, os.stat(os.path.dirname(path)).st_mode
    if mode & stat.S_IROTH and above & stat.S_IXOTH:
        return "every user"
    return "its group" if mode & stat.S_IRGRP and above & stat.S_IXGRP else ""

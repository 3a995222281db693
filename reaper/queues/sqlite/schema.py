"""The file and tables of a ledger: created private, checked before use, opened with the settings durability needs."""

from __future__ import annotations

import os
import pwd
import sqlite3
import stat
import time
from urllib.parse import quote

from reaper.core.errors import QueueError
from reaper.queues.accounting import COUNTERS
from reaper.queues.sqlite.errors import code_of, translated, translated_os
from reaper.queues.statements import load_statements

SCHEMA = 1
APPLICATION_ID = 0x52454150
"""Marks the file as a ledger of ours ("REAP")."""
BUSY_S = 10.0
"""How long a call waits for another process's transaction."""
CHECKPOINT_PAGES = 4000
"""The log is copied into the file at 16 MiB: at 4 MiB a large import takes a fifth longer."""
LOG_KEPT_BYTES = 64 * 1024 * 1024
CACHE_KIB = 4 * 1024
"""With 16 MiB neither a deep queue nor an import of a million random IDs went faster."""

AT = "COALESCE(lease_until, due_at)"
"""The instant from which an open row can be claimed; an index is on it."""


def statements(file: str) -> dict[str, str]:
    """Return the statements of one of this package's `.sql` files, by name."""
    return load_statements(__package__, file, AT=AT)


SQL = statements("schema.sql")


def prepare_file(path: str, *, create: bool) -> bool:
    """Check that the ledger's file is there and is ours, or create it; return whether it was created.

    Its directory is created 0700 and the file 0600, before SQLite sees it. An existing file is not opened here: to
    close it would drop the locks that another connection of this process holds on it. Raises QueueError.
    """
    _refuse_other_user(path)
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            return False
        raise QueueError(f"{path} is not a file: name the ledger's file with --queue sqlite:///PATH")
    except FileNotFoundError:
        if not create:
            raise QueueError(
                f"there is no ledger at {path} yet: `reaper add`, `once` and `run` create it, --queue names another"
            ) from None
    except OSError as error:
        raise translated_os(error, path) from error
    try:
        _make_directory(os.path.dirname(path))
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise translated_os(error, path) from error
    return True


def connect(path: str, *, read_only: bool) -> sqlite3.Connection:
    """Open and check an existing ledger; an empty one gets its tables. Raises QueueError."""
    try:
        connection = sqlite3.connect(
            f"file:{quote(path)}?mode={'ro' if read_only else 'rw'}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            cached_statements=256,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise translated(error, path) from error
    try:
        _set_up(connection, path, read_only)
    except sqlite3.Error as error:
        connection.close()
        raise translated(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_in_memory() -> sqlite3.Connection:
    """Return an empty ledger in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _create(connection)
    connection.execute(SQL["run_sets"])
    return connection


def set_checkpointing(connection: sqlite3.Connection, is_checkpointer: bool) -> None:
    """Have this connection copy the log into the file from time to time, or never.

    SQLite before 3.51.3 can damage a ledger when two processes do it at one instant.
    """
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES if is_checkpointer else 0}")


def _set_up(connection: sqlite3.Connection, path: str, read_only: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    if not read_only:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    if not _is_ready(connection, path):
        if read_only:
            raise QueueError(f"the ledger {path} is empty: nothing was ever taken in")
        _use_log(connection)
        connection.execute("BEGIN IMMEDIATE")
        if not _is_ready(connection, path):
            _create(connection)
        connection.execute("COMMIT")
    if not read_only:
        _use_log(connection)
    connection.execute(SQL["run_sets"])


def _is_ready(connection: sqlite3.Connection, path: str) -> bool:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        (tables,) = connection.execute(SQL["count_tables"]).fetchone()
        if application or version or tables:
            raise QueueError(f"the file {path} is another program's database: name another one with --queue")
        return False
    if version > SCHEMA:
        raise QueueError(
            f"the ledger {path} was written by a newer reaper (schema {version}, this one knows {SCHEMA}): "
            "use that version"
        )
    return True


def _create(connection: sqlite3.Connection) -> None:
    for statement in SQL["tables"].split(";\n"):
        connection.execute(statement)
    connection.executemany(SQL["add_counter"], [(name,) for name in COUNTERS])
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _use_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for others here, so we do."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


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
        _sync_directory(os.path.dirname(directory))


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


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

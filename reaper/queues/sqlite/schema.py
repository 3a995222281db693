"""The tables of a ledger: checked before use, opened with the settings durability needs."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from urllib.parse import quote

from reaper.core.errors import NoQueueError, QueueError
from reaper.queues.accounting import COUNTERS, SLACK_S
from reaper.queues.sqlite.errors import code_of, translated
from reaper.queues.sqlite.migration import ReadingConnection, migrate
from reaper.queues.statements import load_statements

SCHEMA = 3
HISTORY_SINCE = 3
"""The schema since which a ledger has its history."""
APPLICATION_ID = 0x52454150
"""Marks the file as a ledger of ours ("REAP")."""
BUSY_S = 10.0
"""How long a call waits for another process's transaction."""
CHECKPOINT_PAGES = 4000
"""The log is copied into the file at 16 MiB: at 4 MiB a large import takes a fifth longer."""
LOG_KEPT_BYTES = 64 * 1024 * 1024
CACHE_KIB = 4 * 1024
"""With 16 MiB neither a deep queue nor an import of a million random IDs went faster."""

KIND = "(CASE WHEN receipt IS NOT NULL THEN 2 WHEN wait_s IS 0 THEN 0 ELSE 1 END)"
"""Of an open row: 0 due now, 1 due at its time, 2 leased."""
TOO_FAR = f"ifnull(due_at - wait_s > :now + {SLACK_S!r}, 0)"
"""Whether a wait lies further ahead than its length allows."""
IS_DUE = (
    f"(CASE WHEN receipt IS NOT NULL THEN lease_until <= :steady ELSE wait_s IS 0 OR due_at <= :now OR {TOO_FAR} END)"
)
"""Whether an open row can be claimed. `queues.accounting.is_due` is the same for one that no lease holds."""


def statements(file: str, **fragments: str) -> dict[str, str]:
    """Return the statements of one of this package's `.sql` files, by name."""
    return load_statements(__package__, file, KIND=KIND, TOO_FAR=TOO_FAR, IS_DUE=IS_DUE, **fragments)


SQL = statements("schema.sql", SCHEMA=str(SCHEMA))


def connect(path: str, *, read_only: bool) -> sqlite3.Connection:
    """Open and check an existing ledger; an empty one gets its tables. Raises QueueError."""
    try:
        connection = sqlite3.connect(
            f"file:{quote(path)}?mode={_reading_mode(path) if read_only else 'rw'}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            cached_statements=256,
            check_same_thread=False,
            factory=ReadingConnection if read_only else sqlite3.Connection,
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


def _reading_mode(path: str) -> str:
    """Return how to read a ledger: one that was closed on a read-only file system cannot change, and needs no log."""
    with suppress(OSError):
        if os.statvfs(path).f_flag & os.ST_RDONLY and not os.path.exists(f"{path}-wal"):
            return "ro&immutable=1"
    return "ro"


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
    if read_only:
        _set_up_reading(connection, path)
    else:
        if _version(connection, path) < SCHEMA:
            _use_log(connection)
            connection.execute("BEGIN IMMEDIATE")
            version = _version(connection, path)
            if version == 0:
                _create(connection)
            elif version < SCHEMA:
                for older in range(version, SCHEMA):
                    migrate(connection, SQL[f"from_{older}_to_{older + 1}"], older + 1)
            connection.execute("COMMIT")
        _use_log(connection)
    connection.execute(SQL["run_sets"])


def _set_up_reading(connection: sqlite3.Connection, path: str) -> None:
    version = _version(connection, path)
    if version == 0:
        raise NoQueueError(f"the ledger {path} is empty: nothing was ever taken in")
    if version == 1:
        assert isinstance(connection, ReadingConnection), "made so by `connect`"
        connection.read_as(SQL["read_1_as_2"])


def _version(connection: sqlite3.Connection, path: str) -> int:
    """Return the ledger's schema, 0 for an empty file. Raises QueueError for another program's file or a newer one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        (tables,) = connection.execute(SQL["count_tables"]).fetchone()
        if application or version or tables:
            raise QueueError(f"the file {path} is another program's database: name another one with --queue")
        return 0
    if version > SCHEMA:
        raise QueueError(
            f"the ledger {path} was written by a newer reaper (schema {version}, this one knows {SCHEMA}): "
            "use that version"
        )
    return int(version)


def refuse_newer(connection: sqlite3.Connection) -> None:
    """Raise QueueError when a newer reaper has migrated the ledger since it was opened."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        path = next(row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main")
        raise QueueError(
            f"the ledger {path} was migrated by a newer reaper (schema {version}, this one knows {SCHEMA}): "
            "start that version instead"
        )


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

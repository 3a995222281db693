"""The tables, and how they are created: numbered steps under a lock, so that any number of reapers may start at once.

Other programs may read `reaper_session` and insert into it; a trigger counts their rows as accepted. Counters have a
row for each server process that counted: no transaction ever waits for the counters of another one, not even of a
stranger's that stays open. `maintain` adds up the rows of server processes that ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from reaper.core.errors import NoQueueError, QueueError
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load

_LOCK = 0x52454150
"""Key of the advisory lock ("REAP") under which the tables are created; it ends with the transaction."""
_SQL = load("schema.sql", SCHEMA="{SCHEMA}")
STEPS = tuple(text for name, text in _SQL.items() if name.startswith("step_"))
"""Each takes the tables one version further."""
SCHEMA = len(STEPS)
OWNER_PREFIX = "2-"
"""Begins the names of processes: the constraints of schema 2 refuse others. Older ones find a later schema by its
number."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The queue's random name, the server's time in Unix seconds, and the risks in its settings."""

    identity: str
    now: float
    warnings: tuple[str, ...]


async def prepare(connection: Session, where: str, *, create: bool, read_only: bool) -> bool:
    """Make the tables, if `create` allows it, or bring them to this version; return whether they are new.

    With `read_only` tables of an older version are left as they are: all that is read of them is the same. Raises
    QueueError.
    """
    await connection.find_tables()
    version = await version_of(connection)
    refuse_newer(version, where)
    if version == 0 and not create:
        raise NoQueueError(f"there is no queue in {where} yet: `reaper queue init` makes it")
    if version == SCHEMA or (version and read_only):
        return False
    try:
        async with connection.transaction():
            await lock_tables(connection)
            version = await version_of(connection)
            await make_tables(connection, version)
    except psycopg.errors.InsufficientPrivilege as error:
        if version == 0:
            raise
        raise may_not_migrate(where, version) from error
    return version == 0


async def lock_tables(connection: Session) -> None:
    """Wait until no other process makes or migrates the tables; the lock ends with the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


async def make_tables(connection: Session, version: int) -> None:
    """Take the tables from a version, 0 for none, to this one; in a transaction of the caller."""
    for number in range(version, SCHEMA):
        await _step(connection, STEPS[number], number + 1)


def may_not_migrate(where: str, version: int) -> QueueError:
    """Return the error for tables of an older version that belong to another role."""
    return QueueError(
        f"the queue in {where} has schema {version}, not {SCHEMA}, and this role may not change its tables: "
        "stop all reapers on it, then run `reaper queue init` as the role that owns them"
    )


def refuse_newer(version: int, where: str) -> None:
    """Raise QueueError for a queue of a newer version, also one that was migrated while it was in use."""
    if version > SCHEMA:
        raise QueueError(
            f"the queue in {where} was written by a newer reaper (schema {version}, this one knows {SCHEMA}): "
            "use that version"
        )


async def read_facts(connection: Session, where: str, params: Mapping[str, object]) -> Facts:
    """Read the facts of a queue. Raises QueueError when it has no identity."""
    row = await (await connection.execute(_SQL["facts"], params)).fetchone()
    if row is None or not row[0]:
        raise QueueError(f"the queue in {where} has lost its identity: the row of that name in reaper_setting")
    identity, at, safe = row
    warnings = []
    if not safe:
        warnings.append(
            f"{where} runs with fsync or full_page_writes off: a power failure can lose or damage the whole queue"
        )
    return Facts(identity, at, tuple(warnings))


async def _step(connection: Session, statements: str, version: int) -> None:
    row = await (await connection.execute("SELECT current_schema()")).fetchone()
    schema = None if row is None else row[0]
    if schema is None:
        raise psycopg.errors.InvalidSchemaName("no schema of the search path exists, or this role may not use it")
    # Without parameters several statements go at once, and % means itself.
    await connection.execute(statements.replace("{SCHEMA}", sql.Identifier(schema).as_string()))
    await connection.execute(_SQL["write_version"], {"version": version})


async def version_of(connection: Session) -> int:
    """Return the version of the tables, 0 without any."""
    if await (await connection.execute(_SQL["has_tables"])).fetchone() is None:
        return 0
    row = await (await connection.execute(_SQL["read_version"])).fetchone()
    return 0 if row is None else int(row[0])

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

from reaper.core.errors import QueueError
from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.statements import load

_LOCK = 0x52454150
"""Key of the advisory lock ("REAP") under which the tables are created; it ends with the transaction."""
_SQL = load("schema.sql", SCHEMA="{SCHEMA}")
STEPS = tuple(text for name, text in _SQL.items() if name.startswith("step_"))
"""Each takes the tables one version further."""
SCHEMA = len(STEPS)


@dataclass(frozen=True, slots=True)
class Facts:
    """The queue's random name, the server's time in Unix seconds, and the risks in its settings."""

    identity: str
    now: float
    warnings: tuple[str, ...]


async def prepare(connection: Connection, where: str, *, create: bool) -> bool:
    """Bring the tables to this version, if `create` allows it; return whether they are new. Raises QueueError."""
    version = await _version(connection)
    if version == SCHEMA:
        return False
    if version > SCHEMA:
        raise QueueError(
            f"the queue in {where} was written by a newer reaper (schema {version}, this one knows {SCHEMA}): "
            "use that version"
        )
    if not create:
        if version:
            raise QueueError(f"the queue in {where} has schema {version}, not {SCHEMA}: run `reaper queue init`")
        raise QueueError(f"there is no queue in {where} yet: `reaper queue init` makes it")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = await _version(connection)
        for number in range(version, SCHEMA):
            await _step(connection, STEPS[number], number + 1)
    return version == 0


async def read_facts(connection: Connection, where: str, params: Mapping[str, object]) -> Facts:
    """Read the facts of a queue. Raises QueueError when it has no identity."""
    row = await (await connection.execute(_SQL["facts"], params)).fetchone()
    if row is None or not row[0]:
        raise QueueError(f"the queue in {where} has lost its identity: the row of that name in reaper_setting")
    identity, at, safe, synchronous = row
    warnings = []
    if not safe:
        warnings.append(
            f"{where} runs with fsync or full_page_writes off: a power failure can lose or damage the whole queue"
        )
    if not synchronous:
        warnings.append(
            f"{where} answers before it has written (synchronous_commit is off): a crash of the server can lose the"
            " last second: IDs just accepted, and outcomes, whose IDs are sent again"
        )
    return Facts(identity, at, tuple(warnings))


async def _step(connection: Connection, statements: str, version: int) -> None:
    row = await (await connection.execute("SELECT current_schema()")).fetchone()
    schema = None if row is None else row[0]
    if schema is None:
        raise psycopg.errors.InvalidSchemaName("no schema of the search path exists, or this role may not use it")
    # Without parameters several statements go at once, and % means itself.
    await connection.execute(statements.replace("{SCHEMA}", sql.Identifier(schema).as_string(connection)))
    await connection.execute(_SQL["write_version"], {"version": version})


async def _version(connection: Connection) -> int:
    if await (await connection.execute(_SQL["has_tables"])).fetchone() is None:
        return 0
    row = await (await connection.execute(_SQL["read_version"])).fetchone()
    return 0 if row is None else int(row[0])

"""Do what a worker does when it opens and uses a queue, and roll it back: for `reaper check`."""

from __future__ import annotations

from reaper.queues.postgres.connection import Connector
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.errors import parameters
from reaper.queues.postgres.schema import SCHEMA, lock_tables, make_tables, may_not_migrate, version_of
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load

_SQL = load("probe.sql")


async def probe_postgres(url: str) -> list[str]:
    """Return what is worth a warning, as sentences.

    Of tables that are there no row is changed or locked; where there are none, they are made in a transaction that is
    rolled back. Raises QueueError as a worker would.
    """
    database = Database(Connector(parameters(url)), clock=None, read_only=False)
    try:
        return await database.write(lambda connection: _probe(connection, database.where))
    finally:
        await database.close()


async def _probe(connection: Session, where: str) -> list[str]:
    await connection.find_tables()
    version = await version_of(connection)
    risks = []
    try:
        async with connection.transaction():
            if version == 0:
                await lock_tables(connection)
                await make_tables(connection, await version_of(connection))
            elif version < SCHEMA:
                ((owns,),) = await (await connection.execute(_SQL["owns_tables"])).fetchall()
                if not owns:
                    raise may_not_migrate(where, version)
                risks.append(f"it has schema {version}: the first verb that writes, as run does, brings it to {SCHEMA}")
            for name, statement in _SQL.items():
                if name.startswith("use_"):
                    await connection.execute(statement)
            raise _RolledBack
    except _RolledBack:
        return risks


class _RolledBack(Exception):
    """Ends a transaction of which nothing stays."""

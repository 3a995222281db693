"""Opens the queue in a PostgreSQL database, shared by any number of reapers on any number of machines.

It keeps the promises of `reaper.queues.base` with one exception: the leases of a dead process are not released at once
but expire, as no other machine can see that it died. Every statement is a transaction of its own, and nothing is kept
in a session of the server, so a pooler in transaction mode may stand between. Times are the server's.
"""

from __future__ import annotations

from collections.abc import Callable

from reaper.queues.base import PositionStore
from reaper.queues.composed import ComposedQueue
from reaper.queues.postgres.claims import PostgresWork
from reaper.queues.postgres.connection import Connector
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.errors import parameters
from reaper.queues.postgres.intake import PostgresIntake
from reaper.queues.postgres.operators import PostgresOperators
from reaper.queues.postgres.owners import Owner
from reaper.queues.postgres.reader import PostgresReader
from reaper.queues.postgres.schema import OWNER_PREFIX, Facts, prepare, read_facts
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.shared_values import PostgresValues
from reaper.queues.process_name import new_owner
from reaper.queues.server_time import ServerTime


async def open_postgres(
    url: str,
    *,
    create: bool,
    read_only: bool,
    worker: bool,
    positions: Callable[[str], PositionStore],
) -> tuple[ComposedQueue, bool, tuple[str, ...]]:
    """Open the queue at `url`; return it, whether its tables were created now, and the risks in the server's settings.

    `create` allows tables to be created, unless `read_only`; those of an older version are brought to this one. A
    `worker` is registered at once, others with their first claim. `positions` gets the queue's identity, which lives as
    long as its tables, and returns the store of this machine's files.

    Raises ConfigError for a URL that cannot be read, QueueError when the queue cannot be used.
    """
    database = Database(Connector(parameters(url)), clock=None, read_only=read_only)
    try:
        return await open_over(database, positions, create=create and not read_only, worker=worker and not read_only)
    except BaseException:
        await database.close()
        raise


async def open_over(
    database: Database, positions: Callable[[str], PositionStore], *, create: bool, worker: bool
) -> tuple[ComposedQueue, bool, tuple[str, ...]]:
    """Open the queue over the connections to a database; as `open_postgres`."""

    async def check(connection: Session) -> tuple[bool, Facts]:
        created = await prepare(connection, database.where, create=create, read_only=database.read_only)
        return created, await read_facts(connection, database.where, database.params())

    created, facts = await (database.read if database.read_only else database.write)(check)
    time = ServerTime(database.clock)
    time.measured(facts.now)
    store = positions(facts.identity)
    owner = Owner(database, new_owner(OWNER_PREFIX), facts.now)
    work = PostgresWork(database, owner, time)

    async def close() -> None:
        await database.close(work.close)
        await store.close()

    queue = ComposedQueue(
        intake=PostgresIntake(database, store, time.now),
        work=work,
        operators=PostgresOperators(database, time.now),
        values=PostgresValues(database, time.now),
        ledger=PostgresReader(database, time.now),
        close=close,
    )
    try:
        if worker:
            await owner.register()
    except BaseException:
        await close()
        raise
    return queue, created, facts.warnings

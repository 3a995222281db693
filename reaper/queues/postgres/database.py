"""The database as one process uses it: a connection for each kind of work, so that none waits for a longer kind.

One is for reads, one for writes, one for quick work; claims and applies have one too (`claims.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from reaper.core.errors import QueueError
from reaper.queues.postgres.connection import BatchedConnection, Connector
from reaper.queues.postgres.session import Session

A = TypeVar("A")
T = TypeVar("T")
Row = tuple[Any, ...]
Work = Callable[[Session], Awaitable[object]]

CALL_S = 120.0
"""How long a call may take that is no claim, no apply and not quick: an audit reads every row."""
QUICK_S = 5.0
"""How long quick work may take: with the time to cancel it, about as long as a worker's poll of the queue waits."""
CLOSE_S = 3.0
"""How long the end waits for the server: with all else that a reaper does then, less than its supervisor waits."""


class Database:
    """The connections of one open queue, each opened when needed. `clock` replaces the server's time in tests."""

    def __init__(self, connector: Connector, clock: Callable[[], float] | None, *, read_only: bool) -> None:
        self.connector = connector
        self.where = connector.where
        self.clock = clock
        self.read_only = read_only
        self._connections: list[BatchedConnection[Any]] = []
        self._writes = self.add_connection(BatchedConnection(connector, _run_each, CALL_S))
        self._reads = self.add_connection(BatchedConnection(connector, _run_each, CALL_S, idempotent=True))
        self._quick = self.add_connection(BatchedConnection(connector, _run_each, QUICK_S, idempotent=True))

    def add_connection(self, connection: BatchedConnection[A]) -> BatchedConnection[A]:
        """Return a connection that ends with these."""
        self._connections.append(connection)
        return connection

    def params(self, **values: object) -> dict[str, object]:
        """Return the parameters of a statement; `now` is None where the server's clock counts."""
        return {"now": None if self.clock is None else self.clock(), **values}

    async def read(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run work that changes nothing."""
        result: T = await self._reads.run(work)
        return result

    async def write(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run work that may change rows. Raises QueueError when the queue is open for reading only."""
        self.refuse_read_only()
        result: T = await self._writes.run(work)
        return result

    async def run_quick(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run work that takes a moment and may be repeated, as a heartbeat; it never waits for an audit or an `add`.

        A hung connection, as through a firewall that forgot it, so holds up the operator's pause for `QUICK_S`.
        """
        # A process that only reads has no worker: it needs no second connection.
        result: T = await (self._reads if self.read_only else self._quick).run(work)
        return result

    async def fetch(self, query: str, **values: object) -> list[Row]:
        """Return the rows of a query."""
        params = self.params(**values)
        return await self.read(lambda connection: fetch(connection, query, params))

    async def fetch_quick(self, query: str, **values: object) -> list[Row]:
        """Return the few rows of a query that takes a moment."""
        params = self.params(**values)
        return await self.run_quick(lambda connection: fetch(connection, query, params))

    async def change(self, query: str, **values: object) -> Any:
        """Run a statement; return the one value of its one row, without a row how many rows it changed."""
        params = self.params(**values)

        async def run(connection: Session) -> Any:
            cursor = await connection.execute(query, params)
            if cursor.description is None:
                return cursor.rowcount
            ((value,),) = await cursor.fetchall()
            return value

        return await self.write(run)

    def refuse_read_only(self) -> None:
        """Raise QueueError if the queue is open for reading only."""
        if self.read_only:
            raise QueueError(f"the queue in {self.where} is open for reading only")

    async def close(self, last: Callable[[], Awaitable[None]] | None = None) -> None:
        """Do `last`, finish the operations that were posted, close the connections; hang up after `CLOSE_S`.

        What was not done by then may have happened or not; leases that nobody released expire.
        """
        try:
            # Of a server that was not there a moment ago there is nothing to wait for.
            async with asyncio.timeout(0.0 if self.connector.blocked else CLOSE_S):
                if last is not None:
                    await last()
                for connection in reversed(self._connections):
                    await connection.close()
        except TimeoutError:
            await self.abandon()

    async def abandon(self) -> None:
        """Drop everything, as the death of the process would."""
        await asyncio.gather(*(connection.abandon() for connection in self._connections))


async def fetch(connection: Session, query: str, params: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a query."""
    return await (await connection.execute(query, params)).fetchall()


async def _run_each(connection: Session, works: Sequence[Work]) -> Sequence[object]:
    return [await work(connection) for work in works]

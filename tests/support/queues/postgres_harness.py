"""PostgreSQL for the contract suite: each harness has a database of its own on the one server of the test session.

It connects as a role whose every setting is against it: the promises hold whatever a session inherits.
"""

from __future__ import annotations

from reaper.queues.base import PositionStore, Queue
from reaper.queues.local_positions import LocalPositions
from reaper.queues.postgres.connection import Connector
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.errors import parameters
from reaper.queues.postgres.open import open_over
from tests.support.queues.harness import Clock
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.memory_store import Store
from tests.support.queues.postgres_server import session_server
from tests.support.queues.postgres_settings import hostile_role


class PostgresHarness:
    """All its processes are on one machine, whose positions are in `_local`."""

    cannot = frozenset({"backup", "death"})

    def __init__(self) -> None:
        self._server = session_server()
        self._name = self._server.create_database()
        self._clock = Clock()
        self._opened: dict[str, tuple[Queue, Database]] = {}
        self._local: dict[str, Store] = {}

    @property
    def url(self) -> str:
        """Where its database is, for a connection of the test's own."""
        return self._server.url(self._name)

    async def open(self) -> Queue:
        connector = Connector(parameters(hostile_role(self._server, self._name)))
        database = Database(connector, self._clock, read_only=False)
        queue, _, _ = await open_over(database, self._positions, create=True, worker=True)
        self._opened[queue.owner] = queue, database
        return queue

    def _positions(self, identity: str) -> PositionStore:
        store = self._local.setdefault(identity, Store())

        async def opened() -> Queue:
            return MemoryQueue(store, self._clock)

        return LocalPositions(opened)

    async def die(self, queue: Queue) -> None:
        _, database = self._opened[queue.owner]
        await database.abandon()

    async def close(self) -> None:
        for queue, _ in self._opened.values():
            await queue.close()
        assert len(self._local) <= 1, "the queue has one identity"
        self._server.empty_database(self._name)

    def advance(self, seconds: float) -> None:
        self._clock.now += seconds

    def jump(self, seconds: float) -> None:
        """Do nothing: the clock of a reaper's machine is not the queue's."""

    def now(self) -> float:
        return self._clock.now

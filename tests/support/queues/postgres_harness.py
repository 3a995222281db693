"""PostgreSQL for the contract suite: each harness has a database of its own on the one server of the test session."""

from __future__ import annotations

from reaper.queues.base import PositionStore, Queue
from reaper.queues.local_positions import LocalPositions
from reaper.queues.postgres.queue import PostgresQueue, open_postgres
from tests.support.queues.harness import Clock
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.memory_store import Store
from tests.support.queues.postgres_server import session_server


class PostgresHarness:
    """All its processes are on one machine, whose positions are in `_local`."""

    cannot = frozenset({"backup", "death"})

    def __init__(self) -> None:
        self._server = session_server()
        self._database = self._server.create_database()
        self._clock = Clock()
        self._opened: list[PostgresQueue] = []
        self._local: dict[str, Store] = {}

    async def open(self) -> Queue:
        queue, _, _ = await open_postgres(
            self._server.url(self._database),
            create=True,
            read_only=False,
            worker=True,
            positions=self._positions,
            clock=self._clock,
        )
        self._opened.append(queue)
        return queue

    def _positions(self, identity: str) -> PositionStore:
        store = self._local.setdefault(identity, Store())

        async def opened() -> Queue:
            return MemoryQueue(store, self._clock)

        return LocalPositions(opened)

    async def die(self, queue: Queue) -> None:
        assert isinstance(queue, PostgresQueue)
        await queue.abandon()

    async def close(self) -> None:
        for queue in self._opened:
            await queue.close()
        assert len(self._local) <= 1, "the queue has one identity"
        self._server.empty_database(self._database)

    def advance(self, seconds: float) -> None:
        self._clock.now += seconds

    def now(self) -> float:
        return self._clock.now

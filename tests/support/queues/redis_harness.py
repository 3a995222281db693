"""The contract's harness for Redis: a real server, shared by the tests, a prefix of its own for each of them."""

from __future__ import annotations

import secrets

from reaper.queues.base import Queue
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.open import open_over
from reaper.queues.redis.url import parse_url
from tests.support.queues.harness import Clock
from tests.support.queues.redis_server import KeptPositions, shared_server


class RedisHarness:
    """No process sees the death of one on another machine; copies are the server's business."""

    cannot = frozenset({"backup", "death"})

    def __init__(self) -> None:
        self._url = shared_server().url(f"t{secrets.token_hex(6)}")
        self._clock = Clock()
        self._opened: list[Queue] = []
        self._connections: dict[str, RedisConnection] = {}
        self._positions: dict[str, KeptPositions] = {}

    async def open(self) -> Queue:
        connection = RedisConnection(parse_url(self._url), self._clock)
        queue, _, _ = await open_over(
            connection,
            Inbox(connection),
            lambda identity: self._positions.setdefault(identity, KeptPositions()),
            create=True,
        )
        self._opened.append(queue)
        self._connections[queue.owner] = connection
        return queue

    async def die(self, queue: Queue) -> None:
        await self._connections[queue.owner].close()  # the leases stay, as at the death of a process

    async def close(self) -> None:
        for queue in self._opened:
            await queue.close()

    def advance(self, seconds: float) -> None:
        self._clock.now += seconds

    def jump(self, seconds: float) -> None:
        """Do nothing: the clock of a reaper's machine is not the queue's."""

    def now(self) -> float:
        return self._clock.now

"""The contract's harness for Redis: a real server, shared by the tests, a prefix of its own for each of them."""

from __future__ import annotations

import secrets

from reaper.queues.base import Queue
from reaper.queues.redis.open import open_redis
from reaper.queues.redis.queue import RedisQueue
from tests.support.queues.harness import Clock
from tests.support.queues.redis_server import KeptPositions, shared_server


class RedisHarness:
    """No process sees the death of one on another machine; copies are the server's business."""

    cannot = frozenset({"backup", "death"})

    def __init__(self) -> None:
        self._url = shared_server().url(f"t{secrets.token_hex(6)}")
        self._clock = Clock()
        self._opened: list[RedisQueue] = []
        self._positions: dict[str, KeptPositions] = {}

    async def open(self) -> Queue:
        queue, _, _ = await open_redis(
            self._url,
            create=True,
            read_only=False,
            worker=True,
            positions=lambda identity: self._positions.setdefault(identity, KeptPositions()),
            clock=self._clock,
        )
        self._opened.append(queue)
        return queue

    async def die(self, queue: Queue) -> None:
        assert isinstance(queue, RedisQueue)
        await queue.connection.close()  # as at the death of a process: its leases stay

    async def close(self) -> None:
        for queue in self._opened:
            await queue.close()

    def advance(self, seconds: float) -> None:
        self._clock.now += seconds

    def now(self) -> float:
        return self._clock.now

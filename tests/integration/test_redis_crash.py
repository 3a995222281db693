"""The Redis queue when the server dies under load: nothing acknowledged is lost, nothing is counted twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from functools import partial

import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Lease, Outcome, Send, Settle
from reaper.queues.base import Queue
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.open import open_over
from tests.support.eventually import eventually_async
from tests.support.queues.harness import ended
from tests.support.queues.redis_server import KeptPositions, RedisServer, connected, ids

pytestmark = pytest.mark.anyio

STOPPED = Settle(Outcome.STOPPED)
NO_CONTENT = Send(1.0, 0.25, 204)
MANY = 1_600
PRODUCED = 200
KILLS = 4
LEASE_S = 3.0


class Load:
    """A reaper that adds, another program that adds to the inbox, workers that settle, and who kills the server."""

    def __init__(self, server: RedisServer, queues: list[Queue]) -> None:
        self.server = server
        self.queues = queues
        self.settled: Counter[str] = Counter()
        self.refused = self.added = 0

    async def add(self) -> None:
        for start in range(0, MANY, 20):
            batch = ids(*(f"s{number}" for number in range(start, start + 20)))
            while True:
                try:
                    await self.queues[0].add(batch)
                    break
                except QueueUnavailableError:
                    self.refused += 1
                    await asyncio.sleep(0.05)
            self.added += 20
            await asyncio.sleep(0.02)

    async def produce(self) -> None:
        for number in range(PRODUCED):
            answer = ""
            while not answer.startswith("$"):
                with suppress(OSError):
                    command = ("XADD", "{reaper}:inbox", "*", "session_id", f"p{number}")
                    answer = await asyncio.to_thread(self.server.ask, *command)
                await asyncio.sleep(0.01)

    async def settle(self, queue: Queue, lease: Lease) -> None:
        while True:
            try:
                self.settled[lease.session_id] += await ended(queue, lease, STOPPED, NO_CONTENT)
                return
            except QueueUnavailableError:
                self.refused += 1
                await asyncio.sleep(0.05)

    async def work(self, queue: Queue) -> None:
        while self.settled.total() < MANY + PRODUCED:
            leases = []
            try:
                leases = await queue.claim(16, lease_s=LEASE_S)
                await queue.maintain(1e9)
            except QueueUnavailableError:
                self.refused += 1
            await asyncio.sleep(0.02)
            await asyncio.gather(*(self.settle(queue, lease) for lease in leases))

    def has_added(self, number: int) -> bool:
        return self.added >= number

    async def kill(self) -> None:
        for number in range(1, KILLS + 1):
            enough = number * MANY // (KILLS + 1)
            await eventually_async(partial(self.has_added, enough), 120)
            self.server.kill()
            await asyncio.sleep(0.2)
            await asyncio.to_thread(self.server.start)


async def impatient(url: str) -> Queue:
    """Open the queue; an entry of a dead reader is taken in after 2 s, not half a minute."""
    connection = connected(url)
    inbox = Inbox(connection, abandoned_s=2.0)
    queue, _, _ = await open_over(connection, inbox, lambda identity: KeptPositions(), create=True)
    return queue


@pytest.mark.timeout(170)
async def test_a_killed_server_loses_nothing_and_settles_nothing_twice(own_server: RedisServer) -> None:
    queues = [await impatient(own_server.url()) for _ in range(2)]
    load = Load(own_server, queues)
    parts = (load.add(), load.produce(), load.kill(), *(load.work(queue) for queue in queues))
    await asyncio.wait_for(asyncio.gather(*parts), 120)
    assert load.refused > 0, "no call met the server's death: the test showed nothing"
    everyone = [f"s{number}" for number in range(MANY)] + [f"p{number}" for number in range(PRODUCED)]
    assert load.settled == dict.fromkeys(everyone, 1)
    audit = await queues[1].audit()
    assert audit.balanced, [line for line in audit.lines if not line.balanced]
    assert audit.stats.accepted == audit.stats.settled[Outcome.STOPPED] == MANY + PRODUCED
    assert len([item async for item in queues[0].outcomes()]) == MANY + PRODUCED
    for queue in queues:
        await queue.close()

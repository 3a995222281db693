"""Steps of tests against a PostgreSQL server that is cut off, frozen or killed."""

from __future__ import annotations

import asyncio

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Lease, Outcome, SessionId
from reaper.queues.base import Queue
from tests.support.eventually import eventually_async
from tests.support.queues.harness import LEASE_S
from tests.support.queues.postgres_server import PostgresServer


async def settled_once(queue: Queue) -> bool:
    item = await queue.show(SessionId("a"))
    assert item is not None
    audit = await queue.audit()
    return (
        item.outcome is Outcome.STOPPED
        and len(item.history) == 1
        and audit.balanced
        and audit.stats.settled[Outcome.STOPPED] == 1
    )


async def poll_claim(queue: Queue) -> Lease:
    async with asyncio.timeout(10):
        while True:
            try:
                if leases := await queue.claim(1, lease_s=LEASE_S):
                    return leases[0]
            except QueueUnavailableError:
                pass
            await asyncio.sleep(0.01)


async def waiting_for_a_lock(server: PostgresServer, database: str, number: int) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    await eventually_async(lambda: server.sql(query, (database,)) == [(number,)], 10, every_s=0.01)

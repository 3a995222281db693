"""Applies whose answers are lost: recognised when they are asked again, and never confused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Lease, Outcome
from tests.support.queues.harness import LEASE_S, STOPPED, claim_one, ended, ids, sent
from tests.support.queues.postgres_roles import CuttingProxy, opened
from tests.support.queues.postgres_server import URL_PASSWORD, PostgresServer
from tests.support.queues.postgres_steps import poll_claim, settled_once, waiting_for_a_lock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def proxy(server: PostgresServer) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(server.port).running() as running:
        yield running


def through(proxy: CuttingProxy, database: str) -> str:
    return f"postgresql://postgres:{URL_PASSWORD}@127.0.0.1:{proxy.port}/{database}"


async def test_an_apply_whose_answer_was_lost_is_recognised(
    server: PostgresServer, database: str, proxy: CuttingProxy
) -> None:
    async with opened(through(proxy, database)) as queue:
        await queue.add(ids("a"))
        lease = await claim_one(queue)
        proxy.lose_answer()
        with pytest.raises(QueueUnavailableError):
            await ended(queue, lease, STOPPED, sent())
        assert proxy.lost.is_set()
        assert await settled_once(queue), "it had happened"
        assert await ended(queue, lease, STOPPED, sent())
        assert await settled_once(queue)
        assert not await ended(queue, lease, STOPPED, sent()), "answered for, it is over as any other"


async def test_an_apply_that_never_arrived_happens_when_asked_again(
    server: PostgresServer, database: str, proxy: CuttingProxy
) -> None:
    async with opened(through(proxy, database)) as queue:
        await queue.add(ids("a"))
        lease = await claim_one(queue)
        proxy.lose_question()
        with pytest.raises(QueueUnavailableError):
            await ended(queue, lease, STOPPED, sent())
        assert (await queue.stats()).in_flight == 1
        assert await ended(queue, lease, STOPPED, sent())
        assert await settled_once(queue)


async def test_an_apply_that_is_still_under_way_is_recognised(
    server: PostgresServer, database: str, proxy: CuttingProxy
) -> None:
    """The row is locked by a third; the first apply waits for it on the server when its connection goes."""
    async with opened(through(proxy, database)) as queue, opened(server.url(database)) as watching:
        await queue.add(ids("a"))
        lease = await claim_one(queue)
        blocker = await psycopg.AsyncConnection.connect(server.url(database))
        await blocker.execute("SELECT 1 FROM reaper_session FOR UPDATE")
        first = asyncio.create_task(ended(queue, lease, STOPPED, sent()))
        await waiting_for_a_lock(server, database, 1)
        proxy.cut()
        with pytest.raises(QueueUnavailableError):
            await first
        again = asyncio.create_task(ended(queue, lease, STOPPED, sent()))
        await waiting_for_a_lock(server, database, 2)
        await blocker.rollback()
        await blocker.close()
        assert await again
        assert await settled_once(watching)


async def test_a_lease_lost_in_between_is_not_taken_for_the_lost_answer(
    server: PostgresServer, database: str, proxy: CuttingProxy
) -> None:
    async with opened(through(proxy, database)) as queue, opened(server.url(database)) as other:
        await queue.add(ids("a"))
        (lease,) = await queue.claim(1, lease_s=0.05)
        proxy.lose_question()
        with pytest.raises(QueueUnavailableError):
            await ended(queue, lease, STOPPED, sent())
        second = await poll_claim(other)
        assert second.session_id == lease.session_id
        assert not await ended(queue, lease, STOPPED, sent())
        assert await ended(other, second, STOPPED, sent())


async def test_many_lost_answers_at_once_are_distinguished(
    server: PostgresServer, database: str, proxy: CuttingProxy
) -> None:
    async with opened(through(proxy, database)) as queue:
        await queue.add(ids(*(f"s{number}" for number in range(50))))
        leases = await queue.claim(50, lease_s=LEASE_S)
        proxy.lose_answer()

        async def apply(lease: Lease) -> bool:
            try:
                return await ended(queue, lease, STOPPED, sent())
            except QueueUnavailableError:
                return await ended(queue, lease, STOPPED, sent())

        assert all(await asyncio.gather(*map(apply, leases)))
        audit = await queue.audit()
        assert audit.balanced
        assert audit.stats.settled[Outcome.STOPPED] == 50

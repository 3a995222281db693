"""A cancellation that meets the booking of a 404 in the same row: whichever comes first, the request is kept."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import anyio
import psycopg
import pytest

from reaper.core.model import REAPER, LeaseResult, Outcome, SessionId, Settle
from reaper.queues.values import CancelResult
from tests.support.eventually import eventually_async
from tests.support.queues.harness import LEASE_S, cancel_one, ids, sent
from tests.support.queues.postgres_harness import PostgresHarness

pytestmark = pytest.mark.anyio
ONE = SessionId("s")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.mark.parametrize("first", ["apply", "cancel"])
async def test_a_cancellation_that_waits_for_the_row_is_kept(first: str) -> None:
    results: list[CancelResult] = []
    async with AsyncExitStack() as stack:
        harness = PostgresHarness()
        stack.push_async_callback(harness.close)
        one, other = await harness.open(), await harness.open()
        holder = await stack.enter_async_context(await psycopg.AsyncConnection.connect(harness.url))
        watcher = await stack.enter_async_context(await psycopg.AsyncConnection.connect(harness.url, autocommit=True))
        await one.add(ids("s"))
        (lease,) = await one.claim(1, lease_s=LEASE_S)

        async def apply() -> None:
            await one.apply([LeaseResult(lease, Settle(Outcome.ALREADY_GONE), sent(404))])

        async def cancel() -> None:
            results.append(await cancel_one(other, ONE, reason="a demo", by="anna"))

        async def wait(number: int) -> bool:
            return await (await watcher.execute(WAITING)).fetchone() == (number,)

        await holder.execute("SELECT 1 FROM reaper_session FOR UPDATE")
        async with anyio.create_task_group() as group:
            for number, work in enumerate((apply, cancel) if first == "apply" else (cancel, apply), 1):
                group.start_soon(work)
                await eventually_async(partial(wait, number), what="it waits for the row")
            await holder.rollback()
        assert results == [CancelResult.SETTLED if first == "apply" else CancelResult.REQUESTED]
        assert await one.reopen([ONE], reason="it is alive", by=REAPER, only=frozenset({Outcome.ALREADY_GONE})) == 1
        item = await one.show(ONE)
        assert item is not None
        assert (item.outcome, item.by, item.reason) == (Outcome.CANCELLED, "anna", "a demo")
        assert (await one.audit()).balanced

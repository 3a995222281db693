"""Lost answers, cut connections, a server that dies, freezes or is away: nothing acknowledged is lost or twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import psycopg
import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Decision, Lease, Outcome, Pause, PauseReason, Retry, Send, SessionId
from reaper.core.owners import random_part
from reaper.queues.base import Queue
from reaper.queues.postgres.connection import CANCEL_S
from reaper.queues.postgres.database import CLOSE_S, QUICK_S
from reaper.worker.supervisor import QUEUE_TIMEOUT_S
from tests.support.eventually import eventually_async
from tests.support.queues.harness import LEASE_S, STOPPED, claim_one, ended, ids, names, sent
from tests.support.queues.postgres_roles import opened
from tests.support.queues.postgres_server import PostgresServer
from tests.support.queues.postgres_steps import poll_claim, settled_once, waiting_for_a_lock

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server that writes to the disk and may be killed."""
    server = PostgresServer(durable=True)
    server.start()
    yield server
    server.close()


async def test_a_backend_terminated_while_an_apply_waits(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)) as queue:
        await queue.add(ids("a"))
        lease = await claim_one(queue)
        blocker = await psycopg.AsyncConnection.connect(server.url(database))
        await blocker.execute("SELECT 1 FROM reaper_session FOR UPDATE")
        first = asyncio.create_task(ended(queue, lease, STOPPED, sent()))
        await waiting_for_a_lock(server, database, 1)
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with pytest.raises(QueueUnavailableError, match=r"closed the connection|stopping"):
            await first
        await blocker.close()
        assert await ended(queue, lease, STOPPED, sent())
        assert await settled_once(queue)


async def test_idle_connections_that_were_cut_are_noticed_in_time(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)) as queue:
        await queue.add(ids("a", "b"))
        await claim_one(queue)
        server.terminate(database)
        assert names(await queue.claim(1, lease_s=LEASE_S)) == ["b"]
        assert (await queue.add(ids("c"))).accepted == 1
        assert (await queue.stats()).in_flight == 2


async def test_a_cancelled_claim_that_waits_on_the_server_leaves_the_queue_usable(
    server: PostgresServer, database: str
) -> None:
    async with opened(server.url(database)) as queue:
        await queue.add(ids("a", "b"))
        blocker = await psycopg.AsyncConnection.connect(server.url(database))
        await blocker.execute("LOCK TABLE reaper_session IN ACCESS EXCLUSIVE MODE")
        claiming = asyncio.create_task(queue.claim(2, lease_s=LEASE_S))
        await waiting_for_a_lock(server, database, 1)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
        await blocker.close()
        async with asyncio.timeout(10):
            got: list[str] = []
            while len(got) < 2:
                got += names(await queue.claim(2, lease_s=LEASE_S))
        assert sorted(got) == ["a", "b"]
        assert {(item.sends) for name in got if (item := await queue.show(SessionId(name)))} == {1}


async def test_what_one_process_holds_no_other_gets(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)) as one, opened(server.url(database)) as two:
        await one.add(ids(*(f"s{number}" for number in range(400))))
        claims = [queue.claim(7, lease_s=LEASE_S) for _ in range(40) for queue in (one, two)]
        got = [name for leases in await asyncio.gather(*claims) for name in names(leases)]
        got += names(await one.claim(400, lease_s=LEASE_S))
        assert len(got) == len(set(got)) == 400


async def test_a_claim_that_is_not_committed_yet_counts_as_one(server: PostgresServer, database: str) -> None:
    """Two that claim at the same instant: the later one must not write its lease over the first's when that commits."""
    async with opened(server.url(database)) as queue:
        await queue.add(ids("a", "b"))
        other = await psycopg.AsyncConnection.connect(server.url(database))
        await other.execute(
            "UPDATE reaper_session SET sends = 1, owner = '2-other', receipt = '2-other.1.1',"
            " lease_until = now() + interval '1 minute' WHERE session_id = 'a'"
        )
        claim = asyncio.ensure_future(queue.claim(2, lease_s=LEASE_S))
        await asyncio.wait({claim}, timeout=1.0)
        await other.commit()
        await other.close()
        assert names(await claim) == ["b"]


async def test_a_claim_passes_over_rows_that_somebody_else_has_locked(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)) as queue:
        await queue.add(ids("a", "b"))
        blocker = await psycopg.AsyncConnection.connect(server.url(database))
        await blocker.execute("SELECT 1 FROM reaper_session WHERE session_id = 'a' FOR UPDATE")
        began = time.monotonic()
        assert names(await queue.claim(2, lease_s=LEASE_S)) == ["b"]
        assert time.monotonic() - began < 2
        await blocker.rollback()
        await blocker.close()
        assert names(await queue.claim(2, lease_s=LEASE_S)) == ["a"]


async def test_while_the_server_is_away_each_call_fails_soon_and_none_turns_in_a_loop(
    mortal: PostgresServer,
) -> None:
    database = mortal.create_database()
    async with opened(mortal.url(database)) as queue:
        await queue.add(ids("a", "b"))
        lease = await claim_one(queue)
        mortal.kill()
        began, cpu, failed = time.monotonic(), time.process_time(), 0
        while time.monotonic() - began < 3:
            asked = time.monotonic()
            with pytest.raises(QueueUnavailableError):
                await queue.claim(1, lease_s=LEASE_S)
            with pytest.raises(QueueUnavailableError):
                await queue.stats()
            assert time.monotonic() - asked < 3
            failed += 1
        assert failed < 20
        assert time.process_time() - cpu < 1
        mortal.start()
        async with asyncio.timeout(10):
            assert await ask_again(queue, lease)
        assert (await poll_claim(queue)).session_id == "b"


@pytest.mark.slow
async def test_a_frozen_server_is_given_up_in_time_and_nothing_is_in_doubt_afterwards(mortal: PostgresServer) -> None:
    database = mortal.create_database()
    async with opened(mortal.url(database)) as queue:
        await queue.add(ids("a"))
        lease = await claim_one(queue)
        with mortal.frozen():
            began = time.monotonic()
            with pytest.raises(QueueUnavailableError, match="did not answer within"):
                await ended(queue, lease, STOPPED, sent())
            assert time.monotonic() - began < 13, "a worker waits for 15 s"
        async with asyncio.timeout(20):
            assert await ask_again(queue, lease)
        assert await settled_once(queue)


async def test_a_hung_connection_holds_up_the_operators_pause_for_a_moment(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """New connections work: the pause is read over one, while a longer call still waits on an old one."""
    assert QUICK_S + CANCEL_S <= QUEUE_TIMEOUT_S
    monkeypatch.setattr("reaper.queues.postgres.database.QUICK_S", 0.3)
    monkeypatch.setattr("reaper.queues.postgres.connection.CANCEL_S", 0.3)
    async with opened(server.url(database)) as queue:
        await queue.stats()
        await queue.heartbeat(4, [])
        with server.frozen_connections(database):
            long = asyncio.create_task(queue.stats())
            await pause_now(server, database)
            async with asyncio.timeout(5):
                with suppress(QueueUnavailableError):
                    await queue.paused()
                pause = await queue.paused()
                await queue.heartbeat(4, [])
                assert await queue.next_at() is None
                assert await queue.read_value("n") is None
            assert pause is not None
            assert pause.detail == "now"
            assert not long.done()
        await long
    assert not caplog.records, "the library's warnings say nothing that the error does not"


@pytest.mark.parametrize("all_of_it", [False, True])
async def test_a_server_that_hangs_does_not_keep_a_queue_from_closing(mortal: PostgresServer, all_of_it: bool) -> None:
    """With `all_of_it` it takes no new connections either."""
    database = mortal.create_database()
    async with opened(mortal.url(database)) as queue:
        await queue.add(ids("a"))
        lease = await claim_one(queue)
        await queue.stats()
        with mortal.frozen() if all_of_it else mortal.frozen_connections(database):
            calls = [
                asyncio.ensure_future(call)
                for call in (queue.add(ids("b")), queue.stats(), queue.paused(), ended(queue, lease, STOPPED, sent()))
            ]
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await queue.close()
            assert time.monotonic() - began < CLOSE_S + 2
            await asyncio.wait(calls)
    assert all(call.cancelled() or isinstance(call.exception(), QueueUnavailableError) for call in calls)


async def pause_now(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database), worker=False) as operator:
        await operator.pause(Pause(PauseReason.OPERATOR, 0.0, "now"))


async def test_kill_9_of_the_server_under_load_loses_nothing(mortal: PostgresServer) -> None:
    """Three times; what was acknowledged stays, each ID ends once, and the books balance."""
    database = mortal.create_database()
    accepted: set[str] = set()
    stopped: list[str] = []
    adding, adders = True, 2
    errors = 0

    async def add(queue: Queue, who: str) -> None:
        nonlocal errors, adders
        number = 0
        while adding:
            batch = ids(*(f"{who}.{number}.{item}" for item in range(5)))
            try:
                await queue.add(batch)
            except QueueUnavailableError:
                errors += 1
                continue
            accepted.update(item.session_id for item in batch.items)
            number += 1
        adders -= 1

    async def work(queue: Queue) -> None:
        nonlocal errors
        while True:
            try:
                leases = await queue.claim(3, lease_s=4.0)
                if not leases and not adders and await queue.next_at() is None:
                    return
            except QueueUnavailableError:
                errors += 1
                continue
            for lease in leases:
                decision = Retry(0.0) if hash(lease.receipt) % 5 == 0 else STOPPED
                answer = sent(502) if isinstance(decision, Retry) else sent()
                if await ask_again(queue, lease, decision, answer) and decision is STOPPED:
                    stopped.append(lease.session_id)
            await asyncio.sleep(0 if leases else 0.02)

    def at_least(number: int) -> bool:
        return len(stopped) >= number

    async with asyncio.timeout(90), opened(mortal.url(database)) as one, opened(mortal.url(database)) as two:
        async with asyncio.TaskGroup() as group:
            for queue in (one, two):
                group.create_task(add(queue, random_part(queue.owner)))
                for _ in range(4):
                    group.create_task(work(queue))
            for _ in range(3):
                enough = len(stopped) + 100
                await eventually_async(partial(at_least, enough), 90)
                mortal.kill()
                await asyncio.to_thread(mortal.start)
            adding = False
        audit = await one.audit()
        assert audit.balanced, audit.lines
        rows = {name for (name,) in mortal.sql("SELECT session_id FROM reaper_session", database=database)}
        assert accepted <= rows
        assert set(stopped) <= rows
        assert len(stopped) == len(set(stopped)), "nothing is reported as settled twice"
        assert audit.stats.accepted == audit.stats.settled[Outcome.STOPPED] == len(rows)
        assert errors >= 3


async def ask_again(queue: Queue, lease: Lease, decision: Decision = STOPPED, send: Send | None = None) -> bool:
    while True:
        try:
            return await ended(queue, lease, decision, send or sent())
        except QueueUnavailableError:
            continue

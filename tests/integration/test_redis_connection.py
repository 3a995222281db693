"""The Redis queue while the server is away, hangs or is full, or its answer is lost: asking again mends it."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
from contextlib import ExitStack

import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import Decision, Outcome, Release, Retry, Send, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.redis import connection
from reaper.queues.redis.url import parse_url
from tests.support.eventually import eventually_async
from tests.support.queues.harness import ended
from tests.support.queues.redis_cutter import Cutter
from tests.support.queues.redis_server import RedisServer, free_port, ids, opened, shared_server

pytestmark = pytest.mark.anyio

STOPPED = Settle(Outcome.STOPPED)
NO_CONTENT = Send(1.0, 0.25, 204)
ANSWERS: list[tuple[Decision, Send | None]] = [
    (STOPPED, NO_CONTENT),
    (Settle(Outcome.PROTECTED), None),
    (Retry(60.0), Send(1.0, 0.25, 502)),
    (Release(60.0), Send(1.0, 0.25, 429)),
    (Release(0.0), None),
]


async def warm(queue: Queue) -> None:
    """Let the server learn the scripts, so that what follows is one question and one answer each."""
    await queue.add(ids("warm"))
    (lease,) = await queue.claim(1, lease_s=60)
    assert await ended(queue, lease, STOPPED, NO_CONTENT)


@pytest.mark.parametrize("lost", ["answer", "question"])
@pytest.mark.parametrize(("decision", "send"), ANSWERS)
async def test_an_apply_cut_off_is_asked_again_and_happens_once(
    prefix: str, decision: Decision, send: Send | None, lost: str
) -> None:
    async with Cutter(shared_server().port) as wire:
        queue = await opened(wire.url(prefix))
        await warm(queue)
        await queue.add(ids("a"))
        (lease,) = await queue.claim(1, lease_s=60)
        wire.cut_answers, wire.cut_questions = lost == "answer", lost == "question"
        for _ in range(2):
            with pytest.raises(QueueUnavailableError):
                await ended(queue, lease, decision, send)
        wire.cut_answers = wire.cut_questions = False
        assert wire.cuts >= 2
        assert await ended(queue, lease, decision, send)
        assert not await ended(queue, lease, decision, send), "its answer arrived: now it is stale"
        item = await queue.show(SessionId("a"))
        assert item is not None
        assert item.sends == len(item.history) == (send is not None)
        audit = await queue.audit()
        assert audit.balanced
        assert sum(audit.stats.settled.values()) == 1 + isinstance(decision, Settle)
        await queue.close()


async def test_an_apply_asked_again_is_good_whatever_became_of_the_id_meanwhile(prefix: str) -> None:
    other = await opened(shared_server().url(prefix))
    async with Cutter(shared_server().port) as wire:
        queue = await opened(wire.url(prefix))
        await warm(queue)
        await queue.add(ids("a"))
        (lease,) = await queue.claim(1, lease_s=60)
        wire.cut_answers = True
        with pytest.raises(QueueUnavailableError):
            await ended(queue, lease, Retry(0.0), Send(1.0, 0.25, 502))
        (second,) = await other.claim(1, lease_s=60)
        assert (second.session_id, second.attempts) == ("a", 1)
        assert await ended(other, second, STOPPED, NO_CONTENT)
        wire.cut_answers = False
        await warm_again(queue)
        assert await ended(queue, lease, Retry(0.0), Send(1.0, 0.25, 502))
        await queue.close()
    item = await other.show(SessionId("a"))
    assert item is not None
    assert (item.outcome, item.sends, item.attempts) == (Outcome.STOPPED, 2, 2)
    assert (await other.audit()).balanced
    await other.close()


async def warm_again(queue: Queue) -> None:
    """Let other applies be answered in between: they end only what is theirs to end."""
    for name in ("between", "again"):
        await queue.add(ids(name))
        (lease,) = await queue.claim(1, lease_s=60)
        assert await ended(queue, lease, STOPPED, NO_CONTENT)


async def test_what_was_doubted_is_kept_within_bounds_and_goes_with_the_process(prefix: str) -> None:
    async with Cutter(shared_server().port) as wire:
        queue = await opened(wire.url(prefix))
        await warm(queue)
        done = f"{{{prefix}}}:done:{queue.owner}"
        for number in range(5):
            await queue.add(ids(f"s{number}"))
            (lease,) = await queue.claim(1, lease_s=60)
            assert await ended(queue, lease, STOPPED, NO_CONTENT)
        assert shared_server().ask("ZCARD", done) == ":1\r\n", "what was answered is forgotten with the next"
        await queue.close()
        assert shared_server().ask("EXISTS", done) == ":0\r\n"


async def test_an_engine_away_says_so_at_once_and_is_used_again_when_it_is_back(own_server: RedisServer) -> None:
    queue = await opened(own_server.url())
    await queue.add(ids("a"))
    own_server.kill()
    began = time.monotonic()
    for call in (queue.claim(1, lease_s=60), queue.claim(1, lease_s=60), queue.stats(), opened(own_server.url())):
        with pytest.raises(
            QueueUnavailableError, match=r"cannot be reached \((Connection closed|Conn.*refused|Connect call failed)"
        ):
            await call
    assert time.monotonic() - began < connection.CONNECT_S
    own_server.start()
    (lease,) = await queue.claim(1, lease_s=60)
    assert (lease.session_id, lease.sends) == ("a", 1)
    await queue.close()


async def test_a_machine_that_does_not_answer_is_given_up_after_the_connect_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert connection.CONNECT_S <= 5
    monkeypatch.setattr(connection, "CONNECT_S", 0.3)
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # they fill its line; it never takes one out
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        began = time.monotonic()
        with pytest.raises(QueueUnavailableError, match="did not answer in time"):
            await opened(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0")
        assert time.monotonic() - began < 3


async def test_a_server_that_hangs_does_not_keep_a_queue_from_closing(own_server: RedisServer) -> None:
    queue = await opened(own_server.url())
    await queue.add(ids("a"))
    (lease,) = await queue.claim(1, lease_s=60)
    own_server.signal(signal.SIGSTOP)
    try:
        calls = [
            asyncio.ensure_future(call)
            for call in (queue.add(ids("b")), queue.paused(), ended(queue, lease, STOPPED, NO_CONTENT))
        ]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await queue.close()
        assert time.monotonic() - began < connection.CLOSE_S + 2
        await asyncio.wait(calls, timeout=1)
        assert all(call.cancelled() for call in calls)
    finally:
        own_server.signal(signal.SIGCONT)


async def test_an_error_whose_caller_is_gone_is_not_logged(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 0.3)
    said: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: said.append(context))
    queue = await opened(own_server.url())
    own_server.signal(signal.SIGSTOP)
    try:
        for call in (queue.paused(), queue.next_at(), queue.claim(1, lease_s=60)):
            asking = asyncio.ensure_future(call)
            await asyncio.sleep(0.05)
            asking.cancel()
            await asyncio.wait([asking])
        await asyncio.sleep(0.5)
    finally:
        own_server.signal(signal.SIGCONT)
    await queue.close()
    gc.collect()
    assert not said


async def test_a_server_that_hangs_is_given_up_and_what_was_asked_may_be_asked_again(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 0.5)
    queue = await opened(own_server.url())
    await queue.add(ids("a", "b"))
    one, two = await queue.claim(2, lease_s=60)
    own_server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(QueueUnavailableError, match="did not answer in time"):
            await ended(queue, one, STOPPED, NO_CONTENT)
        cancelled = asyncio.create_task(ended(queue, two, STOPPED, NO_CONTENT))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    finally:
        own_server.signal(signal.SIGCONT)
    assert await ended(queue, one, STOPPED, NO_CONTENT)
    assert await ended(queue, two, STOPPED, NO_CONTENT), "cancelled before it was sent, it had not happened"
    assert (await queue.stats()).settled[Outcome.STOPPED] == 2
    assert (await queue.audit()).balanced
    await queue.close()


async def test_a_full_server_takes_nothing_in_but_lets_what_is_held_be_settled(own_server: RedisServer) -> None:
    queue = await opened(own_server.url())
    await queue.add(ids("a"))
    (lease,) = await queue.claim(1, lease_s=60)
    assert own_server.ask("CONFIG", "SET", "maxmemory", "1") == "+OK\r\n"
    with pytest.raises(QueueUnavailableError, match="out of memory"):
        await queue.add(ids("b"))
    with pytest.raises(QueueUnavailableError, match="out of memory"):
        await queue.compare_and_set("account", "x", was=None)
    assert await ended(queue, lease, STOPPED, NO_CONTENT)
    assert own_server.ask("CONFIG", "SET", "maxmemory", "0") == "+OK\r\n"
    assert (await queue.add(ids("b"))).accepted == 1
    assert (await queue.audit()).balanced
    await queue.close()


async def test_a_replica_says_so_until_it_is_the_primary(own_server: RedisServer) -> None:
    queue = await opened(own_server.url())
    assert own_server.ask("REPLICAOF", "127.0.0.1", str(free_port())) == "+OK\r\n"
    with pytest.raises(QueueUnavailableError, match="replica"):
        await queue.add(ids("a"))
    assert own_server.ask("REPLICAOF", "NO", "ONE") == "+OK\r\n"
    assert (await queue.add(ids("a"))).accepted == 1
    await queue.close()


async def test_a_server_that_cannot_write_its_disk_says_so(own_server: RedisServer) -> None:
    queue = await opened(own_server.url())
    (own_server.directory / "dump.rdb").mkdir()  # where the snapshot should go
    for words in (("CONFIG", "SET", "save", "3600 1"), ("BGSAVE",)):
        assert own_server.ask(*words).startswith("+")
    with ExitStack() as stack:
        stack.callback(own_server.ask, "CONFIG", "SET", "save", "")
        failed = "rdb_last_bgsave_status:err"
        await eventually_async(lambda: failed in own_server.ask("INFO", "persistence"), 20, every_s=0.05)
        with pytest.raises(QueueUnavailableError, match="disk"):
            await queue.add(ids("a"))
    assert (await queue.add(ids("a"))).accepted == 1
    await queue.close()


async def test_a_queue_emptied_while_it_is_in_use_is_not_mistaken_for_the_same(own_server: RedisServer) -> None:
    queue = await opened(own_server.url())
    await queue.add(ids("a"))
    assert own_server.ask("FLUSHALL") == "+OK\r\n"
    for call in (queue.add(ids("b")), queue.claim(1, lease_s=60), queue.stats(), queue.show(SessionId("a"))):
        with pytest.raises(QueueError, match="emptied or replaced") as caught:
            await call
        assert not isinstance(caught.value, QueueUnavailableError)
    await queue.close()
    assert own_server.ask("DBSIZE") == ":0\r\n", "nothing was written into it"
    again = await opened(own_server.url())
    assert (await again.add(ids("b"))).accepted == 1
    await again.close()


async def test_bytes_that_are_no_answer_are_an_outage_and_no_internal_error() -> None:
    """A number that is none: the library fails in its parser, with no error of its own."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65536):
            writer.write(b":abc\r\n" if b"PING" in asked else b"+OK\r\n" * asked.count(b"*"))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    redis = connection.RedisConnection(parse_url(f"redis://127.0.0.1:{port}"), None)
    for _ in range(2):
        with pytest.raises(QueueUnavailableError, match=r"does not expect \(ValueError\)"):
            await redis.execute("PING")
    await redis.close()
    server.close()
    await server.wait_closed()

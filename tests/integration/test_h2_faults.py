"""Every case of `h2_cases.py` over real sockets, and what only sockets can do: close, reset, stall, go silent."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from reaper.api.http.exchange import Connection, Exchange, WireFault
from reaper.api.http.h2 import connection as h2
from reaper.api.http.h2.connection import H2Connection
from reaper.api.http.receiver import new_buffer
from reaper.api.http.transport import Transport
from tests.support.eventually import eventually_async
from tests.support.http.h2 import GOAWAY, PING, RST, body, exchange, fates, frame, goaway, head, settings
from tests.support.http.h2_caller import calling, certified
from tests.support.http.h2_cases import CASES, JSON, LENGTHY, OK, Case
from tests.support.http.h2_server import Asked, Drip, End, RawH2Server, Script
from tests.support.programs import missing

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param:
        try:
            import uvloop  # noqa: F401
        except ImportError:
            missing("uvloop", "is not installed")
    return "asyncio", {"use_uvloop": request.param}


class Watcher:
    """The owner of one connection."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.rooms: list[int] = []

    def on_available(self, connection: Connection) -> None:
        self.rooms.append(connection.room)

    def on_closed(self, connection: Connection) -> None:
        assert connection.room == 0
        self.gone.set()


@asynccontextmanager
async def connected(server: RawH2Server) -> AsyncIterator[tuple[H2Connection, Watcher]]:
    """A connection; after it, it is gone within seconds."""
    owner = Watcher()
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: H2Connection(owner, new_buffer()), "127.0.0.1", server.port
    )
    try:
        yield connection, owner
    finally:
        connection.close()
        async with asyncio.timeout(5):
            await owner.gone.wait()


def ask(connection: H2Connection, count: int = 3, **options: Any) -> list[Exchange]:
    asked = [exchange(**options) for _ in range(count)]
    for one in asked:
        connection.start(one)
    return asked


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_what_the_peer_says_has_its_meaning(case: Case) -> None:
    mark = frame(PING, 0, 0, b"the end.")
    script: Script = [Asked(1), case.first]
    if case.said:
        script += [Asked(3), case.said + mark]
    async with RawH2Server(script) as server, connected(server) as (connection, owner):
        asked = ask(connection)
        if case.code is None and case.said:
            await eventually_async(lambda: any(one.kind == PING and one.flags for one in server.heard))
        await eventually_async(lambda: fates(asked) == case.fates)
        if case.code is not None:
            await asyncio.wait_for(owner.gone.wait(), 5)
        await eventually_async(
            lambda: (
                [one.payload[7] for one in server.heard if one.kind == GOAWAY]
                == ([] if case.code is None else [case.code])
            )
        )
        assert {one.stream: one.number for one in server.heard if one.kind == RST} == case.resets
    assert None not in fates(asked)


@pytest.mark.parametrize("end", [End.CLOSE, End.RESET, End.HALF])
@pytest.mark.parametrize("cut", [0, 1, 8, 9, 10, 25, 40, 60])
async def test_an_answer_that_breaks_off(end: End, cut: int) -> None:
    answer = head(1, LENGTHY, 0x4) + body(1, JSON)
    assert len(answer) > 60
    script: Script = [settings(), Asked(3), answer[:cut], end]
    async with RawH2Server(script) as server, connected(server) as (connection, owner):
        asked = ask(connection)
        await asyncio.wait_for(owner.gone.wait(), 5)
        assert fates(asked) == ["reset"] * 3
        assert connection.room == 0


async def test_a_goodbye_and_a_close_in_one_go() -> None:
    script: Script = [settings(), Asked(3), head(3) + goaway(3), End.CLOSE]
    async with RawH2Server(script) as server, connected(server) as (connection, owner):
        asked = ask(connection)
        await asyncio.wait_for(owner.gone.wait(), 5)
        assert fates(asked) == ["reset", 204, "refused"]


@pytest.mark.parametrize("last_words", [goaway(1), b""], ids=["goodbye", "no word"])
async def test_a_connection_that_was_closed_while_idle_is_not_written_to(last_words: bytes) -> None:
    """The close is there to be read, and was not yet when the request came."""
    ours, theirs = socket.socketpair()
    owner = Watcher()
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: H2Connection(owner, new_buffer()), sock=ours
    )
    (first,) = ask(connection, 1)
    await eventually_async(lambda: first.written, every_s=0)
    theirs.sendall(settings() + head(1))
    await eventually_async(lambda: first.finished, every_s=0)
    theirs.sendall(last_words)
    theirs.close()
    (late,) = ask(connection, 1)
    await asyncio.wait_for(owner.gone.wait(), 5)
    assert fates([first, late]) == [204, "refused"]
    assert not late.written


async def test_an_answer_that_drips() -> None:
    answer = head(1, LENGTHY, 0x4) + body(1, JSON) + head(3)
    async with RawH2Server([settings(), Asked(2), Drip(answer)]) as server, connected(server) as (connection, _):
        asked = ask(connection, 2)
        await eventually_async(lambda: fates(asked) == [404, 204])


async def test_a_peer_that_does_not_read() -> None:
    """Requests wait in our memory, bounded by what may be under way, and closing does not hang."""
    async with RawH2Server([settings((3, 1000)), Asked(1), End.DEAF]) as server:
        async with connected(server) as (connection, _):
            asked: list[Exchange] = []
            deadline = time.monotonic() + 10
            while (connection.room or len(asked) <= h2.INITIAL_MAX_STREAMS) and time.monotonic() < deadline:
                asked += ask(connection, min(100, connection.room), target=b"/" + b"x" * 16000)
                await asyncio.sleep(0)
            assert connection.room == 0
            assert len(asked) < h2.MAX_STREAMS  # not for want of streams
            for one in asked[:50]:
                connection.abandon(one)
        assert None not in fates(asked[50:])


async def test_a_peer_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2, "PROBE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(h2, "SILENCE_S", 0.1)
    async with RawH2Server([settings(), Asked(2)]) as server, connected(server) as (connection, owner):
        late, other = ask(connection, 2)
        await asyncio.sleep(0.15)
        connection.abandon(late)
        assert connection.room == 0
        await asyncio.wait_for(owner.gone.wait(), 5)
        assert fates([other]) == ["reset"]
        assert any(one.kind == PING for one in server.heard)


async def test_a_peer_that_never_begins() -> None:
    async with RawH2Server([]) as server, connected(server) as (connection, _):
        asked = ask(connection, 3)
        await eventually_async(lambda: len(server.heard) >= 3)
        assert [one.written for one in asked] == [True, False, False]
        for one in asked:
            connection.abandon(one)
    assert fates(asked) == [None] * 3


async def test_floods_leave_the_loop_alive() -> None:
    """Pings without end: we answer or close, and the loop keeps turning."""
    script: Script = [settings(), Asked(1), frame(PING, 0, 0, b"12345678") * 100_000]
    async with RawH2Server(script) as server, connected(server) as (connection, owner):
        (one,) = ask(connection, 1)
        worst, last = 0.0, time.perf_counter()
        while not owner.gone.is_set():
            await asyncio.sleep(0)
            worst, last = max(worst, time.perf_counter() - last), time.perf_counter()
        assert fates([one]) == ["malformed"]
        assert worst < 1.0


@pytest.mark.parametrize("tls", [False, True])
async def test_what_is_refused_is_sent_again_elsewhere(tls: bool) -> None:
    first: Script = [settings((3, 2)), Asked(2), goaway(1, 0), head(1)]
    second: Script = [settings((3, 2)), Asked(1), head(1), Asked(2), head(3)]
    context = certified().server if tls else None
    async with RawH2Server(first, second, tls=context) as server, calling(server.port, tls=tls) as caller:
        ended = await asyncio.gather(*(caller.send() for _ in range(3)))
        assert [one.status for one in ended] == [204] * 3
        assert (caller.connections, server.connections) == (2, 2)
        assert caller.refused >= 1


async def test_a_peer_that_serves_one_request_of_each_connection() -> None:
    """As nginx does with `keepalive_requests 1`: the last of twelve is refused eleven times, and is no failure."""
    async with RawH2Server([settings(), Asked(1), goaway(1, 0), head(1), End.CLOSE]) as server:
        transport = Transport(f"http://127.0.0.1:{server.port}", http="2")
        sent = [exchange() for _ in range(12)]
        for one in sent:
            one.deadline = asyncio.get_running_loop().time() + 20
        assert await asyncio.gather(*map(transport.send, sent), return_exceptions=True) == [None] * 12
        assert [one.status for one in sent] == [204] * 12
        assert server.connections == 12
        await transport.aclose()


async def test_a_fault_has_a_reason_one_can_read() -> None:
    script: Script = [settings(), Asked(1), head(1, OK + b"\x00\x01A\x00")]
    async with RawH2Server(script) as server, calling(server.port, tls=False) as caller:
        with pytest.raises(WireFault, match="a header that is none") as fault:
            await caller.send()
        assert fault.value.kind == "malformed"

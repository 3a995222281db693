"""The pool: waiting, sending again, opening, closing; and nothing remains after the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httpx
import pytest

from reaper.api.http.connect import Connector
from reaper.api.http.exchange import Connection, Exchange, Owner, WireFault
from reaper.api.http.http11 import H1Connection
from reaper.api.http.openings import MAX_OPENING
from reaper.api.http.pool import Pool
from tests.support.eventually import eventually_async
from tests.support.http.byte_server import GONE, ByteServer, End, Wait
from tests.support.http.transports import (
    Ours,
    anyio_backend,  # noqa: F401  # a fixture
    api,
    no_collector,  # noqa: F401  # a fixture
)
from tests.support.left_behind import descriptors
from tests.support.objects import kept

pytestmark = pytest.mark.anyio


class Bare:
    """A connection that never answers, and remembers that it was closed."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.closed = False
        self.exchange: Exchange | None = None

    def start(self, exchange: Exchange) -> None:
        self.room -= 1
        self.exchange = exchange

    def answer(self, owner: Owner) -> None:
        assert self.exchange is not None
        self.room += 1
        self.exchange.done()
        owner.on_available(self)

    def die(self, owner: Owner) -> None:
        assert self.exchange is not None
        self.room = 0
        self.exchange.fail(WireFault("reset", "died"))
        owner.on_closed(self)

    def abandon(self, exchange: Exchange) -> None:
        pass

    def drain(self) -> None:
        self.close()

    def close(self) -> None:
        self.room = 0
        self.closed = True


class Scripted:
    """Opens bare connections, each after a pause; with `gone` they are closed at once."""

    def __init__(self, *pauses_s: float, gone: bool = False, multiplexed: bool = False) -> None:
        self.pauses_s, self.gone, self.multiplexed = list(pauses_s), gone, multiplexed
        self.opened = 0
        self.made: list[Bare] = []

    async def open(self, owner: Owner, made: Callable[[Connection, bytes], None]) -> Connection:
        self.opened += 1
        await asyncio.sleep(self.pauses_s.pop(0) if self.pauses_s else 0)
        connection = Bare(1)
        self.made.append(connection)
        made(connection, b"HTTP/1.1")
        if self.gone:
            connection.room = 0
            owner.on_closed(connection)
        return connection


def asked(timeout_s: float) -> Exchange:
    return Exchange(b"DELETE", b"/x", ((b"host", b"x"),), max_body_bytes=1, timeout_s=timeout_s)


async def test_a_connection_that_is_gone_before_it_is_used_sends_nothing() -> None:
    pool = Pool(cast(Connector, Scripted(gone=True)), max_connections=2, keep_idle_s=30)
    exchange = asked(5)
    with pytest.raises(httpx.ConnectError, match="as soon as it was open"):
        await pool.send(exchange)
    assert not exchange.written
    await pool.aclose()


async def test_one_opening_serves_all_who_wait_where_connections_carry_many() -> None:
    connector = Scripted(0.05, gone=True, multiplexed=True)
    pool = Pool(cast(Connector, connector), max_connections=8, keep_idle_s=30)
    seen = await asyncio.gather(*(pool.send(asked(5)) for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in seen} == {httpx.ConnectError}
    assert connector.opened == 1
    await pool.aclose()


async def test_an_exchange_is_sent_again_once() -> None:
    connector = Scripted(0, 0, 30)
    pool = Pool(cast(Connector, connector), max_connections=2, keep_idle_s=30)

    async def both() -> list[asyncio.Task[None]]:
        sent = [asyncio.ensure_future(pool.send(asked(5))) for _ in range(2)]
        await eventually_async(lambda: sum(one.room == 0 for one in connector.made) == 2)
        return sent

    proven = await both()
    for connection in connector.made:
        connection.answer(pool)
    await asyncio.gather(*proven)
    sent = await both()
    one, other = connector.made
    twice = one.exchange
    one.die(pool)
    await eventually_async(lambda: connector.opened == 3)  # the third is never ready
    other.answer(pool)
    await eventually_async(lambda: other.exchange is twice)
    other.die(pool)
    ends = await asyncio.gather(*sent, return_exceptions=True)
    assert sorted(str(end) for end in ends) == ["None", "died"]
    await pool.aclose()


async def test_a_connection_that_nobody_waits_for_any_more_is_closed_in_its_time() -> None:
    connector = Scripted(0.2)
    pool = Pool(cast(Connector, connector), max_connections=2, keep_idle_s=0.1)
    with pytest.raises(httpx.ConnectTimeout):
        await pool.send(asked(0.05))
    await eventually_async(lambda: [one.closed for one in connector.made] == [True])
    pool.on_closed(cast(Connection, connector.made[0]))
    await pool.aclose()


async def test_stale_connections_do_not_stand_in_for_a_fresh_one() -> None:
    # Four idle connections, each closed by the peer at its second request; the bound is four.
    async with ByteServer([Wait(0.05), GONE], later=[End.CLOSE]) as server, api(Ours(), server.url, most=4) as client:
        await asyncio.gather(*(client.send() for _ in range(4)))
        assert server.connections == 4
        assert (await client.send()).status == 204
        assert (len(server.requests), server.connections) == (6, 5)
        seen = await asyncio.gather(*(client.send() for _ in range(4)))
        assert {one.status for one in seen} == {204}
        assert server.max_open <= 5  # the server may hear of a close later than of a new connection


async def test_a_late_exchange_gives_its_connection_up() -> None:
    async with ByteServer([End.SILENCE], [GONE]) as server, api(Ours(), server.url, most=1) as client:
        assert (await client.send(timeout_s=0.2)).trouble == "late"
        assert (await client.send()).status == 204
        assert server.connections == 2


async def test_nothing_of_an_exchange_is_kept() -> None:
    async with ByteServer([GONE], [End.CLOSE], [GONE], [End.SILENCE]) as server, api(Ours(), server.url) as client:
        assert [(await client.send()).status for _ in range(2)] == [204, 204]
        assert (await client.send(timeout_s=0.1)).trouble == "late"
        assert kept(client.transport, Exchange) == []
        await eventually_async(lambda: kept(client.transport, H1Connection) == [])


async def test_an_idle_connection_that_the_peer_closes_is_forgotten() -> None:
    async with ByteServer([GONE, Wait(0.05), End.CLOSE]) as server, api(Ours(), server.url) as client:
        assert (await client.send()).status == 204
        assert len(kept(client.transport, H1Connection)) == 1
        await eventually_async(lambda: kept(client.transport, H1Connection) == [])


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("most", [2, 50])
async def test_after_aclose_nothing_is_left(most: int) -> None:
    before = descriptors("socket:")
    async with ByteServer([Wait(0.05), GONE], [End.SILENCE]) as server:
        async with api(Ours(), server.url, most=most) as client:
            waiting = [asyncio.ensure_future(client.send()) for _ in range(10)]
            await eventually_async(lambda: sum(one.done() for one in waiting) == 1 and len(server.requests) >= 2)
        assert {one.trouble for one in await asyncio.gather(*waiting)} == {None, "broken"}
        with pytest.raises(RuntimeError, match="closed"):
            await client.send()
    await eventually_async(lambda: descriptors("socket:") <= before)


async def test_cancelling_those_who_wait_lets_the_rest_through() -> None:
    async with ByteServer([Wait(0.2), GONE], [GONE]) as server, api(Ours(), server.url, most=1) as client:
        first = asyncio.ensure_future(client.send())
        await eventually_async(lambda: len(server.requests) == 1)
        waiting = [asyncio.ensure_future(client.send(f"/{number}")) for number in range(10)]
        await asyncio.sleep(0)
        for one in waiting[::2]:
            one.cancel()
        done = await asyncio.gather(first, *waiting[1::2])
        assert {one.status for one in done} == {204}
        assert [request.split()[1] for request in server.requests[1:]] == [b"/1", b"/3", b"/5", b"/7", b"/9"]
        assert server.connections == 1


@pytest.mark.parametrize("http", ["1.1", "2"])
async def test_all_who_wait_for_a_refused_connection_hear_of_it_at_once(http: str) -> None:
    async with api(Ours(), "http://127.0.0.1:1", most=3, http=http) as client, asyncio.timeout(2):
        seen = await asyncio.gather(*(client.send() for _ in range(50)))
    assert {one.trouble for one in seen} == {"unconnected"}
    assert len({id(one.error) for one in seen}) == 50, "each raises an error of its own"


async def test_no_more_than_so_many_connections_are_opened_at_once_and_all_are_served() -> None:
    connector = Scripted(*[0.05] * 150)
    pool = Pool(cast(Connector, connector), max_connections=200, keep_idle_s=30)
    sent = [asyncio.ensure_future(pool.send(asked(5))) for _ in range(150)]
    await asyncio.sleep(0)  # sends
    await asyncio.sleep(0)  # opens
    assert connector.opened == MAX_OPENING
    await eventually_async(lambda: sum(one.exchange is not None for one in connector.made) == 150)
    assert connector.opened == 150
    for one in connector.made:
        one.answer(pool)
    await asyncio.gather(*sent)
    await pool.aclose()


class Refusing:
    """A connector that fails."""

    multiplexed = False

    def __init__(self) -> None:
        self.opened = 0

    async def open(self, owner: Owner, made: Callable[[Connection, bytes], None]) -> Connection:
        self.opened += 1
        await asyncio.sleep(0.05)
        raise httpx.ConnectTimeout("no connection within 0.05 s")


async def test_where_no_connection_can_be_opened_nobody_waits_for_a_turn_to_fail() -> None:
    connector = Refusing()
    pool = Pool(cast(Connector, connector), max_connections=500, keep_idle_s=30)
    seen = await asyncio.gather(*(pool.send(asked(5)) for _ in range(300)), return_exceptions=True)
    assert {type(one) for one in seen} == {httpx.ConnectTimeout}
    assert connector.opened == MAX_OPENING
    await pool.aclose()

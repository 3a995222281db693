"""Our HTTP/2 against that of others, over TLS: nginx, Node, and the library h2; on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from reaper.api.http.exchange import Exchange, WireFault
from reaper.api.http.transport import Transport
from tests.support.eventually import eventually_async
from tests.support.http.h2_caller import SECRET, Caller, calling, certified
from tests.support.http.h2_hyper import LARGE
from tests.support.http.h2_peers import PEERS, Peer, nginx
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


@pytest.fixture(params=PEERS)
async def peer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Peer]:
    async with PEERS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
async def caller(peer: Peer) -> AsyncIterator[Caller]:
    async with calling(peer.port) as made:
        yield made


async def test_a_stop_and_a_session_that_is_not_there(caller: Caller) -> None:
    for _ in range(3):
        done = await caller.send()
        assert (done.status, bytes(done.body), done.whole) == (204, b"", True)
        assert dict(done.response_headers)[b"x-request-id"].startswith(b"r")
        missed = await caller.send("/api/sessions/missing")
        assert (missed.status, json.loads(missed.body), missed.whole) == (404, {"error": "no such session"}, True)
        assert dict(missed.response_headers)[b"content-type"] == b"application/json"
    assert (caller.connections, caller.refused) == (1, 0)


async def test_many_at_once_within_the_peers_bound(caller: Caller, peer: Peer) -> None:
    await caller.send()
    mixed = [f"/api/sessions/{'missing' if at % 3 == 0 else at}" for at in range(600)]
    ended = await asyncio.gather(*(caller.send(target) for target in mixed))
    assert [one.status for one in ended] == [404 if at % 3 == 0 else 204 for at in range(600)]
    assert (caller.connections, caller.refused) == (1, 0)
    if peer.hyper is not None:
        assert peer.hyper.max_open <= 8


async def test_a_large_body_whole_and_cut(caller: Caller, peer: Peer) -> None:
    whole, cut, other = await asyncio.gather(
        caller.send("/large", "GET", max_body_bytes=32 * 1024 * 1024),
        caller.send("/large", "GET", max_body_bytes=65536),
        caller.send(),
    )
    assert bytes(whole.body) == LARGE
    assert whole.whole
    assert bytes(cut.body) == LARGE[:65536]
    assert not cut.whole
    assert other.status == 204
    assert caller.connections == 1
    if peer.hyper is not None:
        assert peer.hyper.resets == [8]


async def test_large_bodies_again_and_again(caller: Caller) -> None:
    """More than the window of the connection in all, most of it for streams that were cut."""
    for _ in range(3):
        many = await asyncio.gather(*(caller.send("/large", "GET", max_body_bytes=1000) for _ in range(6)))
        assert [len(one.body) for one in many] == [1000] * 6
        assert len((await caller.send("/large", "GET", max_body_bytes=10**8)).body) == len(LARGE)
    assert caller.connections == 1


@pytest.mark.parametrize("peer", ["node", "hyper"], indirect=True)
async def test_what_the_peer_sees(caller: Caller, peer: Peer) -> None:
    echo = await caller.send("/echo")
    seen = json.loads(echo.body)
    assert seen == {
        ":method": "DELETE",
        ":scheme": "https",
        ":authority": f"127.0.0.1:{peer.port}",
        ":path": "/echo",
        "user-agent": "archal-reaper/test",
        "accept": "application/json",
        "authorization": f"Bearer {SECRET}",
    }
    assert echo.status == 200


@pytest.mark.parametrize("peer", ["node", "hyper"], indirect=True)
async def test_a_peer_that_refuses_or_is_silent(caller: Caller) -> None:
    refused = asyncio.ensure_future(caller.send("/refused"))
    await eventually_async(lambda: caller.refused >= 3, 10)
    refused.cancel()
    with pytest.raises(TimeoutError):
        await caller.send("/silent", within_s=0.3)
    assert (await caller.send()).status == 204
    assert caller.connections == 1


async def test_a_peer_that_says_goodbye_every_so_often(tmp_path: Path) -> None:
    async with nginx(tmp_path, keep=20) as peer, calling(peer.port) as caller:
        ended = await asyncio.gather(*(caller.send(f"/api/sessions/{at}") for at in range(500)))
        assert [one.status for one in ended] == [204] * 500
        assert caller.connections >= 25


async def test_a_peer_that_is_stopped(tmp_path: Path) -> None:
    async with PEERS["node"](tmp_path) as peer, calling(peer.port) as caller:
        await caller.send()
        hanging = asyncio.ensure_future(caller.send("/silent"))
        await caller.send()
    with pytest.raises(WireFault) as fault:
        await hanging
    assert fault.value.kind == "reset"


async def test_through_the_transport(peer: Peer) -> None:
    url = f"https://127.0.0.1:{peer.port}"
    transport = Transport(url, tls=certified().client, http="auto", max_connections=4)
    try:

        async def stop(name: str) -> tuple[int, str]:
            headers = ((b"host", b"127.0.0.1"), (b"authorization", SECRET.encode()))
            target = f"/api/sessions/{name}".encode()
            exchange = Exchange(b"DELETE", target, headers, max_body_bytes=1000, timeout_s=20)
            await transport.send(exchange)
            return exchange.status, exchange.version.decode()

        ended = await asyncio.gather(*(stop("missing" if at % 2 else f"env_{at}") for at in range(300)))
        assert ended == [(404 if at % 2 else 204, "HTTP/2") for at in range(300)]
    finally:
        await transport.aclose()

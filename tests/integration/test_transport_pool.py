"""What only our transport promises: constant cost, one timer, bounds, what failures are called, what is refused."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from reaper.api import h1
from reaper.api.transport import Transport
from reaper.api.wire import Exchange
from tests.integration.raw_server import GONE, End, RawServer, Script, Wait
from tests.integration.transport_kit import SECRET, Ours, api, causes
from tests.tools import missing

pytestmark = pytest.mark.anyio

HEADERS = ((b"host", b"api.test"), (b"authorization", b"Bearer " + SECRET.encode()))


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "uvloop":
        try:
            import uvloop  # noqa: F401
        except ImportError:
            missing("uvloop", "is not installed")
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def exchange(target: bytes = b"/x", *, most_body: int = 100, timeout_s: float = 2.0) -> Exchange:
    now = asyncio.get_running_loop().time()
    return Exchange(b"DELETE", target, HEADERS, most_body=most_body, deadline=now + timeout_s)


async def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # any condition, not one event
            await asyncio.sleep(0.005)


def sockets() -> int:
    """Count this process's open sockets."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            pass
    return found


@pytest.mark.parametrize(
    ("script", "error", "written"),
    [
        ([End.CLOSE], httpx.ReadError, True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", End.CLOSE], httpx.ReadError, True),
        ([b"nonsense\r\n\r\n"], httpx.RemoteProtocolError, True),
        ([End.SILENCE], httpx.ReadTimeout, True),
        (None, httpx.ConnectError, False),
    ],
)
async def test_what_a_failure_is_called(script: Script | None, error: type[Exception], written: bool) -> None:
    async with RawServer(script or []) as server:
        transport = Transport(server.url if script else "http://127.0.0.1:1")
        asked = exchange(timeout_s=0.3)
        with pytest.raises(error) as raised:
            await transport.send(asked)
        await transport.aclose()
    assert type(raised.value) is error
    assert asked.written is written
    assert SECRET not in repr([*causes(raised.value), asked])


async def test_written_is_told_through_httpx_as_well() -> None:
    async with RawServer([End.CLOSE]) as server, api(Ours(), server.url) as client:
        seen = await client.send()
        assert seen.request is not None
        assert seen.request.extensions["exchange"].written is True
    async with api(Ours(), "http://127.0.0.1:1") as client:
        seen = await client.send()
        assert seen.request is not None
        assert seen.request.extensions["exchange"].written is False


async def test_as_the_transport_of_a_client_of_httpx() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull"
    async with RawServer([answer]) as server, httpx.AsyncClient(transport=Transport(server.url)) as client:
        response = await client.delete(server.url + "/x")
        assert response.json() is None
        assert response.http_version == "HTTP/1.1"
        assert response.extensions["whole"] is True
        with pytest.raises(httpx.LocalProtocolError, match="no bodies"):
            await client.request("DELETE", server.url, content=b"x")


async def test_a_body_is_cut_and_its_connection_closed() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n"
    async with RawServer([answer, b"x" * 300_000, End.SILENCE], [GONE]) as server:
        transport = Transport(server.url)
        asked = exchange()
        await transport.send(asked)
        assert (asked.status, asked.body, asked.whole) == (200, b"x" * 100, False)
        await transport.send(exchange())
        assert server.connections == 2
        await transport.aclose()


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        (b"POST", b"/", HEADERS),
        (b"HEAD", b"/", HEADERS),
        (b"DELETE", b"", HEADERS),
        (b"DELETE", b"/ HTTP/1.1\r\nx: y", HEADERS),
        (b"DELETE", b"/\xc3\xa4", HEADERS),
        (b"DELETE", b"/", (*HEADERS, (b"x", b"y\r\nz: w"))),
        (b"DELETE", b"/", (*HEADERS, (b"x\r\n", b"y"))),
        (b"DELETE", b"/", (*HEADERS, (b"X", b"y"))),
        (b"DELETE", b"/", (*HEADERS, (b"content-length", b"5"))),
        (b"DELETE", b"/", (*HEADERS, (b"transfer-encoding", b"chunked"))),
    ],
)
async def test_what_must_not_be_sent(method: bytes, target: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    async with RawServer() as server:
        transport = Transport(server.url)
        asked = Exchange(method, target, headers, most_body=1, deadline=asyncio.get_running_loop().time() + 1)
        with pytest.raises(httpx.LocalProtocolError) as raised:
            await transport.send(asked)
        assert SECRET not in str(raised.value)
        assert server.connections == 0
        await transport.aclose()


async def test_the_token_goes_to_one_host_only() -> None:
    async with RawServer() as server, RawServer() as other:
        transport = Transport(server.url)
        for url in (other.url, f"http://localhost:{server.port}", server.url.replace("http:", "https:")):
            with pytest.raises(httpx.LocalProtocolError, match="one host"):
                await transport.handle_async_request(httpx.Request("DELETE", url))
        assert server.connections == other.connections == 0
        await transport.aclose()


def test_what_a_transport_is_not_made_of() -> None:
    for url, tls in [("ftp://x", None), ("https://x", None), ("http://x", ssl.create_default_context()), ("x", None)]:
        with pytest.raises(ValueError):  # noqa: PT011  # each says something else
            Transport(url, tls=tls)
    with pytest.raises(ValueError, match="at least 1"):
        Transport("http://x", max_connections=0)


async def test_no_task_no_timer_and_no_rendering_per_request(
    monkeypatch: pytest.MonkeyPatch, anyio_backend: Any
) -> None:
    if anyio_backend[1]["use_uvloop"]:
        pytest.skip("what uvloop makes cannot be counted")
    counted: list[str] = []

    def count(owner: object, name: str) -> None:
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: (counted.append(name), real(*a, **k))[1])

    async with RawServer() as server:
        transport = Transport(server.url)
        await transport.send(exchange())
        loop = asyncio.get_running_loop()
        for name in ("create_task", "call_later", "call_at"):
            count(loop, name)
        count(h1, "_rendered")
        for _ in range(50):
            await transport.send(exchange())
        assert counted == []
        await transport.send(exchange(timeout_s=1.0))
        assert counted == ["call_at"], "an earlier deadline sets the timer anew"
        assert len(server.requests) == 52
        monkeypatch.undo()
        await transport.aclose()


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    async with RawServer() as server, api(Ours(), server.url, keep_idle_s=0.2) as client:
        for _ in range(3):
            assert (await client.send(timeout_s=0.5)).status == 204
            await asyncio.sleep(0.1)
        assert server.connections == 1
        await server.until(lambda s: s.open == 0)
        assert (await client.send()).status == 204


async def test_stale_connections_make_place_when_all_places_are_taken() -> None:
    # Four idle connections, each closed by the peer at its next request: the exchange needs a fifth, the bound is 4.
    scripts: list[Script] = [*[[Wait(0.05), GONE]] * 4, [End.CLOSE], [GONE]]
    async with RawServer(*scripts) as server, api(Ours(), server.url, most=4) as client:
        await asyncio.gather(*(client.send() for _ in range(4)))
        assert server.connections == 4
        assert (await client.send()).status == 204
        assert len(server.requests) == 6
        assert server.most_open <= 4


async def test_bytes_that_lie_in_wait_are_not_taken_for_an_answer() -> None:
    """The peer speaks while our loop is busy: the bytes are in the kernel, unread, when the next request starts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        transport = Transport(f"http://127.0.0.1:{listening.getsockname()[1]}")
        first = asyncio.ensure_future(transport.send(exchange()))
        peer, _ = await loop.sock_accept(listening)
        peer.setblocking(False)
        await loop.sock_recv(peer, 1000)
        peer.sendall(GONE)
        await first
        peer.sendall(b"HTTP/1.1 204 Nobody asked\r\n\r\n")
        asked = exchange(b"/second")  # from here to its start the loop does not get to read
        second = asyncio.ensure_future(transport.send(asked))
        other, _ = await loop.sock_accept(listening)
        assert (await loop.sock_recv(other, 1000)).startswith(b"DELETE /second ")
        other.sendall(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
        await second
        assert asked.status == 410
        try:
            assert await loop.sock_recv(peer, 1000) == b"", "the first connection was closed"
        except ConnectionError:
            pass
        await transport.aclose()
        peer.close()
        other.close()


@pytest.mark.parametrize("most", [2, 50])
async def test_after_aclose_nothing_is_left(most: int) -> None:
    before = sockets()
    async with RawServer([Wait(0.05), GONE], [End.SILENCE]) as server:
        with_server = sockets()
        async with api(Ours(), server.url, most=most) as client:
            waiting = [asyncio.ensure_future(client.send()) for _ in range(10)]
            await until(lambda: sum(one.done() for one in waiting) == 1 and len(server.requests) >= 2)
        assert {one.trouble for one in await asyncio.gather(*waiting)} == {None, "broken"}
        with pytest.raises(RuntimeError, match="closed"):
            await client.send()
        await server.until(lambda s: s.open <= s.connections)
        await until(lambda: sockets() <= with_server + server.open)
    await until(lambda: sockets() <= before)


async def test_aclose_during_a_handshake_leaves_nothing() -> None:
    before = sockets()
    async with RawServer(greeting=[End.SILENCE]) as server:
        url = server.url.replace("http:", "https:")
        async with api(Ours(), url, tls=ssl.create_default_context(), connect_s=30) as client:
            waiting = asyncio.ensure_future(client.send(timeout_s=30))
            await server.until(lambda s: s.open == 1)
        assert (await waiting).trouble == "broken"
    await until(lambda: sockets() <= before)


async def test_cancelling_those_who_wait_lets_the_rest_through() -> None:
    async with RawServer([Wait(0.2), GONE], [GONE]) as server, api(Ours(), server.url, most=1) as client:
        first = asyncio.ensure_future(client.send())
        await server.until(lambda s: len(s.requests) == 1)
        waiting = [asyncio.ensure_future(client.send(f"/{number}")) for number in range(10)]
        await asyncio.sleep(0)
        for one in waiting[::2]:
            one.cancel()
        done = await asyncio.gather(first, *waiting[1::2])
        assert {one.status for one in done} == {204}
        assert [request.split()[1] for request in server.requests[1:]] == [b"/1", b"/3", b"/5", b"/7", b"/9"]
        assert server.connections == 1


async def test_all_who_wait_for_a_refused_connection_hear_of_it_at_once() -> None:
    async with api(Ours(), "http://127.0.0.1:1", most=3) as client:
        async with asyncio.timeout(2):
            seen = await asyncio.gather(*(client.send() for _ in range(50)))
    assert {one.trouble for one in seen} == {"unconnected"}
    assert len({id(one.error) for one in seen}) == 50, "each raises an error of its own"

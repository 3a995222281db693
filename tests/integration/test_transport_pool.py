"""Promises of our transport alone: constant cost, one timer, limits, names of failures, refused requests."""

from __future__ import annotations

import asyncio
import socket
import ssl

import httpx
import pytest

from reaper.api.http import http11 as h1
from reaper.api.http.exchange import Exchange
from reaper.api.http.transport import Transport
from tests.support.eventually import eventually_async
from tests.support.http.byte_server import GONE, ByteServer, End, Script
from tests.support.http.transports import (
    SECRET,
    Ours,
    anyio_backend,  # noqa: F401  # a fixture
    api,
    causes,
)

pytestmark = pytest.mark.anyio

HEADERS = ((b"host", b"api.test"), (b"authorization", b"Bearer " + SECRET.encode()))


def exchange(target: bytes = b"/x", *, max_body_bytes: int = 100, timeout_s: float = 2.0) -> Exchange:
    return Exchange(b"DELETE", target, HEADERS, max_body_bytes=max_body_bytes, timeout_s=timeout_s)


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
    async with ByteServer(script or []) as server:
        transport = Transport(server.url if script else "http://127.0.0.1:1")
        asked = exchange(timeout_s=0.3)
        with pytest.raises(error) as raised:
            await transport.send(asked)
        await transport.aclose()
    assert type(raised.value) is error
    assert isinstance(raised.value.__cause__, OSError) or error is not httpx.ConnectError
    assert asked.written is written
    assert SECRET not in repr([*causes(raised.value), asked])


async def test_a_body_is_cut_and_its_connection_closed() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n"
    async with ByteServer([answer, b"x" * 300_000, End.SILENCE], [GONE]) as server:
        transport = Transport(server.url)
        asked = exchange()
        await transport.send(asked)
        assert (asked.status, bytes(asked.body), asked.whole) == (200, b"x" * 100, False)
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
    async with ByteServer() as server:
        transport = Transport(server.url)
        asked = Exchange(method, target, headers, max_body_bytes=1, timeout_s=1)
        with pytest.raises(httpx.LocalProtocolError) as raised:
            await transport.send(asked)
        assert SECRET not in str(raised.value)
        assert server.connections == 0
        await transport.aclose()


async def test_the_token_goes_to_one_host_only() -> None:
    async with ByteServer() as server, ByteServer() as other:
        transport = Transport(server.url)
        await transport.send(exchange(f"{other.url}/x".encode()))
        assert (server.connections, other.connections) == (1, 0)
        await transport.aclose()


def test_what_a_transport_is_not_made_of() -> None:
    for url, tls in [("ftp://x", None), ("https://x", None), ("http://x", ssl.create_default_context()), ("x", None)]:
        with pytest.raises(ValueError):  # noqa: PT011  # each says something else
            Transport(url, tls=tls)
    with pytest.raises(ValueError, match="at least 1"):
        Transport("http://x", max_connections=0)


async def test_no_task_no_timer_and_no_rendering_per_request(monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        pytest.skip("what uvloop makes cannot be counted")
    counted: list[str] = []

    def count(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def counting(*args: object, **options: object) -> object:
            counted.append(name)
            return real(*args, **options)

        monkeypatch.setattr(owner, name, counting)

    async with ByteServer() as server:
        transport = Transport(server.url)
        await transport.send(exchange())
        loop = asyncio.get_running_loop()
        for name in ("create_task", "call_later", "call_at"):
            count(loop, name)
        count(h1, "encode_headers")
        for _ in range(50):
            await transport.send(exchange())
        assert counted == []
        await transport.send(exchange(timeout_s=1.0))
        assert counted == ["call_at"], "an earlier deadline sets the timer anew"
        assert len(server.requests) == 52
        monkeypatch.undo()
        await transport.aclose()


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    async with ByteServer() as server, api(Ours(), server.url, keep_idle_s=0.2) as client:
        for _ in range(3):
            assert (await client.send(timeout_s=0.5)).status == 204
            await asyncio.sleep(0.1)
        assert server.connections == 1
        await eventually_async(lambda: server.open == 0)
        assert (await client.send()).status == 204


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

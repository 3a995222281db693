"""How a connection is opened: addresses that race, HTTP that is negotiated, and nothing left of a cancelled one."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from reaper.api.http import connect
from tests.support.eventually import eventually_async
from tests.support.http.byte_server import ByteServer
from tests.support.http.transports import (
    Ours,
    anyio_backend,  # noqa: F401  # a fixture
    api,
    certified,
    no_collector,  # noqa: F401  # a fixture
)
from tests.support.left_behind import descriptors

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("over", ["TCP", "TLS"])
@pytest.mark.parametrize("addresses", [1, 2])
async def test_a_connection_given_up_at_any_moment_leaves_nothing(
    over: str, addresses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        where = listening.getsockname()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where)] * addresses

        async def known(host: str, port: int) -> list[Any]:
            return found

        monkeypatch.setattr(connect, "resolve", known)
        monkeypatch.setattr(connect, "ATTEMPT_DELAY_S", 1e-6)  # so that there are losers when one has won
        before = descriptors("socket:")
        for turns in range(1, 16):
            tls = ssl.create_default_context() if over == "TLS" else None
            url = f"{'https' if tls else 'http'}://127.0.0.1:{where[1]}"
            async with api(Ours(), url, tls=tls, connect_s=30) as client:
                sending = asyncio.ensure_future(client.send(timeout_s=30))
                for _ in range(turns):
                    await asyncio.sleep(0)
            assert (await sending).trouble in ("broken", "unconnected")
            await eventually_async(lambda: descriptors("socket:") <= before)


@asynccontextmanager
async def silent_address(host: str, family: socket.AddressFamily) -> AsyncIterator[tuple[Any, ...]]:
    """Yield an address whose backlog is full: the kernel answers no more."""
    with socket.socket(family) as listening:
        try:
            listening.bind((host, 0))
        except OSError as error:
            pytest.skip(f"{host} is no address here: {error}")
        listening.listen(0)
        clients = [socket.socket(family) for _ in range(3)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
        try:
            yield (family, socket.SOCK_STREAM, 6, "", listening.getsockname())
        finally:
            for client in clients:
                client.close()


@pytest.mark.parametrize("first", ["refuses", "is silent"])
async def test_the_addresses_of_a_name_race(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    async with ByteServer() as server, silent_address("127.0.0.1", socket.AF_INET) as silent:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            refuses = (socket.AF_INET, socket.SOCK_STREAM, 6, "", other.getsockname())
            places = [refuses if first == "refuses" else silent,
                      (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]  # fmt: skip

            async def known(host: str, port: int) -> list[Any]:
                return places

            monkeypatch.setattr(connect, "resolve", known)
            async with api(Ours(), "http://api.test", connect_s=5) as client:
                begun = loop.time()
                assert (await client.send()).status == 204
                spent = loop.time() - begun
            assert spent < 0.2 if first == "refuses" else 0.2 < spent < 2


async def test_the_families_of_a_name_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    async with ByteServer() as server, silent_address("::1", socket.AF_INET6) as silent:
        places = [*[silent] * 3, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]

        async def known(host: str, port: int) -> list[Any]:
            return places

        monkeypatch.setattr(connect, "resolve", known)
        async with api(Ours(), "http://api.test", connect_s=5) as client:
            begun = loop.time()
            assert (await client.send()).status == 204
            assert 0.2 < loop.time() - begun < 0.7  # the fourth address was tried second


@pytest.mark.parametrize("last", [errno.ECONNREFUSED, errno.EPROTONOSUPPORT])
async def test_the_error_of_the_last_address_counts(last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        where = bound.getsockname()
        refuses = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)
        cannot = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_UDP, "", where)
        places = [cannot, refuses] if last == errno.ECONNREFUSED else [refuses, cannot]

        async def known(host: str, port: int) -> list[Any]:
            return places

        monkeypatch.setattr(connect, "resolve", known)
        async with api(Ours(), "http://api.test", connect_s=5) as client:
            seen = await client.send()
        assert isinstance(seen.error, httpx.ConnectError)
        assert isinstance(seen.error.__cause__, OSError)
        assert seen.error.__cause__.errno == last


@pytest.mark.parametrize(
    ("http", "theirs", "head"),
    [
        ("1.1", ["h2", "http/1.1"], b"DELETE "),
        ("auto", ["http/1.1"], b"DELETE "),
        ("auto", None, b"DELETE "),
        ("auto", ["h2"], b"PRI * HTTP/2.0"),
        ("2", ["http/1.1", "h2"], b"PRI * HTTP/2.0"),
        ("2", None, None),
        ("2", ["http/1.1"], None),
    ],
)
async def test_which_http_is_spoken(http: str, theirs: list[str] | None, head: bytes | None) -> None:
    made = certified("localhost")
    if theirs is not None:
        made.server.set_alpn_protocols(theirs)
    async with ByteServer(tls=made.server) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        async with api(Ours(), url, tls=made.client, http=http) as client:
            seen = await asyncio.gather(*(client.send(timeout_s=0.5) for _ in range(3)))
            if head is None:
                assert {one.trouble for one in seen} == {"unconnected"}
                assert server.requests == []
                await eventually_async(lambda: server.open == 0)
            else:
                assert server.requests[0].startswith(head)
                assert {one.status for one in seen} == ({204} if head == b"DELETE " else {0})

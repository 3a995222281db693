"""How a connection comes to be: addresses that race, HTTP that is agreed on, and nothing left of one given up."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from reaper.api.http import connect as opening
from tests.support.http.raw_server import RawServer
from tests.support.http.transports import (
    Ours,
    anyio_backend,  # noqa: F401  # a fixture
    api,
    certified,
    no_collector,  # noqa: F401  # a fixture
    sockets,
    until,
)

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

        monkeypatch.setattr(opening, "_addresses", known)
        before = sockets()
        for turns in range(1, 16):
            tls = ssl.create_default_context() if over == "TLS" else None
            url = f"{'https' if tls else 'http'}://127.0.0.1:{where[1]}"
            async with api(Ours(), url, tls=tls, connect_s=30) as client:
                sending = asyncio.ensure_future(client.send(timeout_s=30))
                for _ in range(turns):
                    await asyncio.sleep(0)
            assert (await sending).trouble in ("broken", "unconnected")
            await until(lambda: sockets() <= before)


@pytest.mark.parametrize("first", ["refuses", "is silent"])
async def test_the_addresses_of_a_name_race(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    async with RawServer() as server:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            held = []
            if first == "is silent":  # a full backlog: the kernel answers no more
                other.listen(0)
                held = [socket.socket() for _ in range(3)]
                for one in held:
                    one.setblocking(False)
                    one.connect_ex(other.getsockname())
            places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (*other.getsockname(),)),
                      (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]  # fmt: skip

            async def known(host: str, port: int) -> list[Any]:
                return places

            monkeypatch.setattr(opening, "_addresses", known)
            async with api(Ours(), "http://api.test", connect_s=5) as client:
                begun = loop.time()
                assert (await client.send()).status == 204
                spent = loop.time() - begun
            assert spent < 0.2 if first == "refuses" else 0.2 < spent < 2
            for one in held:
                one.close()


async def test_the_families_of_a_name_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    six, four = socket.AF_INET6, socket.AF_INET

    def lookup(host: str, port: int, *, flags: int = 0, **rest: Any) -> list[Any]:
        if flags:
            raise socket.gaierror(-2, "Name or service not known")
        return [(six, 1, 6, "", "a"), (six, 1, 6, "", "b"), (six, 1, 6, "", "c"), (four, 1, 6, "", "d")]

    async def asynchronous(self: object, host: str, port: int, **rest: Any) -> list[Any]:
        return lookup(host, port)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    if hasattr(asyncio.get_running_loop(), "__dict__"):
        monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", asynchronous)
    else:
        pytest.skip("uvloop's look-up cannot be replaced")
    assert [address[4] for address in await opening._addresses("api.test", 443)] == ["a", "d", "b", "c"]


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
    async with RawServer(tls=made.server) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        async with api(Ours(), url, tls=made.client, http=http) as client:
            seen = await asyncio.gather(*(client.send(timeout_s=0.5) for _ in range(3)))
            if head is None:
                assert {one.trouble for one in seen} == {"unconnected"}
                assert server.requests == []
                await server.until(lambda s: s.open == 0)
            else:
                assert server.requests[0].startswith(head)
                assert {one.status for one in seen} == ({204} if head == b"DELETE " else {0})

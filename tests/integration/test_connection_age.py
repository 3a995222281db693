"""Connections are renewed between requests: when they are old, and when the host's name has another address."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from reaper.api.http import renewal
from reaper.api.http.exchange import Exchange
from reaper.api.http.transport import Transport
from tests.support.eventually import eventually_async
from tests.support.http.byte_server import GONE, ByteServer, Wait
from tests.support.http.h2_caller import certified
from tests.support.http.h2_hyper import HyperServer
from tests.support.http.transports import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio

HEADERS = ((b"host", b"api.test"),)


def exchange(timeout_s: float = 0.5) -> Exchange:
    return Exchange(b"DELETE", b"/api/sessions/env_1", HEADERS, max_body_bytes=100, timeout_s=timeout_s)


async def work(transport: Transport, seconds: float, *, at_once: int = 4) -> list[Exchange]:
    """Send without a break; every send has to succeed, and none is sent twice."""
    loop = asyncio.get_running_loop()
    until, done = loop.time() + seconds, []

    async def one_after_the_other() -> None:
        while loop.time() < until:
            await transport.send(asked := exchange())
            assert (asked.status, asked.again) == (204, 0)
            done.append(asked)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return done


async def test_http_1_connections_are_closed_between_requests() -> None:
    async with ByteServer([Wait(0.01), GONE]) as server:
        transport = Transport(server.url, max_connections=4, max_age_s=0.3)
        done = await work(transport, 1.5)
        assert server.max_open <= 5  # the server may hear of a close later than of a new connection
        assert 12 <= server.connections <= 30, server.connections
        assert len(server.requests) == len(done)
        await transport.aclose()


async def test_a_young_connection_is_kept() -> None:
    async with ByteServer() as server:
        transport = Transport(server.url, max_connections=4, max_age_s=60)
        await work(transport, 0.5)
        assert server.connections <= 4
        await transport.aclose()


async def test_an_http_2_connection_is_replaced_before_it_ends() -> None:
    async with HyperServer(certified().server) as server:
        transport = Transport(f"https://127.0.0.1:{server.port}", tls=certified().client, http="2", max_age_s=0.4)
        await work(transport, 2.5)
        assert 3 <= server.connections <= 12, server.connections
        await eventually_async(lambda: server.open_connections <= 1)
        assert server.faults == []
        await transport.aclose()


async def test_an_old_http_2_connection_works_on_while_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "RETRY_S", 0.1)
    async with HyperServer(certified().server) as server:
        transport = Transport(f"https://127.0.0.1:{server.port}", tls=certified().client, http="2", max_age_s=0.4)
        await transport.send(exchange())
        server.stop_listening()
        await work(transport, 1.5)
        assert server.connections == 1
        await transport.aclose()


async def test_a_host_that_moved_is_found_while_the_old_one_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "127.0.0.1"
    look_up = socket.getaddrinfo

    def moved(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host == "api.test" and not more.get("flags"):
            return look_up(where, port, *args, **more)
        return look_up(host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", moved)
    monkeypatch.setattr(renewal, "LOOKUP_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as old, socket.socket() as new:
        port = old.getsockname()[1]
        new.bind(("127.0.0.2", port))
        counts = {"127.0.0.1": 0, "127.0.0.2": 0}

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            host = writer.get_extra_info("sockname")[0]
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    counts[host] += 1
                    writer.write(GONE)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        async with (
            await asyncio.start_server(talk, sock=old.dup()) as _,
            await asyncio.start_server(talk, sock=new.dup()) as _,
        ):
            transport = Transport(f"http://api.test:{port}", max_connections=4)
            await work(transport, 1.0)
            assert counts["127.0.0.2"] == 0
            where = "127.0.0.2"
            await work(transport, 1.5)
            assert counts["127.0.0.2"] > 0
            before = counts["127.0.0.1"]
            await work(transport, 0.3)
            assert counts["127.0.0.1"] == before, "nothing goes to the old address any more"
            where = "nothing.invalid"
            await work(transport, 1.0)
            await transport.aclose()

"""What comes over TLS on both event loops, from a real server: whole, and without a large block for each read."""

from __future__ import annotations

import tracemalloc

import pytest

from reaper.api.http.exchange import Exchange
from reaper.api.http.receiver import BUFFER_BYTES
from reaper.api.http.transport import Transport
from tests.support.http.byte_server import GONE, ByteServer
from tests.support.http.talker import ASK, Talker
from tests.support.http.transports import anyio_backend, certified  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio
READS = 20
LARGE = bytes(range(256)) * 1024


def exchange() -> Exchange:
    headers = ((b"host", b"api.test"),)
    return Exchange(b"GET", b"/api/sessions", headers, max_body_bytes=len(LARGE), timeout_s=5.0)


async def test_a_read_over_tls_takes_no_large_block() -> None:
    tls = certified("127.0.0.1")
    with Talker([[ASK, GONE] * (READS + 1)], tls.server).running() as server:
        transport = Transport(server.url, tls=tls.client)
        await transport.send(exchange())
        tracemalloc.start()
        try:
            for _ in range(READS):
                await transport.send(exchange())
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await transport.aclose()
        assert server.connections == 1
    assert peak - now < BUFFER_BYTES / 2


async def test_an_answer_larger_than_the_buffer_comes_whole_over_tls() -> None:
    tls = certified("127.0.0.1")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE
    async with ByteServer([answer], tls=tls.server) as server:
        transport = Transport(server.url, tls=tls.client)
        asked = exchange()
        await transport.send(asked)
        await transport.aclose()
    assert (asked.status, asked.whole, bytes(asked.body)) == (200, True, LARGE)

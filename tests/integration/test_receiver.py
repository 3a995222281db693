"""What comes over TLS on both event loops, from a real server: whole, in order, and without a large block each time."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc

import pytest

from reaper.api.http.exchange import Exchange
from reaper.api.http.transport import Transport
from tests.support.eventually import eventually_async
from tests.support.http.byte_server import GONE
from tests.support.http.talker import ASK, Talker
from tests.support.http.transports import (
    anyio_backend,  # noqa: F401  # a fixture
    certified,
    no_collector,  # noqa: F401  # a fixture
)

pytestmark = pytest.mark.anyio
TLS = certified("127.0.0.1")
READS = 20
SMALL_BYTES = 32 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
SIZES = (60_000, 100_000, 220_000, 500_000, 1_500_000)


def exchange(method: bytes = b"GET") -> Exchange:
    return Exchange(method, b"/api/sessions", ((b"host", b"api.test"),), max_body_bytes=1 << 24, timeout_s=5.0)


def hold_the_loop() -> None:
    """Let the kernel have all that comes before the loop reads any of it."""
    time.sleep(0.1)


async def test_a_read_takes_no_large_block() -> None:
    with Talker([[ASK, GONE] * (READS + 1)], TLS.server).running() as server:
        transport = Transport(server.url, tls=TLS.client)
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
    assert peak - now < SMALL_BYTES


@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("has_length", [True, False], ids=["length", "until the end"])
async def test_an_answer_is_whole_whose_end_comes_with_the_end_of_the_connection(
    has_length: bool, is_busy: bool
) -> None:
    """A buffer that does not hold what one read brings loses the rest: the loop hears of the end before it asks."""
    for size in SIZES:
        head = HEAD % size if has_length else b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        with Talker([[ASK, head + b"x" * size]], TLS.server, ends=True).running() as server:
            transport, asked = Transport(server.url, tls=TLS.client), exchange()
            sending = asyncio.ensure_future(transport.send(asked))
            if is_busy:
                await eventually_async(lambda asked=asked: asked.written, every_s=0)  # type: ignore[misc]
                hold_the_loop()
            await sending
            await transport.aclose()
        assert (asked.status, asked.whole, len(asked.body)) == (200, True, size)


@pytest.mark.usefixtures("no_collector")
async def test_a_closed_connection_is_freed_at_once() -> None:
    """A long run has no collector: what waits for one, OpenSSL's object and 256 KiB of buffer, would stay."""
    before = _tls_protocols()
    with Talker([[ASK, GONE]], TLS.server).running() as server:
        transport = Transport(server.url, tls=TLS.client)
        await transport.send(exchange())
        assert _tls_protocols() == before + 1
        await transport.aclose()
    await eventually_async(lambda: _tls_protocols() == before)


def _tls_protocols() -> int:
    return sum(type(one).__name__ == "SSLProtocol" for one in gc.get_objects())

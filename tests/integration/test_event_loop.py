"""The loop of a process without uvloop: what a TLS connection keeps there is bounded."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import ssl
import tracemalloc

import pytest
import trustme

from reaper.app import event_loop
from reaper.app.event_loop import TLS_BUFFER_BYTES, loop_factory

CONNECTIONS = 20


async def _buffers_bytes() -> float:
    """Return what each of some TLS connections keeps, of both its ends."""
    authority = trustme.CA()
    mine, theirs = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(mine)
    authority.issue_cert("localhost").configure_cert(theirs)
    server = await asyncio.start_server(
        lambda _reader, writer: writer.write(b"x" * 100_000), "127.0.0.1", 0, ssl=theirs
    )
    port = server.sockets[0].getsockname()[1]
    tracemalloc.start()
    writers = []
    try:
        for _ in range(CONNECTIONS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=mine, server_hostname="localhost")
            assert await reader.readexactly(100_000) == b"x" * 100_000
            writers.append(writer)
        buffers = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, asyncio.sslproto.__file__)])
        return sum(trace.size for trace in buffers.traces) / CONNECTIONS / 2
    finally:
        tracemalloc.stop()
        for writer in writers:
            writer.transport.abort()
        server.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("has_uvloop", [True, False])
def test_without_uvloop_a_tls_connection_keeps_a_small_buffer(
    monkeypatch: pytest.MonkeyPatch, has_uvloop: bool
) -> None:
    monkeypatch.setattr(asyncio.sslproto.SSLProtocol, "max_size", asyncio.sslproto.SSLProtocol.max_size)  # type: ignore[attr-defined,unused-ignore]
    if not has_uvloop:
        monkeypatch.setattr(event_loop, "find_spec", lambda name: None)
    with asyncio.Runner(loop_factory=loop_factory(fast=True)) as runner:
        assert ("uvloop" in type(runner.get_loop()).__mro__[1].__module__) is has_uvloop
        kept = runner.run(_buffers_bytes())
    assert kept < 3 * TLS_BUFFER_BYTES
    if not has_uvloop:
        assert kept > TLS_BUFFER_BYTES, "the buffers were not found: nothing was measured"

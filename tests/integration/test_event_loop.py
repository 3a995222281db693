"""The loop of a process without uvloop: what a TLS connection keeps there is bounded."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import ssl
import tracemalloc

import pytest
import trustme
import uvloop

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


def test_long_work_runs_on_uvloop_where_it_exists() -> None:
    with asyncio.Runner(loop_factory=loop_factory(fast=True)) as runner:
        assert isinstance(runner.get_loop(), uvloop.Loop)


def test_without_uvloop_a_tls_connection_keeps_a_small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = asyncio.sslproto.SSLProtocol.max_size  # type: ignore[attr-defined,unused-ignore]
    monkeypatch.setattr(asyncio.sslproto.SSLProtocol, "max_size", plain)
    monkeypatch.setattr(event_loop, "find_spec", lambda name: None)
    with asyncio.Runner(loop_factory=loop_factory(fast=True)) as runner:
        kept = runner.run(_buffers_bytes())
    assert TLS_BUFFER_BYTES < kept < 3 * TLS_BUFFER_BYTES

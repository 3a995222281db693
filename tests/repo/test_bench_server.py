"""The server of bench/ answers right, counts right and keeps its latency: its figures are what the tables say."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, PingAckReceived, ResponseReceived, StreamEnded

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
DELETE = b"DELETE /api/sessions/ses_%d HTTP/1.1\r\nhost: x\r\n\r\n"
GONE = b"HTTP/1.1 204 No Content\r\n\r\n"

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def serving(*words: str) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.server", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            yield json.loads(await process.stdout.readline())["port"]
    finally:
        process.terminate()
        async with asyncio.timeout(10):
            await process.wait()


@asynccontextmanager
async def connected(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Pair]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


async def asked(port: int, path: str, tls: ssl.SSLContext | None = None) -> dict[str, float]:
    async with connected(port, tls) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        answer: dict[str, float] = json.loads(await reader.readexactly(length))
        return answer


async def test_requests_in_one_read_and_requests_in_pieces_are_answered_in_order() -> None:
    async with serving() as port, connected(port) as (reader, writer):
        listed = b"GET /api/sessions HTTP/1.1\r\nhost: x\r\n\r\n"
        writer.write(DELETE % 1 + DELETE % 2 + listed + DELETE % 3 + (DELETE % 4)[:25])
        assert await reader.readexactly(2 * len(GONE)) == GONE * 2
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-type: application/json" in head
        assert await reader.readexactly(15) == b'{"sessions":[]}'
        assert await reader.readexactly(len(GONE)) == GONE
        assert (await asked(port, "/bench/counts"))["deletes"] == 3
        writer.write((DELETE % 4)[25:])
        assert await reader.readexactly(len(GONE)) == GONE
        counts = await asked(port, "/bench/counts")
        assert (counts["deletes"], counts["answered"], counts["lists"], counts["faults"]) == (4, 4, 1, 0)


async def test_a_body_and_an_unknown_path_are_faults() -> None:
    async with serving() as port:
        async with connected(port) as (reader, writer):
            writer.write(b"DELETE /x HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /x HTTP/1.1\r\nhost: x\r\n\r\n")
            assert await reader.readexactly(len(GONE)) == GONE
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
            writer.write(b"DELETE /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        counts = await asked(port, "/bench/counts")
        assert (counts["answered"], counts["faults"]) == (1, 2)


async def test_each_answer_keeps_its_latency_and_the_counts_tell_of_it() -> None:
    async with serving("--latency-ms", "80") as port:
        async with connected(port) as one, connected(port) as two:
            begun = time.monotonic()
            took: list[float] = []

            async def deletes(pair: Pair, after_s: float) -> None:
                await asyncio.sleep(after_s)
                reader, writer = pair
                for _ in range(3):
                    sent = time.monotonic()
                    writer.write(DELETE % 1)
                    assert await reader.readexactly(len(GONE)) == GONE
                    took.append(time.monotonic() - sent)

            await asyncio.gather(deletes(one, 0), deletes(two, 0.004))
            wall_s = time.monotonic() - begun
        assert min(took) > 0.079
        counts = await asked(port, "/bench/counts")
        assert (counts["answered"], counts["peak_in_flight"], counts["in_flight"]) == (6, 2, 0)
        assert 0.0795 <= counts["held_s"] < 0.1
        # The server looks at its clock after the client has read the last answer, by a little.
        assert 0.239 < counts["span_s"] <= wall_s + 0.02
        await asked(port, "/bench/reset")
        counts = await asked(port, "/bench/counts")
        assert (counts["deletes"], counts["answered"], counts["peak_in_flight"], counts["span_s"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("latency_ms", ["0", "60"])
async def test_http_2_where_the_client_asks_for_it(tmp_path: Path, latency_ms: str) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain", tmp_path / "key"
    leaf.cert_chain_pems[0].write_to_path(str(chain))
    leaf.private_key_pem.write_to_path(str(key))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving("--latency-ms", latency_ms, "--tls", str(chain), str(key)) as port:
        async with connected(port, trusting) as (reader, writer):
            writer.write(DELETE % 1)
            assert await reader.readexactly(len(GONE)) == GONE
        trusting.set_alpn_protocols(["h2"])
        async with connected(port, trusting) as (reader, writer):
            spoken = H2Connection(H2Configuration(client_side=True))
            spoken.initiate_connection()
            begun = time.monotonic()
            for stream in range(1, 201, 2):
                method = "GET" if stream == 3 else "DELETE"
                path = ":path", f"/api/sessions/{stream}"
                names = [(":method", method), path, (":scheme", "https"), (":authority", "x"), ("authorization", "y")]
                spoken.send_headers(stream, names, end_stream=True)
            spoken.ping(b"12345678")
            sent = spoken.data_to_send()
            writer.write(sent[:700])
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(sent[700:])
            answers: dict[int, bytes | str] = {}
            ended: set[int] = set()
            pongs, body = 0, b""
            while len(ended) < 100 or not pongs:
                for event in spoken.receive_data(await reader.read(65536)):
                    match event:
                        case ResponseReceived():
                            assert event.stream_id is not None
                            answers[event.stream_id] = dict(event.headers or [])[b":status"]
                        case StreamEnded():
                            ended.add(event.stream_id)
                        case DataReceived():
                            body += event.data or b""
                        case PingAckReceived():
                            pongs += 1
                        case _:
                            pass
                writer.write(spoken.data_to_send())
            assert time.monotonic() - begun > float(latency_ms) / 1000 - 0.001
            assert answers == {stream: b"200" if stream == 3 else b"204" for stream in range(1, 201, 2)}
            assert json.loads(body) == {"sessions": []}
            assert spoken.remote_settings.max_concurrent_streams == 128
        trusting.set_alpn_protocols(["http/1.1"])
        counts = await asked(port, "/bench/counts", trusting)
        assert (counts["answered"], counts["lists"], counts["faults"]) == (100, 1, 0)

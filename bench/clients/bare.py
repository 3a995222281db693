"""The floor: DELETEs from an asyncio protocol that builds no request and reads no more of an answer than its end.

    python bench/clients/bare.py 1.1|2 HOST PORT CA|- TOKEN CONCURRENCY IDS

No client written in Python with objects for requests and answers can be faster, so it shows what the server bears.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

STREAMS = 100
"""Streams on one HTTP/2 connection; servers allow 100 or 128."""
_GONE = b"HTTP/1.1 204"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\x00\x00\x0c\x04\x00\x00\x00\x00\x00" + struct.pack(">HIHI", 1, 0, 2, 0)
_ACK = b"\x00\x00\x00\x04\x01\x00\x00\x00\x00"
_FRAME = struct.Struct(">HBBBI")


class H1(asyncio.Protocol):
    """One request at a time, until no ID is left."""

    def __init__(self, ids: Iterator[bytes], tail: bytes, over: asyncio.Future[None], width: int) -> None:
        self.ids, self.tail, self.over = ids, tail, over
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        one = next(self.ids, None)
        if one is None:
            self.over.set_result(None)
            self.transport.close()
        else:
            self.transport.write(b"DELETE /api/sessions/%b%b" % (one, self.tail))

    def data_received(self, data: bytes) -> None:
        self.rest += data
        if self.rest.endswith(b"\r\n\r\n"):
            if not self.rest.startswith(_GONE):
                sys.exit(f"not a 204: {self.rest!r}")
            self.rest = b""
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(ConnectionError("the server closed"))


class H2(asyncio.Protocol):
    """`width` streams at a time, all that may start in one write."""

    def __init__(self, ids: Iterator[bytes], tail: bytes, over: asyncio.Future[None], width: int) -> None:
        self.ids, self.tail, self.over, self.width = ids, tail, over, width
        self.rest, self.stream, self.open = b"", 1, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(_PREFACE + _SETTINGS)
        self.send(self.width)

    def send(self, count: int) -> None:
        out = []
        for _ in range(count):
            one = next(self.ids, None)
            if one is None:
                break
            # :method: DELETE, :scheme: https, :path, and the fields that never change; no dynamic table.
            block = b"\x02\x06DELETE\x87\x04%c/api/sessions/%b%b" % (14 + len(one), one, self.tail)
            out.append(_FRAME.pack(0, len(block), 1, 5, self.stream) + block)
            self.stream += 2
        self.open += len(out)
        if out:
            self.transport.write(b"".join(out))
        elif not self.open:
            self.over.set_result(None)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        at, done = 0, 0
        while len(data) - at >= 9:
            high, low, kind, flags, _ = _FRAME.unpack_from(data, at)
            end = at + 9 + (high << 8 | low)
            if end > len(data):
                break
            if kind == 1:
                # An encoder may first say that it uses no table, as it was told.
                if data[at + 9 + (data[at + 9] == 0x20)] != 0x89:
                    sys.exit(f"not a 204: {data[at:end]!r}")
                done += 1
            elif kind == 4 and not flags & 1:
                self.transport.write(_ACK)
            elif kind in (3, 7):
                sys.exit(f"refused: {data[at:end]!r}")
            at = end
        self.rest = data[at:]
        self.open -= done
        if done:
            self.send(done)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(ConnectionError("the server closed"))


def _tail(version: str, host: str, token: str) -> bytes:
    if version == "1.1":
        return f" HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\naccept: */*\r\n\r\n".encode()
    value = f"Bearer {token}".encode()
    return b"\x01%c%b\x0f\x08%c%b" % (len(host), host.encode(), len(value), value)


async def main(
    version: str, host: str, port: str, authority: str, token: str, concurrency: int, ids: Iterator[bytes]
) -> None:
    tls: ssl.SSLContext | None = None
    if authority != "-":
        tls = ssl.create_default_context(cafile=authority)
        tls.set_alpn_protocols(["h2" if version == "2" else "http/1.1"])
    widths = [1] * concurrency
    if version == "2":
        count = -(-concurrency // STREAMS)
        widths = [(concurrency + number) // count for number in range(count)]
    loop = asyncio.get_running_loop()
    overs: list[asyncio.Future[None]] = [loop.create_future() for _ in widths]
    kind: Any = H2 if version == "2" else H1
    tail = _tail(version, host, token)
    makers = [partial(kind, ids, tail, over, width) for over, width in zip(overs, widths, strict=True)]
    await asyncio.gather(*(loop.create_connection(maker, host, int(port), ssl=tls) for maker in makers))
    await asyncio.gather(*overs)


if __name__ == "__main__":
    version, host, port, authority, token, concurrency, path = sys.argv[1:]
    ids = iter(Path(path).read_bytes().split())
    loop_of = import_module("uvloop" if find_spec("uvloop") else "asyncio").new_event_loop
    with asyncio.Runner(loop_factory=loop_of) as runner:
        runner.run(main(version, host, port, authority, token, int(concurrency), ids))

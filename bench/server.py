"""The server of the comparison: answers every DELETE with 204 after a fixed time, and counts.

    .venv/bin/python -m bench.server [--latency-ms 50] [--tls CHAIN KEY]

Prints one JSON line with its port, then serves until SIGTERM. It speaks HTTP/1.1, and over TLS HTTP/2 where the client
asks for it. It does only what the clients of `bench.peers` need, so that it costs less than any of them:
`GET /api/sessions` is an empty list, `GET /bench/counts` tells what was seen, `GET /bench/reset` starts over. Requests
with a body, and frames that these clients do not send, are a fault: counted, and the connection ends.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import ssl
import struct
import time
from collections import deque
from importlib import import_module
from importlib.util import find_spec
from typing import cast

LIST = b'{"sessions":[]}'
STREAMS = 128
"""Most streams of one connection, as nginx has it."""
_EARLY_S = 0.0005
"""Timers have a resolution of a millisecond: an answer leaves with the nearest tick, not always with the next one."""

_GONE = b"HTTP/1.1 204 No Content\r\n\r\n"
_CLOSE = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">HBBBI")
"""Length in 16 and 8 bits, type, flags, stream."""
_DATA, _HEADERS, _SETTINGS, _PING, _CONTINUATION = 0, 1, 4, 6, 9
_HELLO = b"\x00\x00\x0c\x04\x00\x00\x00\x00\x00" + struct.pack(">HIHI", 1, 0, 3, STREAMS)
"""No dynamic header table; so many streams."""
_GONE_2 = b"\x00\x00\x01\x01\x05%b\x89"
"""The static table's `:status: 204`, end of headers and of the stream."""
_LIST_2_HEAD = b"\x88\x0f\x10\x10application/json"
_GET = 0x82
"""The static table's `:method: GET`, which every encoder uses and puts first."""


def _bodyless(head: bytes) -> bool:
    _, found, after = head.lower().partition(b"\r\ncontent-length:")
    return not found or after.split(b"\r\n")[0].strip() == b"0"


def _json(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Book:
    """What was seen since the last reset, and the answers that wait for their time.

    All wait equally long, so they leave in the order in which they came: one queue and one timer.
    """

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self._waiting: deque[tuple[float, Connection, bytes, bool]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        self.first_at = self.last_at = 0.0
        self.deletes = self.answered = self.lists = self.peak = self.connections = self.faults = 0
        self.held_s = 0.0

    def counts(self) -> dict[str, float]:
        """Return what was seen; `span_s` runs from the first DELETE to the last answer to one."""
        return {
            "deletes": self.deletes,
            "answered": self.answered,
            "in_flight": self.in_flight,
            "lists": self.lists,
            "connections": self.connections,
            "faults": self.faults,
            "peak_in_flight": self.peak,
            "span_s": self.last_at - self.first_at,
            "held_s": self.held_s / (self.answered or 1),
        }

    def came(self, count: int) -> float:
        """Note DELETEs that have come; return the time."""
        now = time.monotonic()
        if not self.deletes:
            self.first_at = now
        self.deletes += count
        self.in_flight += count
        if self.in_flight > self.peak:
            self.peak = self.in_flight
        return now

    def left(self, count: int) -> None:
        """Note answers to DELETEs that have been written."""
        self.in_flight -= count
        self.answered += count
        self.last_at = time.monotonic()

    def hold(self, came_at: float, connection: Connection, answer: bytes, counted: bool) -> None:
        """Write the answer when its time has come; `counted`: it answers a DELETE."""
        self._waiting.append((came_at, connection, answer, counted))
        if self._timer is None:
            self._arm(came_at)

    def _arm(self, now: float) -> None:
        wait_s = max(0.0, self._waiting[0][0] + self.latency_s - now)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._release)

    def _release(self) -> None:
        now, count = time.monotonic(), 0
        until, waiting = now - self.latency_s + _EARLY_S, self._waiting
        touched: list[Connection] = []
        while waiting and waiting[0][0] <= until:
            came_at, connection, answer, counted = waiting.popleft()
            if not connection.out:
                touched.append(connection)
            connection.out.append(answer)
            if counted:
                count += 1
                self.held_s += now - came_at
        for connection in touched:
            connection.flush()
        if count:
            self.left(count)
        self._timer = None
        if waiting:
            self._arm(time.monotonic())


class Connection:
    """The writing side, shared by both versions."""

    def __init__(self, book: Book, transport: asyncio.Transport) -> None:
        self.book, self.transport = book, transport
        self.out: list[bytes] = []

    def flush(self) -> None:
        joined, self.out = b"".join(self.out), []
        if not self.transport.is_closing():
            self.transport.write(joined)

    def answer(self, deletes: list[bytes], lists: list[bytes]) -> None:
        """Answer what came in one read: at once, or when the latency is over."""
        book = self.book
        now = book.came(len(deletes)) if deletes else time.monotonic()
        book.lists += len(lists)
        if book.latency_s:
            for number, each in enumerate(deletes + lists):
                book.hold(now, self, each, number < len(deletes))
        else:
            self.transport.write(b"".join(deletes + lists))
            if deletes:
                book.left(len(deletes))


class H1(asyncio.Protocol):
    """One HTTP/1.1 connection; requests may come in pieces or many at a time."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self.book.connections += 1
        agreed = transport.get_extra_info("ssl_object")
        connection = Connection(self.book, transport)
        if agreed and agreed.selected_alpn_protocol() == "h2":
            transport.write(_HELLO)
            transport.set_protocol(H2(connection))
        self.connection = connection

    def data_received(self, data: bytes) -> None:
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        deletes: list[bytes] = []
        for head in heads:
            if not _bodyless(head):
                self.book.faults += 1
                self.connection.transport.write(_CLOSE)
                self.connection.transport.close()
                return
            if head.startswith(b"DELETE "):
                deletes.append(_GONE)
                continue
            # Other requests are rare. What came before one is answered before it.
            if deletes:
                self.connection.answer(deletes, [])
                deletes = []
            self._other(head)
        if deletes:
            self.connection.answer(deletes, [])

    def _other(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1] if head.startswith(b"GET ") else b""
        if path in (b"/api/sessions", b"/auth/me"):
            self.connection.answer([], [_json(LIST)])  # which tells of no account
        elif path == b"/bench/counts":
            self.connection.transport.write(_json(json.dumps(self.book.counts()).encode()))
        elif path == b"/bench/reset":
            self.book.reset()
            self.book.connections = 1
            self.connection.transport.write(_json(b"{}"))
        else:
            self.book.faults += 1
            self.connection.transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")


class H2(asyncio.Protocol):
    """One HTTP/2 connection. Reads no more of a request than whether it is a GET."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.rest = b""
        self.greeted = False

    def data_received(self, data: bytes) -> None:
        data = self.rest + data if self.rest else data
        at, end = 0, len(data)
        if not self.greeted and end >= len(_PREFACE):
            self.greeted, at = data.startswith(_PREFACE), len(_PREFACE)
            if not self.greeted:
                return self._end()
        deletes: list[bytes] = []
        lists: list[bytes] = []
        while self.greeted and end - at >= 9:
            high, low, kind, flags, stream = _FRAME.unpack_from(data, at)
            begin, at_next = at + 9, at + 9 + (high << 8 | low)
            if at_next > end:
                break
            if kind == _HEADERS and flags & 0x05 == 0x05:
                begin += (flags & 0x08 and 1) + (flags & 0x20 and 5)
                while data[begin] & 0xE0 == 0x20:  # the encoder names the size of its table
                    if data[begin] == 0x3F:
                        begin += 1
                        while data[begin] & 0x80:
                            begin += 1
                    begin += 1
                if data[begin] == _GET:
                    lists.append(_list_2(stream.to_bytes(4, "big")))
                else:
                    deletes.append(_GONE_2 % stream.to_bytes(4, "big"))
            elif kind in (_HEADERS, _DATA, _CONTINUATION):  # a body, or headers in pieces
                return self._end()
            elif kind == _SETTINGS and not flags & 1:
                self.connection.transport.write(b"\x00\x00\x00\x04\x01\x00\x00\x00\x00")
            elif kind == _PING and not flags & 1:
                self.connection.transport.write(data[at : at + 4] + b"\x01" + data[at + 5 : at_next])
            at = at_next
        self.rest = data[at:]
        if deletes or lists:
            self.connection.answer(deletes, lists)
        return None

    def _end(self) -> None:
        self.connection.book.faults += 1
        self.connection.transport.abort()


def _list_2(ident: bytes) -> bytes:
    head = b"\x00\x00%c\x01\x04%b%b" % (len(_LIST_2_HEAD), ident, _LIST_2_HEAD)
    return head + b"\x00\x00%c\x00\x01%b%b" % (len(LIST), ident, LIST)


async def serve(latency_s: float, tls: ssl.SSLContext | None, loop_name: str) -> None:
    """Serve on a free port of this machine until SIGTERM; print the port when it listens."""
    book = Book(latency_s)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(lambda: H1(book), "127.0.0.1", 0, ssl=tls, backlog=4096)
    gc.freeze()
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "loop": loop_name}), flush=True)
    await over.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--tls", nargs=2, metavar=("CHAIN", "KEY"))
    asked = parser.parse_args()
    tls = None
    if asked.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*asked.tls)
        tls.set_alpn_protocols(["h2", "http/1.1"])
    name = "uvloop" if find_spec("uvloop") else "asyncio"
    with asyncio.Runner(loop_factory=import_module(name).new_event_loop) as runner:
        runner.run(serve(asked.latency_ms / 1000, tls, name))


if __name__ == "__main__":
    main()

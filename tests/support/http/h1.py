"""One HTTP/1.1 connection without a socket: bytes go in, what became of the exchange comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from reaper.api.http.exchange import Connection, Exchange, WireFault
from reaper.api.http.http11 import H1Connection
from reaper.api.http.receiver import new_buffer

HEADERS = ((b"host", b"api.test"), (b"authorization", b"Bearer archal_ws_secret"))


class Wire(asyncio.Transport):
    """The event loop's side: remembers what was written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


@dataclass
class Watcher:
    """The owner of a connection: counts its calls."""

    available_count: int = 0
    closed_count: int = 0
    room_when_available: list[int] = field(default_factory=list)

    def on_available(self, connection: Connection) -> None:
        self.available_count += 1
        self.room_when_available.append(connection.room)

    def on_closed(self, connection: Connection) -> None:
        self.closed_count += 1


def exchange(max_body_bytes: int = 1024, target: bytes = b"/api/sessions/env_1") -> Exchange:
    return Exchange(b"DELETE", target, HEADERS, max_body_bytes=max_body_bytes, timeout_s=1e9)


def opened() -> tuple[H1Connection, Wire, Watcher]:
    owner = Watcher()
    connection, wire = H1Connection(owner, new_buffer()), Wire()
    connection.connection_made(wire)
    return connection, wire, owner


@dataclass(frozen=True)
class Seen:
    """The end of one exchange, as a value that can be compared."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    whole: bool
    fault: str | None
    kept: bool
    """The connection may carry the next exchange."""


def play(pieces: Iterable[bytes], max_body_bytes: int = 1024, *, eof: bool = True) -> Seen | None:
    """Feed an answer in pieces, then the end of the stream; None: the exchange is still under way.

    Stops feeding when the connection is closed, as the event loop does.
    """
    connection, wire, owner = opened()
    asked = exchange(max_body_bytes)
    connection.start(asked)
    for piece in pieces:
        if wire.closed or asked.finished:
            break
        if piece:  # the loop never reports an empty read
            connection.data_received(piece)
    kept = connection.room == 1
    assert owner.available_count == (1 if kept else 0)
    if eof or wire.closed:
        if eof and not wire.closed:
            connection.eof_received()
        connection.connection_lost(None)
        assert connection.room == 0
        assert owner.closed_count == 1
    if not asked.finished:
        return None
    error = asked.error
    assert error is None or isinstance(error, WireFault)
    assert asked.completion is None
    assert len(asked.body) <= max_body_bytes
    if error is not None:
        return Seen(0, (), b"", False, error.kind, kept)
    return Seen(asked.status, tuple(asked.response_headers), bytes(asked.body), asked.whole, None, kept)


def one_by_one(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut at the given places; places outside are ignored."""
    edges = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]

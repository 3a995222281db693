"""One HTTP/2 connection without a socket and without a clock: frames go in, frames and what became of exchanges out."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hpack import Decoder

from reaper.api.http.exchange import Connection, Exchange, Headers, WireFault
from reaper.api.http.h2.connection import H2Connection
from reaper.api.http.receiver import new_buffer

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SECRET = b"archal_ws_secret"
REQUEST_HEADERS = (
    (b"host", b"api.test"),
    (b"user-agent", b"archal-reaper/0"),
    (b"accept", b"application/json"),
    (b"authorization", b"Bearer " + SECRET),
)


@dataclass(frozen=True)
class Frame:
    """One frame as it was on the wire."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.payload[:4], "big")


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def goaway(last: int, code: int = 0, debug: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def rst(stream: int, code: int) -> bytes:
    return frame(RST, 0, stream, struct.pack(">I", code))


def head(stream: int, block: bytes = b"\x89", flags: int = 0x5) -> bytes:
    """A HEADERS frame; by default a whole 204."""
    return frame(HEADERS, flags, stream, block)


def body(stream: int, data: bytes, flags: int = 0x1) -> bytes:
    return frame(DATA, flags, stream, data)


def literal(name: bytes, value: bytes) -> bytes:
    """A field without indexing and without Huffman; up to 126 bytes each."""
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


def frames(data: bytes) -> list[Frame]:
    """Split what a client wrote. Half a frame at the end is an error."""
    data = data.removeprefix(PREFACE)
    found = []
    while data:
        length, (kind, flags, stream) = int.from_bytes(data[:3], "big"), struct.unpack(">BBI", data[3:9])
        assert len(data) >= 9 + length
        found.append(Frame(kind, flags, stream, data[9 : 9 + length]))
        data = data[9 + length :]
    return found


class Handle:
    """The handle of a scheduled callback."""

    def __init__(self, at: float, call: Callable[[], object]) -> None:
        self.at, self.call, self.cancelled = at, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """The part of an event loop that a connection uses, turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._soon: deque[Handle] = deque()
        self.timers: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Callable[..., object], *args: object) -> Handle:
        self._soon.append(Handle(self.now, lambda: call(*args)))
        return self._soon[-1]

    def call_later(self, delay: float, call: Callable[..., object], *args: object) -> Handle:
        self.timers.append(Handle(self.now + delay, lambda: call(*args)))
        return self.timers[-1]

    def turn(self) -> None:
        """Run what was ready before this turn, as an event loop does."""
        for _ in range(len(self._soon)):
            handle = self._soon.popleft()
            if not handle.cancelled:
                handle.call()

    def settle(self) -> None:
        while self._soon:
            self.turn()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer.at <= self.now]
        self.timers = [timer for timer in self.timers if timer.at > self.now]
        for timer in due:
            if not timer.cancelled:
                timer.call()
        self.settle()


class Wire(asyncio.Transport):
    """The socket's side: remembers what was written, and whether it was closed."""

    def __init__(self, *, tls: bool = True) -> None:
        super().__init__({"sslcontext": object()} if tls else None)
        self.writes: list[bytes] = []
        self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed


@dataclass
class Watcher:
    """The owner of the connection."""

    rooms: list[int] = field(default_factory=list)
    """The room at each call of `on_available`."""
    closed_count: int = 0

    def on_available(self, connection: Connection) -> None:
        self.rooms.append(connection.room)

    def on_closed(self, connection: Connection) -> None:
        self.closed_count += 1


class Stage:
    """A connection with everything around it."""

    def __init__(self, *pairs: tuple[int, int], tls: bool = True, greet: bool = True) -> None:
        """`pairs`: the first settings of the peer."""
        self.loop, self.wire, self.owner = Loop(), Wire(tls=tls), Watcher()
        self.connection = H2Connection(self.owner, new_buffer(), self.loop)  # type: ignore[arg-type]
        self.connection.connection_made(self.wire)
        self.hello = b"".join(self.wire.writes)
        self.wire.writes.clear()
        if greet:
            self.say(settings(*pairs))
            self.wire.writes.clear()
            self.owner.rooms.clear()

    def say(self, *parts: bytes) -> None:
        """Let the peer say something, in one piece, and everything happen that follows from it."""
        if not self.wire.closed:
            self.connection.data_received(b"".join(parts))
        self.loop.settle()

    def ask(self, count: int = 1, **options: Any) -> list[Exchange]:
        """Start exchanges and let them be written."""
        asked = [exchange(**options) for _ in range(count)]
        for one in asked:
            self.connection.start(one)
        self.loop.settle()
        return asked

    def lose(self, error: Exception | None = None) -> None:
        self.connection.connection_lost(error)
        self.loop.settle()

    def said(self) -> list[Frame]:
        """Return the frames written since the last call."""
        found = frames(b"".join(self.wire.writes))
        self.wire.writes.clear()
        return found


def exchange(
    target: bytes = b"/api/sessions/env_1",
    method: bytes = b"DELETE",
    headers: Headers = REQUEST_HEADERS,
    max_body_bytes: int = 1024,
) -> Exchange:
    return Exchange(method, target, headers, max_body_bytes=max_body_bytes, timeout_s=1e9)


def became(one: Exchange) -> int | str | None:
    """A status, the kind of a fault, or None while it is under way."""
    if not one.finished:
        return None
    if one.error is None:
        return one.status
    assert isinstance(one.error, WireFault)
    assert SECRET.decode() not in f"{one.error} {one.error!r} {one!r}"
    return one.error.kind


def fates(many: Iterable[Exchange]) -> list[int | str | None]:
    return [became(one) for one in many]


def requests(stage: Stage) -> list[list[tuple[bytes, bytes]]]:
    """Decode what was written, with a table of the size that a server begins with."""
    found: list[list[tuple[bytes, bytes]]] = []
    block = b""
    for said in stage.said():
        assert said.kind in (HEADERS, CONTINUATION)
        assert len(said.payload) <= 16384
        block = said.payload if said.kind == HEADERS else block + said.payload
        if said.kind == HEADERS:
            assert said.flags & 0x1
        if said.flags & 0x4:
            found.append([*Decoder(max_header_list_size=1 << 20).decode(block, raw=True)])
    return found

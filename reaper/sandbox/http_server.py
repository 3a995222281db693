"""Just enough HTTP/1.1 for a stand-in: one request at a time per connection, answers in order, pipelining kept safe."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

_HEAD_BYTES = 64 * 1024
_BODY_BYTES = 1024 * 1024
_READ_AHEAD_BYTES = 256 * 1024
_LINGER_ZERO = struct.pack("ii", 1, 0)
_GARBAGE = b"\x16\x03\x01\x02 SSH-2.0-not-http \x00\xff\r\n\r\n"
_BAD = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read to its end. Header names are in lower case."""

    method: str
    target: str
    headers: dict[bytes, bytes]
    body: bytes
    close: bool
    """The client wants the connection closed after the answer."""


class Connection(asyncio.Protocol):
    """One client. `handle` gets each request and must end in exactly one of `answer reset hang drip garbage endless`.

    The next request is not looked at before that. Calls on a connection that is gone do nothing.
    """

    def __init__(
        self,
        handle: Callable[[Request, Connection], None],
        made: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self._handle, self._made, self._lost = handle, made, lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._busy = self._pumping = self._full = self._told_to_continue = False
        self._when_over: Callable[[], None] | None = None

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def local(self) -> bool:
        """Whether the client is on this machine."""
        peer = self._transport.get_extra_info("peername") if self._transport else None
        return peer is not None and ip_address(peer[0]).is_loopback

    def when_over(self, call: Callable[[], None]) -> None:
        """Have `call` called once: when the current request is answered, or the connection is gone."""
        self._when_over = call

    def answer(self, data: bytes, *, close: bool = False) -> None:
        """Send a whole answer and go on to the next request, or close."""
        if self._transport is not None and self.open:
            self._transport.write(data)
            if close:
                self._transport.close()
        self._over()

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None and self.open:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()

    def hang(self) -> None:
        """Answer nothing and stay open."""

    def garbage(self) -> None:
        """Send bytes that are not HTTP and close."""
        self.answer(_GARBAGE, close=True)

    def drip(self, data: bytes, every_s: float, *, close: bool = False) -> None:
        """Send an answer a byte at a time."""
        if len(data) <= 1:
            self.answer(data, close=close)
        elif self._transport is not None and self.open:
            self._transport.write(data[:1])
            asyncio.get_running_loop().call_later(every_s, lambda: self.drip(data[1:], every_s, close=close))

    def endless(self, head: bytes, chunk: bytes) -> None:
        """Send a beginning and then the same chunk without an end, as fast as the client reads."""
        if self._transport is not None and self.open:
            if not self._full:
                self._transport.write(head + chunk)
                head = b""
            asyncio.get_running_loop().call_later(0.001, self.endless, head, chunk)

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._buffer.clear()
        self._over()
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._pump()
        if self._transport is not None and len(self._buffer) > _READ_AHEAD_BYTES + _BODY_BYTES:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._pump()

    # --- reading requests ---------------------------------------------------------------------------------------

    def _over(self) -> None:
        call, self._when_over = self._when_over, None
        if call is not None:
            call()
        self._busy = False
        self._pump()

    def _pump(self) -> None:
        # `answer` comes back here from within `handle`: the loop that is already running takes the next request.
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self._busy and not self._full and self._buffer and self.open:
                try:
                    request = self._take()
                except ValueError:
                    self._buffer.clear()
                    self.answer(_BAD, close=True)
                    break
                if request is None:
                    break
                self._busy = True
                self._handle(request, self)
        finally:
            self._pumping = False
        if self._transport is not None and not self._busy and len(self._buffer) < _READ_AHEAD_BYTES:
            self._transport.resume_reading()

    def _take(self) -> Request | None:
        """Return the next whole request of the buffer, None when it has not come yet. Raises ValueError: not HTTP."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _HEAD_BYTES:
                raise ValueError("the head is too long")
            return None
        first, *lines = bytes(self._buffer[:end]).split(b"\r\n")
        parts = first.split(b" ")
        headers: dict[bytes, bytes] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise ValueError("a header without a colon")
            headers[name.lower()] = value.strip()
        length = headers.get(b"content-length", b"0")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1.") or b"transfer-encoding" in headers:
            raise ValueError("not a request that is understood")
        if not length.isdigit() or int(length) > _BODY_BYTES:
            raise ValueError("a body without a length, or too long")
        whole = end + 4 + int(length)
        if len(self._buffer) < whole:
            if not self._told_to_continue and headers.get(b"expect", b"").lower() == b"100-continue":
                self._told_to_continue = True
                assert self._transport is not None
                self._transport.write(_CONTINUE)
            return None
        body = bytes(self._buffer[end + 4 : whole])
        del self._buffer[:whole]
        self._told_to_continue = False
        keep = headers.get(b"connection", b"").lower()
        close = keep == b"close" or (parts[2] == b"HTTP/1.0" and keep != b"keep-alive")
        return Request(parts[0].decode("latin-1"), parts[1].decode("latin-1"), headers, body, close)

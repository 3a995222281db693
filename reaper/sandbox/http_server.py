"""A minimal HTTP/1.1 server: one request at a time per connection, so that pipelined requests are answered in order."""

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
_BAD = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, completely read. Header names are in lower case."""

    method: str
    target: str
    headers: dict[bytes, bytes]
    body: bytes
    close: bool
    """The client wants the connection closed after the answer."""


class Connection(asyncio.Protocol):
    """One client. `handle` gets each request and must call one of `answer reset drip endless`, or none to hang.

    Only then is the next request read. Calls on a closed connection do nothing.
    """

    def __init__(
        self,
        handle: Callable[[Request, Connection], None],
        on_open: Callable[[Connection], None],
        on_close: Callable[[Connection], None],
    ) -> None:
        self._handle, self._on_open, self._on_close = handle, on_open, on_close
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._busy = self._processing = self._full = self._continue_sent = False
        self._on_finished: Callable[[], None] | None = None

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def local(self) -> bool:
        """Whether the client is on this machine."""
        peer = self._transport.get_extra_info("peername") if self._transport else None
        return peer is not None and ip_address(peer[0]).is_loopback

    def on_finished(self, call: Callable[[], None]) -> None:
        """Set a callback, called once when the current request is answered or the connection is closed."""
        self._on_finished = call

    def answer(self, data: bytes, *, close: bool = False) -> None:
        """Send a whole answer, then read the next request or close."""
        if self._transport is not None and self.open:
            self._transport.write(data)
            if close:
                self._transport.close()
        self._finish()

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None and self.open:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()

    def drip(self, data: bytes, every_s: float, *, close: bool = False) -> None:
        """Send an answer a byte at a time."""
        if len(data) <= 1:
            self.answer(data, close=close)
        elif self._transport is not None and self.open:
            self._transport.write(data[:1])
            asyncio.get_running_loop().call_later(every_s, lambda: self.drip(data[1:], every_s, close=close))

    def endless(self, head: bytes, chunk: bytes) -> None:
        """Send a head and then the same chunk again and again, as fast as the client reads."""
        if self._transport is not None and self.open:
            if not self._full:
                self._transport.write(head + chunk)
                head = b""
            asyncio.get_running_loop().call_later(0.001, self.endless, head, chunk)

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._on_open(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._buffer.clear()
        self._finish()
        self._on_close(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._process_buffer()
        if self._transport is not None and len(self._buffer) > _READ_AHEAD_BYTES + _BODY_BYTES:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._process_buffer()

    # --- reading requests ---------------------------------------------------------------------------------------

    def _finish(self) -> None:
        call, self._on_finished = self._on_finished, None
        if call is not None:
            call()
        self._busy = False
        self._process_buffer()

    def _process_buffer(self) -> None:
        # `handle` may call `answer`, which calls this again: the loop that already runs takes the next request.
        if self._processing:
            return
        self._processing = True
        try:
            while not self._busy and not self._full and self._buffer and self.open:
                try:
                    request = self._take_request()
                except ValueError:
                    self._buffer.clear()
                    self.answer(_BAD, close=True)
                    break
                if request is None:
                    break
                self._busy = True
                self._handle(request, self)
        finally:
            self._processing = False
        if self._transport is not None and not self._busy and len(self._buffer) < _READ_AHEAD_BYTES:
            self._transport.resume_reading()

    def _take_request(self) -> Request | None:
        """Remove the next whole request from the buffer; None when it is incomplete. Raises ValueError: not HTTP."""
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
            if not self._continue_sent and headers.get(b"expect", b"").lower() == b"100-continue":
                self._continue_sent = True
                assert self._transport is not None
                self._transport.write(_CONTINUE)
            return None
        body = bytes(self._buffer[end + 4 : whole])
        del self._buffer[:whole]
        self._continue_sent = False
        keep = headers.get(b"connection", b"").lower()
        close = keep == b"close" or (parts[2] == b"HTTP/1.0" and keep != b"keep-alive")
        return Request(parts[0].decode("latin-1"), parts[1].decode("latin-1"), headers, body, close)

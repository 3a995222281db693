"""What an HTTP/2 peer says about the connection itself, and how much of that is too much (RFC 9113)."""

from __future__ import annotations

from typing import Protocol

from reaper.api.http.exchange import MAX_HEAD_BYTES, Exchange, WireFault
from reaper.api.http.h2 import frames as h2
from reaper.api.http.h2.frames import Code, ConnectionFault
from reaper.api.http.h2.response import STREAM_WINDOW

CONNECTION_WINDOW = 16 * 1024 * 1024
"""Bytes of all bodies together that the peer may send ahead of us. They are dealt with as they come."""
CLIENT_PREFACE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + h2.settings(
        {
            h2.HEADER_TABLE_SIZE: 0,
            h2.ENABLE_PUSH: 0,
            h2.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            h2.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
        }
    )
    + h2.window_update(0, CONNECTION_WINDOW - h2.FIRST_WINDOW)
)
"""The first bytes of a client."""
MAX_IDLE_FRAMES = 10_000
"""Frames since an exchange last ended that bring none on. The pings of a connection that is alive are far fewer."""
UNLIMITED = h2.LAST_ID
"""Streams at once, where the peer has told no bound."""


class Link(Protocol):
    """The connection, as those who read need it."""

    streams: dict[int, Exchange]
    """What is under way, by stream."""
    next_stream: int
    """The first that was never used."""

    def done(self, stream: int, exchange: Exchange) -> None: ...
    def failed(self, stream: int, exchange: Exchange, fault: WireFault) -> None: ...
    def tell(self, data: bytes) -> None: ...
    def reply(self, data: bytes) -> None: ...
    def allow(self, streams: int) -> None: ...
    def shrink_table(self) -> None: ...
    def leave(self) -> None: ...


class ControlFrames:
    """Reads the frames that belong to no stream. Raises ConnectionFault for what ends the connection."""

    __slots__ = ("_chatter", "_introduced", "_line", "_send_window", "_table_size", "stream_send_window")

    def __init__(self, line: Link) -> None:
        """`line` hears of what changes."""
        self.stream_send_window = h2.FIRST_WINDOW
        """What we may send on a new stream. Nothing is sent, but windows that grow out of bounds are a fault."""
        self._line = line
        self._introduced = False  # the first settings are in
        self._send_window = h2.FIRST_WINDOW
        self._table_size = 4096  # as the protocol starts
        self._chatter = 0

    def greet(self, first: bytes) -> None:
        """Check that the peer begins as HTTP/2 begins."""
        _, _, kind, flags, stream = h2.HEADER.unpack_from(first)
        if kind != h2.SETTINGS or flags & h2.ACK or stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "its first words are of another protocol")

    def idle(self) -> None:
        """Count a frame that brings no exchange on."""
        self._chatter += 1
        if self._chatter > MAX_IDLE_FRAMES:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, f"{MAX_IDLE_FRAMES} frames that bring nothing on")

    def fruitful(self) -> None:
        """An exchange has ended."""
        self._chatter = 0

    def settings(self, flags: int, stream: int, payload: bytes) -> None:
        """Apply the peer's settings, then acknowledge them."""
        _check_alone(stream, "SETTINGS")
        self.idle()
        if flags & h2.ACK:
            check_length(payload, 0, "SETTINGS")
            return
        limit = None if self._introduced else UNLIMITED
        self._introduced = True
        for name, value in h2.read_settings(payload):
            if name == h2.HEADER_TABLE_SIZE:
                if value < self._table_size:
                    self._line.shrink_table()
                self._table_size = value
            elif name == h2.INITIAL_WINDOW_SIZE:
                self.stream_send_window = value
            elif name == h2.MAX_CONCURRENT_STREAMS:
                limit = value
        self._line.reply(h2.frame(h2.SETTINGS, h2.ACK, 0))
        if limit is not None:
            self._line.allow(limit)

    def ping(self, flags: int, stream: int, payload: bytes) -> None:
        """Answer a PING."""
        _check_alone(stream, "PING")
        check_length(payload, 8, "PING")
        self.idle()
        if not flags & h2.ACK:
            self._line.reply(h2.frame(h2.PING, h2.ACK, 0, payload))

    def window(self, more: int) -> None:
        """Let the window of the connection grow."""
        if not more:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a window that grows by nothing")
        self._send_window += more
        if self._send_window > h2.MAX_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "the window of the connection grew out of bounds")

    def priority(self, _flags: int, stream: int, payload: bytes) -> None:
        """Ignore what a server has no business to say."""
        if not stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a PRIORITY frame of no stream")
        check_length(payload, 5, "PRIORITY")
        self.idle()

    def push_promise(self, _flags: int, _stream: int, _payload: bytes) -> None:
        """Refuse it: our first settings ruled it out."""
        raise ConnectionFault(Code.PROTOCOL_ERROR, "a push, which was ruled out")

    def goaway(self, stream: int, payload: bytes) -> tuple[int, str]:
        """Return the last stream that the peer looks at, and why it goes."""
        _check_alone(stream, "GOAWAY")
        if len(payload) < 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a GOAWAY frame of a wrong length")
        self.idle()
        return h2.word(payload) & h2.LAST_ID, h2.code_name(h2.word(payload, 4))


def check_length(payload: bytes, length: int, kind: str) -> None:
    """Raise ConnectionFault for a frame of another length."""
    if len(payload) != length:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"a {kind} frame of a wrong length")


def _check_alone(stream: int, kind: str) -> None:
    if stream:
        raise ConnectionFault(Code.PROTOCOL_ERROR, f"a {kind} frame on a stream")

"""Reads the frames that concern the whole HTTP/2 connection, and limits how many may come (RFC 9113)."""

from __future__ import annotations

from typing import Protocol

from reaper.api.http.exchange import MAX_HEAD_BYTES, Exchange, WireFault
from reaper.api.http.h2 import frames as h2
from reaper.api.http.h2.frames import Code, ConnectionFault
from reaper.api.http.h2.response import STREAM_WINDOW

CONNECTION_WINDOW = 16 * 1024 * 1024
"""Bytes of all bodies together that the peer may send before a WINDOW_UPDATE. They are processed as they come."""
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
"""The client connection preface (RFC 9113, 3.4)."""
MAX_IDLE_FRAMES = 10_000
"""Frames since an exchange last ended that advance none. The pings of a living connection are far fewer."""
UNLIMITED = h2.LAST_ID
"""Streams at once when the peer's SETTINGS have no limit."""


class StreamOwner(Protocol):
    """The part of the connection that its readers use."""

    streams: dict[int, Exchange]
    """Exchanges in flight, by stream."""
    next_stream: int
    """The first stream that was never used."""

    def end_stream(self, stream: int, exchange: Exchange) -> None: ...
    def fail_stream(self, stream: int, exchange: Exchange, fault: WireFault) -> None: ...
    def queue_frame(self, data: bytes) -> None: ...
    def queue_reply(self, data: bytes) -> None: ...
    def set_peer_limit(self, streams: int) -> None: ...
    def request_table_update(self) -> None: ...
    def drain(self) -> None: ...


class ControlFrames:
    """Reads the frames of stream 0. Raises ConnectionFault for a fault that ends the connection."""

    __slots__ = (
        "_connection",
        "_idle_frames",
        "_settings_received",
        "_table_size",
        "_window",
        "stream_send_window",
    )

    def __init__(self, connection: StreamOwner) -> None:
        """Apply the peer's settings to `connection` as they come."""
        self.stream_send_window = h2.FIRST_WINDOW
        """Bytes that a new stream may send. None are sent, but a window that grows beyond MAX_WINDOW is a fault."""
        self._connection = connection
        self._settings_received = False
        self._window = h2.FIRST_WINDOW
        self._table_size = 4096  # the initial value of the protocol
        self._idle_frames = 0

    def check_preface(self, first: bytes) -> None:
        """Raise ConnectionFault unless the peer's first frame is SETTINGS (RFC 9113, 3.4)."""
        _, _, kind, flags, stream = h2.HEADER.unpack_from(first)
        if kind != h2.SETTINGS or flags & h2.ACK or stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "its first words are of another protocol")

    def count_idle_frame(self) -> None:
        """Count a frame that advances no exchange. Raises ConnectionFault beyond MAX_IDLE_FRAMES."""
        self._idle_frames += 1
        if self._idle_frames > MAX_IDLE_FRAMES:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, f"{MAX_IDLE_FRAMES} frames that bring nothing on")

    def reset_idle_count(self) -> None:
        """Count from 0 again: an exchange has ended."""
        self._idle_frames = 0

    def settings(self, flags: int, stream: int, payload: bytes) -> None:
        """Apply the peer's settings, then acknowledge them."""
        _check_stream_0(stream, "SETTINGS")
        self.count_idle_frame()
        if flags & h2.ACK:
            check_length(payload, 0, "SETTINGS")
            return
        limit = None if self._settings_received else UNLIMITED
        self._settings_received = True
        for name, value in h2.read_settings(payload):
            if name == h2.HEADER_TABLE_SIZE:
                if value < self._table_size:
                    self._connection.request_table_update()
                self._table_size = value
            elif name == h2.INITIAL_WINDOW_SIZE:
                self.stream_send_window = value
            elif name == h2.MAX_CONCURRENT_STREAMS:
                limit = value
        self._connection.queue_reply(h2.frame(h2.SETTINGS, h2.ACK, 0))
        if limit is not None:
            self._connection.set_peer_limit(limit)

    def ping(self, flags: int, stream: int, payload: bytes) -> None:
        """Acknowledge a PING."""
        _check_stream_0(stream, "PING")
        check_length(payload, 8, "PING")
        self.count_idle_frame()
        if not flags & h2.ACK:
            self._connection.queue_reply(h2.frame(h2.PING, h2.ACK, 0, payload))

    def grow_window(self, more: int) -> None:
        """Add bytes to the send window of the connection."""
        if not more:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a window that grows by nothing")
        self._window += more
        if self._window > h2.MAX_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "the window of the connection grew out of bounds")

    def priority(self, _flags: int, stream: int, payload: bytes) -> None:
        """Check a PRIORITY frame and ignore it."""
        if not stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a PRIORITY frame of no stream")
        check_length(payload, 5, "PRIORITY")
        self.count_idle_frame()

    def push_promise(self, _flags: int, _stream: int, _payload: bytes) -> None:
        """Raise ConnectionFault: the client preface disabled push."""
        raise ConnectionFault(Code.PROTOCOL_ERROR, "a push, which was ruled out")

    def goaway(self, stream: int, payload: bytes) -> tuple[int, str]:
        """Return the last stream that the peer processes, and the name of its error code."""
        _check_stream_0(stream, "GOAWAY")
        if len(payload) < 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a GOAWAY frame of a wrong length")
        self.count_idle_frame()
        return h2.word(payload) & h2.LAST_ID, h2.code_name(h2.word(payload, 4))


def check_length(payload: bytes, length: int, kind: str) -> None:
    """Raise ConnectionFault for a frame of another length."""
    if len(payload) != length:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"a {kind} frame of a wrong length")


def _check_stream_0(stream: int, kind: str) -> None:
    if stream:
        raise ConnectionFault(Code.PROTOCOL_ERROR, f"a {kind} frame on a stream")

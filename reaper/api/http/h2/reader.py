"""Reads the frames of an HTTP/2 peer, and dispatches them to exchanges (RFC 9113).

Almost every response takes a short path in `_read`: a header block that was a complete response before is found in a
dict. All else goes through `_frame`. Nothing kept here grows with the bytes that the peer sends.
"""

from __future__ import annotations

from collections.abc import Callable

from reaper.api.http.exchange import MAX_HEAD_BYTES, Exchange, WireFault
from reaper.api.http.h2 import frames as h2
from reaper.api.http.h2.control_frames import CONNECTION_WINDOW, ControlFrames, StreamOwner, check_length
from reaper.api.http.h2.decode import BlockDecoder
from reaper.api.http.h2.frames import Code, ConnectionFault, ResponseFault
from reaper.api.http.h2.response import Response

MAX_CONTINUATIONS = 64
"""CONTINUATION frames of one header block."""
MAX_CANCELLED = 1024
"""Streams ended here whose late frames are ignored; a frame on a stream that the peer had ended is a fault."""

_HEADERS = h2.HEADERS
_HEADER_BYTES = h2.HEADER.size
_MAX_BYTES = h2.MAX_FRAME + _HEADER_BYTES
_WHOLE = h2.END_STREAM | h2.END_HEADERS


class Reader:
    """Reads one connection. Raises ConnectionFault for a fault that ends it."""

    def __init__(self, connection: StreamOwner) -> None:
        """Report ends of streams, and frames to write, to `connection`."""
        self._connection = connection
        self._control = ControlFrames(connection)
        self._decoder = BlockDecoder()
        self._responses: dict[int, Response] = {}  # of streams with more than one frame so far
        self._preface_checked = False
        self._buffer = bytearray()
        self._bytes_needed = _HEADER_BYTES
        self._block_stream = self._block_flags = self._continuations_left = 0  # of an incomplete block
        self._block_bytes = bytearray()
        self._window = CONNECTION_WINDOW
        self._credit = 0
        self._cancelled: dict[int, None] = {}
        self._highest_forgotten = 0

    def cancel(self, stream: int, code: Code) -> None:
        """Send RST_STREAM. Frames that still come on the stream are ignored."""
        self._responses.pop(stream, None)
        self._remember_cancelled(stream)
        self._connection.queue_frame(h2.rst_stream(stream, code))

    def feed(self, data: bytes) -> None:
        """Read the complete frames, keep the beginning of the next one."""
        data = bytes(data)  # no copy if it is bytes already
        rest = self._buffer
        if rest:
            rest += data
            if len(rest) < self._bytes_needed:
                return
            data = bytes(rest)
            rest.clear()
        at = self._read(data)
        if at < len(data):
            rest += memoryview(data)[at:]

    def _read(self, data: bytes) -> int:
        """Read the complete frames; return the offset of the first incomplete one."""
        at, end = 0, len(data)
        unpack, connection, responses, decoder = h2.HEADER.unpack_from, self._connection, self._responses, self._decoder
        streams = connection.streams
        if not self._preface_checked and end >= _HEADER_BYTES:
            self._control.check_preface(data)
            self._preface_checked = True
        while end - at >= _HEADER_BYTES:
            high, low, kind, flags, stream = unpack(data, at)
            stop = at + _HEADER_BYTES + (high << 16) + low
            if stop - at > _MAX_BYTES:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a frame longer than allowed")
            if stop > end:
                self._bytes_needed = stop - at
                return at
            payload = data[at + _HEADER_BYTES : stop]
            at = stop
            if kind == _HEADERS and flags == _WHOLE and stream in streams and not self._block_stream:
                known = decoder.cached_responses.get(payload)
                if known is not None and stream not in responses:
                    exchange = streams[stream]
                    exchange.response_started = exchange.whole = True
                    exchange.status = known.status
                    exchange.response_headers = known.headers.copy()
                    self._control.reset_idle_count()
                    connection.end_stream(stream, exchange)
                    continue
            self._frame(kind, flags, stream & h2.LAST_ID, payload)
        self._bytes_needed = _HEADER_BYTES
        return at

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block_stream and (kind != h2.CONTINUATION or stream != self._block_stream):
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame within a header block")
        read = _READ.get(kind)
        if read is None:
            self._control.count_idle_frame()
        else:
            read(self, flags, stream, payload)

    # Frames of streams.

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        if stream not in self._connection.streams:
            self._check_cancelled(stream)
        payload = h2.unpadded(flags, payload)
        if flags & h2.WITH_PRIORITY:
            if len(payload) < 5:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a HEADERS frame too short for its priority")
            payload = payload[5:]
        if flags & h2.END_HEADERS:
            self._header_block(flags, stream, payload)
        else:
            self._block_stream, self._block_flags = stream, flags
            self._continuations_left = MAX_CONTINUATIONS
            self._block_bytes = bytearray(payload)

    def _continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if not self._block_stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a CONTINUATION frame of nothing")
        self._block_bytes += payload
        self._continuations_left -= 1
        if self._continuations_left < 0 or len(self._block_bytes) > MAX_HEAD_BYTES:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "a header block too long")
        if flags & h2.END_HEADERS:
            block, self._block_bytes = bytes(self._block_bytes), bytearray()
            self._block_stream = 0
            self._header_block(self._block_flags, stream, block)

    def _header_block(self, flags: int, stream: int, block: bytes) -> None:
        end = bool(flags & h2.END_STREAM)
        exchange = self._connection.streams.get(stream)
        if exchange is None:  # cancelled; the decoder must read every block all the same
            self._control.count_idle_frame()
            try:
                self._decoder.decode(block)
            except ResponseFault:
                pass
            return
        exchange.response_started = True
        sole_block = end and stream not in self._responses
        response = self._response(stream, exchange)
        try:
            fields, size = self._decoder.decode(block)
            response.head(fields, size, end=end)
            if end:
                response.ended()
        except ResponseFault as fault:
            self._malformed(stream, exchange, fault)
            return
        if end:
            if sole_block:
                self._decoder.remember(block, exchange.status, exchange.response_headers.copy())
            self._ended(stream, exchange)

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        weight = len(payload)
        data = h2.unpadded(flags, payload)
        self._window -= weight
        if self._window < 0:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more data than the window of the connection")
        self._credit += weight
        if self._credit >= CONNECTION_WINDOW // 2:
            self._connection.queue_reply(h2.window_update(0, self._credit))
            self._window += self._credit
            self._credit = 0
        exchange = self._connection.streams.get(stream)
        if exchange is None:
            self._check_cancelled(stream)
            self._control.count_idle_frame()
            return
        end = bool(flags & h2.END_STREAM)
        if not data and not end:
            self._control.count_idle_frame()
        exchange.response_started = True
        response = self._response(stream, exchange)
        try:
            kept = response.data(data, weight)
            if end and kept:
                response.ended()
        except ResponseFault as fault:
            self._malformed(stream, exchange, fault)
            return
        if not kept and not end:
            self.cancel(stream, Code.CANCEL)
        if end or not kept:
            self._ended(stream, exchange)
        elif credit := response.credit():
            self._connection.queue_reply(h2.window_update(stream, credit))

    def _rst_stream(self, _flags: int, stream: int, payload: bytes) -> None:
        check_length(payload, 4, "RST_STREAM")
        exchange = self._connection.streams.get(stream)
        if exchange is None:
            self._check_opened(stream)
            self._control.count_idle_frame()
            return
        code = h2.word(payload)
        self._remember_cancelled(stream)
        if code == Code.REFUSED_STREAM and not exchange.response_started:
            self._failed(stream, exchange, WireFault("refused", "the peer refused the request"))
        else:
            self._failed(stream, exchange, WireFault("reset", f"the peer ended the exchange: {h2.code_name(code)}"))

    def _goaway(self, _flags: int, stream: int, payload: bytes) -> None:
        """Fail the exchanges that the peer will not process; the others go on."""
        last, why = self._control.goaway(stream, payload)
        text = f"the peer closes the connection: {why}"
        for number, exchange in [pair for pair in self._connection.streams.items() if pair[0] > last]:
            self._remember_cancelled(number)
            self._failed(number, exchange, WireFault("reset" if exchange.response_started else "refused", text))
        self._connection.drain()

    def _window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        check_length(payload, 4, "WINDOW_UPDATE")
        self._control.count_idle_frame()
        more = h2.word(payload) & h2.LAST_ID
        if not stream:
            self._control.grow_window(more)
            return
        exchange = self._connection.streams.get(stream)
        if exchange is None:
            self._check_opened(stream)
            return
        try:
            self._response(stream, exchange).may_send(more)
        except ResponseFault as fault:
            self._malformed(stream, exchange, fault)

    # Ends of streams.

    def _response(self, stream: int, exchange: Exchange) -> Response:
        response = self._responses.get(stream)
        if response is None:
            response = self._responses[stream] = Response(exchange, self._control.stream_send_window)
        return response

    def _ended(self, stream: int, exchange: Exchange) -> None:
        self._responses.pop(stream, None)
        self._control.reset_idle_count()
        self._connection.end_stream(stream, exchange)

    def _failed(self, stream: int, exchange: Exchange, fault: WireFault) -> None:
        self._responses.pop(stream, None)
        self._control.reset_idle_count()
        self._connection.fail_stream(stream, exchange, fault)

    def _malformed(self, stream: int, exchange: Exchange, fault: ResponseFault) -> None:
        self.cancel(stream, fault.code)
        self._failed(stream, exchange, WireFault("malformed", fault.text))

    def _remember_cancelled(self, stream: int) -> None:
        cancelled = self._cancelled
        cancelled[stream] = None
        if len(cancelled) > MAX_CANCELLED:
            oldest = next(iter(cancelled))
            del cancelled[oldest]
            self._highest_forgotten = max(self._highest_forgotten, oldest)

    def _check_opened(self, stream: int) -> None:
        """Raise ConnectionFault for a stream that was never opened."""
        if not stream % 2 or stream >= self._connection.next_stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame on a stream that was never opened")

    def _check_cancelled(self, stream: int) -> None:
        """Raise ConnectionFault for a second response; late frames of a stream cancelled here pass."""
        self._check_opened(stream)
        if stream > self._highest_forgotten and stream not in self._cancelled:
            raise ConnectionFault(Code.STREAM_CLOSED, "an answer after the answer")


def _control_frame(read: Callable[[ControlFrames, int, int, bytes], None]) -> Callable[[Reader, int, int, bytes], None]:
    return lambda reader, flags, stream, payload: read(reader._control, flags, stream, payload)


_READ: dict[int, Callable[[Reader, int, int, bytes], None]] = {
    h2.DATA: Reader._data,
    h2.HEADERS: Reader._headers,
    h2.PRIORITY: _control_frame(ControlFrames.priority),
    h2.RST_STREAM: Reader._rst_stream,
    h2.SETTINGS: _control_frame(ControlFrames.settings),
    h2.PUSH_PROMISE: _control_frame(ControlFrames.push_promise),
    h2.PING: _control_frame(ControlFrames.ping),
    h2.GOAWAY: Reader._goaway,
    h2.WINDOW_UPDATE: Reader._window_update,
    h2.CONTINUATION: Reader._continuation,
}

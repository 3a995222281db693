"""What an HTTP/2 peer says about the exchanges (RFC 9113).

The way that almost every answer takes is short: a block that was a whole answer before is looked up in a dict. All
else goes through `_frame`. Nothing that is kept here grows with what the peer sends.
"""

from __future__ import annotations

from collections.abc import Callable

from reaper.api.http.exchange import MAX_HEAD_BYTES, Exchange, WireFault
from reaper.api.http.h2 import frames as h2
from reaper.api.http.h2.control_frames import CONNECTION_WINDOW, ControlFrames, Link, check_length
from reaper.api.http.h2.decode import BlockDecoder
from reaper.api.http.h2.frames import AnswerFault, Code, ConnectionFault
from reaper.api.http.h2.response import Answer

MAX_CONTINUATIONS = 64
"""Of one header block."""
MAX_CANCELLED = 1024
"""Streams that we ended and whose late frames are told from frames on streams that the peer itself had ended."""

_HEADERS = h2.HEADERS
_HEADER_BYTES = h2.HEADER.size
_MAX_BYTES = h2.MAX_FRAME + _HEADER_BYTES
_WHOLE = h2.END_STREAM | h2.END_HEADERS


class Reader:
    """Reads one connection. Raises ConnectionFault for what ends it."""

    def __init__(self, line: Link) -> None:
        """`line` hears of everything that matters beyond one frame."""
        self._line = line
        self._talk = ControlFrames(line)
        self._decoder = BlockDecoder()
        self._answers: dict[int, Answer] = {}  # of streams that took more than one look
        self._greeted = False  # the first frame was looked at
        self._rest = bytearray()
        self._need = _HEADER_BYTES
        self._piece_stream = self._piece_flags = self._pieces_left = 0  # of a block that is not whole yet
        self._pieces = bytearray()
        self._window = CONNECTION_WINDOW
        self._credit = 0
        self._cancelled: dict[int, None] = {}
        self._forgotten = 0

    def cancel(self, stream: int, code: Code) -> None:
        """Tell the peer that we are done with a stream. What it still sends there is ignored."""
        self._answers.pop(stream, None)
        self._ignore(stream)
        self._line.tell(h2.rst_stream(stream, code))

    def feed(self, data: bytes) -> None:
        """Read whole frames, keep the beginning of another."""
        data = bytes(data)  # no copy where it is that already
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._need:
                return
            data = bytes(rest)
            rest.clear()
        at = self._read(data)
        if at < len(data):
            rest += memoryview(data)[at:]

    def _read(self, data: bytes) -> int:
        """Return where the first frame begins that is not whole."""
        at, end = 0, len(data)
        unpack, line, answers, decoder = h2.HEADER.unpack_from, self._line, self._answers, self._decoder
        streams = line.streams
        if not self._greeted and end >= _HEADER_BYTES:
            self._talk.greet(data)
            self._greeted = True
        while end - at >= _HEADER_BYTES:
            high, low, kind, flags, stream = unpack(data, at)
            stop = at + _HEADER_BYTES + (high << 16) + low
            if stop - at > _MAX_BYTES:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a frame longer than allowed")
            if stop > end:
                self._need = stop - at
                return at
            payload = data[at + _HEADER_BYTES : stop]
            at = stop
            if kind == _HEADERS and flags == _WHOLE and stream in streams and not self._piece_stream:
                known = decoder.answers.get(payload)
                if known is not None and stream not in answers:
                    exchange = streams[stream]
                    exchange.progressed = exchange.whole = True
                    exchange.status = known.status
                    exchange.answer_headers = known.headers.copy()
                    self._talk.fruitful()
                    line.done(stream, exchange)
                    continue
            self._frame(kind, flags, stream & h2.LAST_ID, payload)
        self._need = _HEADER_BYTES
        return at

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._piece_stream and (kind != h2.CONTINUATION or stream != self._piece_stream):
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame within a header block")
        read = _READ.get(kind)
        if read is None:
            self._talk.idle()
        else:
            read(self, flags, stream, payload)

    # Answers.

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        if stream not in self._line.streams:
            self._check_closed(stream)
        payload = h2.unpadded(flags, payload)
        if flags & h2.WITH_PRIORITY:
            if len(payload) < 5:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a HEADERS frame too short for its priority")
            payload = payload[5:]
        if flags & h2.END_HEADERS:
            self._block(flags, stream, payload)
        else:
            self._piece_stream, self._piece_flags = stream, flags
            self._pieces_left = MAX_CONTINUATIONS
            self._pieces = bytearray(payload)

    def _continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if not self._piece_stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a CONTINUATION frame of nothing")
        self._pieces += payload
        self._pieces_left -= 1
        if self._pieces_left < 0 or len(self._pieces) > MAX_HEAD_BYTES:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "a header block too long")
        if flags & h2.END_HEADERS:
            block, self._pieces = bytes(self._pieces), bytearray()
            self._piece_stream = 0
            self._block(self._piece_flags, stream, block)

    def _block(self, flags: int, stream: int, block: bytes) -> None:
        end = bool(flags & h2.END_STREAM)
        exchange = self._line.streams.get(stream)
        if exchange is None:  # cancelled; but the decoder has to follow
            self._talk.idle()
            try:
                self._decoder.decode(block)
            except AnswerFault:
                pass
            return
        exchange.progressed = True
        alone = end and stream not in self._answers
        answer = self._answer(stream, exchange)
        try:
            fields, size = self._decoder.decode(block)
            answer.head(fields, size, end=end)
            if end:
                answer.ended()
        except AnswerFault as fault:
            self._malformed(stream, exchange, fault)
            return
        if end:
            if alone:
                self._decoder.learn(block, exchange.status, exchange.answer_headers.copy())
            self._ended(stream, exchange)

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        weight = len(payload)
        data = h2.unpadded(flags, payload)
        self._window -= weight
        if self._window < 0:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more data than the window of the connection")
        self._credit += weight
        if self._credit >= CONNECTION_WINDOW // 2:
            self._line.reply(h2.window_update(0, self._credit))
            self._window += self._credit
            self._credit = 0
        exchange = self._line.streams.get(stream)
        if exchange is None:
            self._check_closed(stream)
            self._talk.idle()
            return
        end = bool(flags & h2.END_STREAM)
        if not data and not end:
            self._talk.idle()
        exchange.progressed = True
        answer = self._answer(stream, exchange)
        try:
            kept = answer.data(data, weight)
            if end and kept:
                answer.ended()
        except AnswerFault as fault:
            self._malformed(stream, exchange, fault)
            return
        if not kept and not end:
            self.cancel(stream, Code.CANCEL)
        if end or not kept:
            self._ended(stream, exchange)
        elif credit := answer.credit():
            self._line.reply(h2.window_update(stream, credit))

    def _rst_stream(self, _flags: int, stream: int, payload: bytes) -> None:
        check_length(payload, 4, "RST_STREAM")
        exchange = self._line.streams.get(stream)
        if exchange is None:
            self._check_used(stream)
            self._talk.idle()
            return
        code = h2.word(payload)
        self._ignore(stream)
        if code == Code.REFUSED_STREAM and not exchange.progressed:
            self._failed(stream, exchange, WireFault("refused", "the peer refused the request"))
        else:
            self._failed(stream, exchange, WireFault("reset", f"the peer ended the exchange: {h2.code_name(code)}"))

    def _goaway(self, _flags: int, stream: int, payload: bytes) -> None:
        """Refuse what the peer will not look at; what it has looked at goes on."""
        last, why = self._talk.goaway(stream, payload)
        text = f"the peer closes the connection: {why}"
        for number, exchange in [pair for pair in self._line.streams.items() if pair[0] > last]:
            self._ignore(number)
            self._failed(number, exchange, WireFault("reset" if exchange.progressed else "refused", text))
        self._line.leave()

    def _window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        check_length(payload, 4, "WINDOW_UPDATE")
        self._talk.idle()
        more = h2.word(payload) & h2.LAST_ID
        if not stream:
            self._talk.window(more)
            return
        exchange = self._line.streams.get(stream)
        if exchange is None:
            self._check_used(stream)
            return
        try:
            self._answer(stream, exchange).may_send(more)
        except AnswerFault as fault:
            self._malformed(stream, exchange, fault)

    # Ends of streams.

    def _answer(self, stream: int, exchange: Exchange) -> Answer:
        answer = self._answers.get(stream)
        if answer is None:
            answer = self._answers[stream] = Answer(exchange, self._talk.stream_send_window)
        return answer

    def _ended(self, stream: int, exchange: Exchange) -> None:
        self._answers.pop(stream, None)
        self._talk.fruitful()
        self._line.done(stream, exchange)

    def _failed(self, stream: int, exchange: Exchange, fault: WireFault) -> None:
        self._answers.pop(stream, None)
        self._talk.fruitful()
        self._line.failed(stream, exchange, fault)

    def _malformed(self, stream: int, exchange: Exchange, fault: AnswerFault) -> None:
        self.cancel(stream, fault.code)
        self._failed(stream, exchange, WireFault("malformed", fault.text))

    def _ignore(self, stream: int) -> None:
        cancelled = self._cancelled
        cancelled[stream] = None
        if len(cancelled) > MAX_CANCELLED:
            oldest = next(iter(cancelled))
            del cancelled[oldest]
            self._forgotten = max(self._forgotten, oldest)

    def _check_used(self, stream: int) -> None:
        """Raise for a stream that we never opened."""
        if not stream % 2 or stream >= self._line.next_stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame on a stream that nobody opened")

    def _check_closed(self, stream: int) -> None:
        """Raise for an answer to nothing, or a second one; let through the rest of one that we cancelled."""
        self._check_used(stream)
        if stream > self._forgotten and stream not in self._cancelled:
            raise ConnectionFault(Code.STREAM_CLOSED, "an answer after the answer")


def _of_talk(read: Callable[[ControlFrames, int, int, bytes], None]) -> Callable[[Reader, int, int, bytes], None]:
    return lambda reader, flags, stream, payload: read(reader._talk, flags, stream, payload)


_READ: dict[int, Callable[[Reader, int, int, bytes], None]] = {
    h2.DATA: Reader._data,
    h2.HEADERS: Reader._headers,
    h2.PRIORITY: _of_talk(ControlFrames.priority),
    h2.RST_STREAM: Reader._rst_stream,
    h2.SETTINGS: _of_talk(ControlFrames.settings),
    h2.PUSH_PROMISE: _of_talk(ControlFrames.push_promise),
    h2.PING: _of_talk(ControlFrames.ping),
    h2.GOAWAY: Reader._goaway,
    h2.WINDOW_UPDATE: Reader._window_update,
    h2.CONTINUATION: Reader._continuation,
}

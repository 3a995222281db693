"""One response that comes in several frames: heads, body, limits."""

from __future__ import annotations

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM, Exchange
from reaper.api.http.h2.decode import Field
from reaper.api.http.h2.frames import MAX_WINDOW, Code, ResponseFault

STREAM_WINDOW = 1024 * 1024
"""Bytes of one body that the peer may send before a WINDOW_UPDATE."""

_BODILESS = frozenset({204, 304})


class Response:
    """Collects a response in an exchange. Raises ResponseFault when the response is malformed."""

    __slots__ = (
        "_bytes_left",
        "_exchange",
        "_interim_left",
        "_length",
        "_lines_left",
        "_send_window",
        "_window",
        "final",
    )

    def __init__(self, exchange: Exchange, send_window: int) -> None:
        """Start a response. `send_window`: bytes that the stream may send; none are sent, yet it has a limit."""
        self._exchange = exchange
        self._send_window = send_window
        self._window = STREAM_WINDOW
        self._bytes_left = MAX_HEAD_BYTES
        self._lines_left = MAX_HEADERS
        self._interim_left = MAX_INTERIM
        self._length: int | None = None
        """Content-Length."""
        self.final = False
        """The final head was received."""

    def head(self, fields: list[Field], size: int, *, end: bool) -> None:
        """Add the fields of a block: interim head, final head, or trailers. `size` in bytes; `end`: nothing follows."""
        self._bytes_left -= size
        self._lines_left -= len(fields)
        if self._bytes_left < 0 or self._lines_left < 0:
            raise ResponseFault("the head of the answer is too long")
        if self.final:
            if not end:
                raise ResponseFault("the answer has two heads")
            if any(name.startswith(b":") for name, _ in fields):
                raise ResponseFault("the trailers of the answer have a status")
            return
        status = _status(fields)
        if status >= 200:
            self._exchange.status = status
            self._exchange.response_headers = fields[1:]
            self._length = None if status in _BODILESS else _length(fields)
            self.final = True
            return
        self._interim_left -= 1
        if end or status == 101:
            raise ResponseFault("an interim answer that is none")
        if self._interim_left < 0:
            raise ResponseFault(f"more than {MAX_INTERIM} interim answers")

    def data(self, data: bytes, weight: int) -> bool:
        """Add a part of the body; return whether all of it is kept. `weight`: its bytes with the padding."""
        exchange = self._exchange
        if not self.final:
            raise ResponseFault("a body before its head")
        self._window -= weight
        if self._window < 0:
            raise ResponseFault("more data than the window of the stream", Code.FLOW_CONTROL_ERROR)
        if self._length is not None:
            self._length -= len(data)
            if self._length < 0:
                raise ResponseFault("the body is longer than announced")
        if data and exchange.status in _BODILESS:
            raise ResponseFault(f"an answer {exchange.status} has a body")
        left = exchange.max_body_bytes - len(exchange.body)
        exchange.body += data[:left]
        return len(data) <= left

    def ended(self) -> None:
        """Mark the body as whole. Raises ResponseFault when it is shorter than announced."""
        if self._length:
            raise ResponseFault("the body is shorter than announced")
        self._exchange.whole = True

    def credit(self) -> int:
        """Return the bytes for a WINDOW_UPDATE now, or 0: half a window at a time, so that the peer need not wait."""
        used = STREAM_WINDOW - self._window
        if used < STREAM_WINDOW // 2:
            return 0
        self._window = STREAM_WINDOW
        return used

    def may_send(self, more: int) -> None:
        """Add bytes to the send window of the stream."""
        if not more:
            raise ResponseFault("a window that grows by nothing")
        self._send_window += more
        if self._send_window > MAX_WINDOW:
            raise ResponseFault("the window of the stream grew out of bounds", Code.FLOW_CONTROL_ERROR)


def _status(fields: list[Field]) -> int:
    """Return the status: the first field, and the only pseudo-header field."""
    name, value = fields[0] if fields else (b"", b"")
    if name != b":status" or len(value) != 3 or not value.isdigit() or value < b"100":
        raise ResponseFault("the answer has no status")
    if any(name.startswith(b":") for name, _ in fields[1:]):
        raise ResponseFault("the answer has a second status or a header of a request")
    return int(value)


def _length(fields: list[Field]) -> int | None:
    found = {value for name, value in fields if name == b"content-length"}
    if not found:
        return None
    value = found.pop()
    if found or not value.isdigit() or len(value) > 18:
        raise ResponseFault("the length of the body is no number")
    return int(value)

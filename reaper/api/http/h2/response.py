"""One answer that comes in several frames: its heads, its body, its bounds."""

from __future__ import annotations

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM, Exchange
from reaper.api.http.h2.decode import Field
from reaper.api.http.h2.frames import MAX_WINDOW, AnswerFault, Code

STREAM_WINDOW = 1024 * 1024
"""Bytes of one body that the peer may send ahead of us."""

_BODILESS = frozenset({204, 304})


class Answer:
    """Reads into an exchange. Raises AnswerFault for what makes the answer malformed."""

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
        """`send_window`: what the peer lets us send on a stream; nothing is sent, yet it must stay in bounds."""
        self._exchange = exchange
        self._send_window = send_window
        self._window = STREAM_WINDOW
        self._bytes_left = MAX_HEAD_BYTES
        self._lines_left = MAX_HEADERS
        self._interim_left = MAX_INTERIM
        self._length: int | None = None
        """Of the body, as announced."""
        self.final = False
        """The final head is in."""

    def head(self, fields: list[Field], size: int, *, end: bool) -> None:
        """Take the fields of a block: an interim head, the final one, or trailers. `end`: nothing follows."""
        self._bytes_left -= size
        self._lines_left -= len(fields)
        if self._bytes_left < 0 or self._lines_left < 0:
            raise AnswerFault("the head of the answer is too long")
        if self.final:
            if not end:
                raise AnswerFault("the answer has two heads")
            if any(name.startswith(b":") for name, _ in fields):
                raise AnswerFault("the trailers of the answer have a status")
            return
        status = _status(fields)
        if status >= 200:
            self._exchange.status = status
            self._exchange.answer_headers = fields[1:]
            self._length = None if status in _BODILESS else _length(fields)
            self.final = True
            return
        self._interim_left -= 1
        if end or status == 101:
            raise AnswerFault("an interim answer that is none")
        if self._interim_left < 0:
            raise AnswerFault(f"more than {MAX_INTERIM} interim answers")

    def data(self, data: bytes, weight: int) -> bool:
        """Take a part of the body; return whether all of it is kept. `weight`: its bytes with the padding."""
        exchange = self._exchange
        if not self.final:
            raise AnswerFault("a body before its head")
        self._window -= weight
        if self._window < 0:
            raise AnswerFault("more data than the window of the stream", Code.FLOW_CONTROL_ERROR)
        if self._length is not None:
            self._length -= len(data)
            if self._length < 0:
                raise AnswerFault("the body is longer than announced")
        if data and exchange.status in _BODILESS:
            raise AnswerFault(f"an answer {exchange.status} has a body")
        left = exchange.most_body - len(exchange.body)
        exchange.body += data[:left]
        return len(data) <= left

    def ended(self) -> None:
        """Check that nothing is missing."""
        if self._length:
            raise AnswerFault("the body is shorter than announced")
        self._exchange.whole = True

    def credit(self) -> int:
        """Return the bytes to give back to the peer now, or 0: not one by one, and not so late that it has to wait."""
        used = STREAM_WINDOW - self._window
        if used < STREAM_WINDOW // 2:
            return 0
        self._window = STREAM_WINDOW
        return used

    def may_send(self, more: int) -> None:
        """Let the window that the peer gives us grow."""
        if not more:
            raise AnswerFault("a window that grows by nothing")
        self._send_window += more
        if self._send_window > MAX_WINDOW:
            raise AnswerFault("the window of the stream grew out of bounds", Code.FLOW_CONTROL_ERROR)


def _status(fields: list[Field]) -> int:
    """Return the status, which stands first, alone among its kind."""
    name, value = fields[0] if fields else (b"", b"")
    if name != b":status" or len(value) != 3 or not value.isdigit() or value < b"100":
        raise AnswerFault("the answer has no status")
    if any(name.startswith(b":") for name, _ in fields[1:]):
        raise AnswerFault("the answer has a second status or a header of a request")
    return int(value)


def _length(fields: list[Field]) -> int | None:
    found = {value for name, value in fields if name == b"content-length"}
    if not found:
        return None
    value = found.pop()
    if found or not value.isdigit() or len(value) > 18:
        raise AnswerFault("the length of the body is no number")
    return int(value)

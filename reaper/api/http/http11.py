"""HTTP/1.1 on one connection: one exchange at a time, keep-alive, every answer bounded.

llhttp (through httptools) reads the answers, strictly: what it refuses is malformed. It knows no bound and no end of
the stream; both are kept here.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

import httptools

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM, Exchange, Headers, Owner, WireFault

_BODILESS = frozenset({204, 304})
_VERSIONS = frozenset({"1.1", "1.0"})
_CRLF = b"\r\n"
_H = ord("H")


class H1Connection(asyncio.Protocol):
    """Carries one exchange at a time; `room` is 1 while it is open and idle, else 0."""

    __slots__ = (
        "_begun",
        "_budget",
        "_complete",
        "_cut",
        "_exchange",
        "_fault",
        "_final",
        "_head",
        "_head_of",
        "_interim_left",
        "_keep",
        "_lines_left",
        "_owner",
        "_parser",
        "_poll",
        "_served",
        "_transport",
        "_until_close",
        "room",
    )

    def __init__(self, owner: Owner) -> None:
        """`owner` hears when there is room again and when the connection is gone."""
        self.room = 0
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._fault: WireFault | None = None
        self._head_of: Headers | None = None
        self._head = b""
        self._served = False
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None

    # What the transport asks for.

    def start(self, exchange: Exchange) -> None:
        """Write the request. Refuses it, nothing written, where the peer has already sent something or closed.

        Bytes that came before the request would be taken for its answer: a 204 that nobody gave.
        """
        self.room = 0
        if self._served and self._poll is not None and self._poll(0):
            self._transport.abort()
            exchange.fail(WireFault("refused", "the idle connection was closed or not silent"))
            return
        if exchange.headers is not self._head_of:
            self._head = _rendered(exchange.headers)
            self._head_of = exchange.headers
        self._exchange = exchange
        self._budget = MAX_HEAD_BYTES
        self._lines_left = MAX_HEADERS
        self._interim_left = MAX_INTERIM
        self._begun = self._final = self._complete = self._cut = self._until_close = self._keep = False
        exchange.written = True
        self._transport.write(b"%b %b HTTP/1.1\r\n%b" % (exchange.method, exchange.target, self._head))

    def abandon(self, exchange: Exchange) -> None:
        """Close the connection if the exchange is under way: its answer could not be told from the next one's."""
        if self._exchange is exchange:
            self._exchange = None
            self._transport.abort()

    def close(self) -> None:
        """Close; an exchange under way fails as reset."""
        self.room = 0
        if self._exchange is None:
            self._transport.close()
        else:
            self._transport.abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take exchanges from now on."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            poll = select.poll()
            poll.register(sock.fileno(), select.POLLIN)
            self._poll = poll.poll
        self.room = 1

    def data_received(self, data: bytes) -> None:
        """Read on. Bytes that nobody asked for close the connection."""
        exchange = self._exchange
        if exchange is None:
            self.room = 0
            self._transport.abort()
            return
        exchange.progressed = True
        try:
            if not self._begun:
                self._begin(data)
            budget = self._budget
            if len(data) <= budget:
                self._budget = budget - len(data)
                self._parser.feed_data(data)
            else:
                self._feed_in_parts(data)
        except WireFault as fault:
            self._end(exchange, fault)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(exchange, self._fault or WireFault("malformed", f"the answer is not HTTP: {error}"))
        else:
            if self._complete:
                if self._keep:
                    self._exchange = None
                    self._served = True
                    self.room = 1
                    exchange.done()
                    self._owner.freed(self)
                else:
                    self._end(exchange, None)

    def eof_received(self) -> None:
        """Take no more; the loop closes the connection."""
        self.room = 0

    def connection_lost(self, error: Exception | None) -> None:
        """End what is under way: the answer, if it was one that lasts until the close, else a reset."""
        self.room = 0
        self._poll = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            if self._final and self._until_close and error is None:
                exchange.whole = True
                exchange.done()
            else:
                when = "before the answer was whole" if exchange.progressed else "before an answer came"
                fault = WireFault("reset", f"the connection was closed {when}")
                fault.__cause__ = error
                exchange.fail(fault)
        del self._parser  # it holds our methods, we hold it
        self._owner.lost(self)

    def _begin(self, data: bytes) -> None:
        # llhttp reads RTSP and ICE answers as well, and skips empty lines before an answer.
        first = data[0] if data[0] == _H else next(iter(data.lstrip(_CRLF)), None)
        if first is not None:
            self._begun = True
            if first != _H:
                raise WireFault("malformed", "the answer is not HTTP")

    def _feed_in_parts(self, data: bytes) -> None:
        # So that not one byte over the bound is looked at, however the bytes were cut on their way.
        at = 0
        while at < len(data):
            if self._budget == 0:
                raise WireFault("malformed", f"the answer has more than {MAX_HEAD_BYTES} bytes between head and body")
            part = data[at : at + self._budget]
            at += len(part)
            self._budget -= len(part)
            self._parser.feed_data(part)

    def _end(self, exchange: Exchange, fault: WireFault | None) -> None:
        """Close, and end the exchange: an answer that is complete or cut stays valid whatever came after it."""
        self._exchange = None
        self._transport.abort()
        if fault is None or self._complete or self._cut:
            exchange.done()
        else:
            exchange.fail(fault)

    # What the parser tells. An exception stops it; it reports one of its own then, so ours is kept aside.

    def on_message_begin(self) -> None:
        if self._complete:
            raise self._stopped("something follows the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines_left -= 1
        if self._lines_left < 0:
            raise self._stopped(f"the answer has more than {MAX_HEADERS} header lines")
        if not self._final:  # else a trailer
            self._current.answer_headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        exchange, parser = self._current, self._parser
        if parser.get_http_version() not in _VERSIONS:
            raise self._stopped("the answer is of another version of HTTP")
        status = parser.get_status_code()
        if status < 200:
            self._interim(status, exchange)
            return
        exchange.status = status
        self._final = True
        self._keep = parser.should_keep_alive()
        self._budget = MAX_HEAD_BYTES
        if status not in _BODILESS:
            codings, measured = _framing(exchange.answer_headers)
            if codings not in ([], [b"chunked"]):
                raise self._stopped("the answer has a transfer coding that was not asked for")
            self._until_close = not codings and not measured

    def on_body(self, data: bytes) -> None:
        exchange = self._current
        self._budget = MAX_HEAD_BYTES
        left = exchange.most_body - len(exchange.body)
        if len(data) > left:
            exchange.body += data[:left]
            self._cut = True
            raise self._stopped("the body is longer than what is kept of it")
        exchange.body += data

    def on_message_complete(self) -> None:
        if self._final:
            self._complete = self._current.whole = True

    def _interim(self, status: int, exchange: Exchange) -> None:
        self._interim_left -= 1
        if status < 100:
            raise self._stopped("the answer has no status")
        if status == 101:
            raise self._stopped("the answer is an upgrade that was not asked for")
        if self._interim_left < 0:
            raise self._stopped(f"more than {MAX_INTERIM} interim answers")
        if _framing(exchange.answer_headers) != ([], False):
            raise self._stopped("an interim answer has a body")
        exchange.answer_headers.clear()

    def _stopped(self, why: str) -> WireFault:
        self._fault = WireFault("malformed", why)
        return self._fault

    @property
    def _current(self) -> Exchange:
        exchange = self._exchange
        assert exchange is not None  # the parser is fed only while one is under way
        return exchange


def _framing(headers: list[tuple[bytes, bytes]]) -> tuple[list[bytes], bool]:
    """Return the transfer codings in their order, and whether there is a length."""
    codings: list[bytes] = []
    measured = False
    for name, value in headers:
        if name == b"content-length":
            measured = True
        elif name == b"transfer-encoding":
            codings += [coding.strip(b" \t").lower() for coding in value.split(b",")]
    return codings, measured


def _rendered(headers: Headers) -> bytes:
    """Return the header lines and the empty line after them."""
    return b"".join(b"%b: %b\r\n" % line for line in headers) + _CRLF

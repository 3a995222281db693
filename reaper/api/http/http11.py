"""One HTTP/1.1 connection (RFC 9112): one exchange at a time, keep-alive, every response within limits.

llhttp (through httptools) parses the responses strictly: a response that it refuses is malformed. Limits of size and
the end of the stream are handled here, because llhttp has neither.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

import httptools

from reaper.api.http.exchange import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM, Exchange, Headers, Owner, WireFault
from reaper.api.http.framing import CRLF, encode_headers, framing
from reaper.api.http.receiver import Receiver

_BODILESS = frozenset({204, 304})
_VERSIONS = frozenset({"1.1", "1.0"})
_H = ord("H")
_UNASKED = "the server closed the connection or sent something before the request"


class H1Connection(Receiver):
    """Carries one exchange at a time; `room` is 1 while it is open and idle, else 0."""

    __slots__ = (
        "_bytes_left",
        "_complete",
        "_cut",
        "_exchange",
        "_fault",
        "_final",
        "_first_byte_checked",
        "_header_lines",
        "_header_lines_of",
        "_held",
        "_interim_left",
        "_keep_alive",
        "_lines_left",
        "_looked",
        "_owner",
        "_parser",
        "_poll",
        "_tls",
        "_until_close",
        "_used",
        "room",
    )

    def __init__(self, owner: Owner, buffer: memoryview) -> None:
        """Report free room and the end of the connection to `owner`; read through `buffer` (`receiver.new_buffer`)."""
        super().__init__(buffer)
        self.room = 0
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._fault: WireFault | None = None
        self._header_lines_of: Headers | None = None
        self._header_lines = b""
        self._held: Exchange | None = None
        """Waits until the loop has read what lies in a new TLS connection."""
        self._tls = False
        self._looked = False  # the loop has had the time to hand over what came with the handshake
        self._used = False
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None

    # Called by the pool.

    def start(self, exchange: Exchange) -> None:
        """Write the request. Fails it as `refused`, unwritten, if the peer has already closed or sent something.

        Bytes sent before the request would be read as its response: a 204 for a DELETE that the API never saw.
        """
        self.room = 0
        if not self._looked:
            self._hold(exchange)
            return
        if self._poll is not None and self._poll(0):
            if self._tls and not self._used:
                self._hold(exchange)
            else:
                self._transport.abort()
                exchange.fail(WireFault("refused", _UNASKED))
            return
        if exchange.headers is not self._header_lines_of:
            self._header_lines = encode_headers(exchange.headers)
            self._header_lines_of = exchange.headers
        self._exchange = exchange
        self._bytes_left = MAX_HEAD_BYTES
        self._lines_left = MAX_HEADERS
        self._interim_left = MAX_INTERIM
        self._first_byte_checked = self._final = self._complete = self._cut = False
        self._until_close = self._keep_alive = False
        exchange.written = True
        self._transport.write(b"%b %b HTTP/1.1\r\n%b" % (exchange.method, exchange.target, self._header_lines))

    def abandon(self, exchange: Exchange) -> None:
        """Close the connection if it carries the exchange: the response could be taken for that of the next one."""
        if self._exchange is exchange or self._held is exchange:
            self._exchange = self._held = None
            self._transport.abort()

    def drain(self) -> None:
        """Close. Call only while no exchange is in flight: it carries one at a time."""
        self.close()

    def close(self) -> None:
        """Close; an exchange in flight fails as `reset`."""
        self.room = 0
        if self._exchange is None:
            self._transport.close()
        else:
            self._transport.abort()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take exchanges from now on."""
        self._transport = cast(asyncio.Transport, transport)
        self._tls = transport.get_extra_info("sslcontext") is not None
        self._looked = not self._tls
        sock = transport.get_extra_info("socket")
        if sock is not None:
            poll = select.poll()
            poll.register(sock.fileno(), select.POLLIN)
            self._poll = poll.poll
        self.room = 1

    def data_received(self, data: bytes) -> None:
        """Parse the response. Bytes without a request close the connection."""
        exchange = self._exchange
        if exchange is None:
            self.room = 0
            self._transport.abort()
            return
        exchange.response_started = True
        try:
            if not self._first_byte_checked:
                self._check_first_byte(data)
            budget = self._bytes_left
            if len(data) <= budget:
                self._bytes_left = budget - len(data)
                self._parser.feed_data(data)
            else:
                self._feed_in_parts(data)
        except WireFault as fault:
            self._close_after(exchange, fault)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._close_after(exchange, self._fault or WireFault("malformed", f"the answer is not HTTP: {error}"))
        else:
            if self._complete:
                if self._keep_alive:
                    self._exchange = None
                    self._used = True
                    self.room = 1
                    exchange.done()
                    self._owner.on_available(self)
                else:
                    self._close_after(exchange, None)

    def eof_received(self) -> None:
        """Start nothing more; the loop closes the connection."""
        self.room = 0

    def connection_lost(self, error: Exception | None) -> None:
        """End the exchange in flight: with its response if the close delimits the body, else as `reset`."""
        self.room = 0
        self._poll = None
        exchange, self._exchange = self._exchange, None
        held, self._held = self._held, None
        if held is not None:
            held_fault = WireFault("refused", _UNASKED)
            held_fault.__cause__ = error
            held.fail(held_fault)
        if exchange is not None:
            if self._final and self._until_close and error is None:
                exchange.whole = True
                exchange.done()
            else:
                when = "before the answer was whole" if exchange.response_started else "before an answer came"
                fault = WireFault("reset", f"the connection was closed {when}")
                fault.__cause__ = error
                exchange.fail(fault)
        del self._parser  # breaks a reference cycle: it holds our methods
        self._let_go()
        self._owner.on_closed(self)

    # A new TLS connection may hold session tickets (RFC 8446, 4.6.1), which are no answer, or an answer that nobody
    # asked for: in the socket, or read with the end of the handshake, where no poll sees it. Only the loop's TLS layer
    # can tell: the request waits, and `data_received` sees an answer.

    def _hold(self, exchange: Exchange) -> None:
        self._held, self._looked = exchange, True
        loop = asyncio.get_running_loop()
        # The loop polls its sockets after this turn, and handles what it found in the next one or in that after it.
        loop.call_soon(loop.call_soon, self._go_on)

    def _go_on(self) -> None:
        if self._held is None or self._transport.is_closing():
            return  # `connection_lost` ends it
        exchange, self._held = self._held, None
        self.start(exchange)

    def _check_first_byte(self, data: bytes) -> None:
        # llhttp accepts RTSP and ICE responses as well, and skips empty lines before a response.
        first = data[0] if data[0] == _H else next(iter(data.lstrip(CRLF)), None)
        if first is not None:
            self._first_byte_checked = True
            if first != _H:
                raise WireFault("malformed", "the answer is not HTTP")

    def _feed_in_parts(self, data: bytes) -> None:
        # No byte beyond the limit is parsed, however the bytes were split on their way.
        at = 0
        while at < len(data):
            if self._bytes_left == 0:
                raise WireFault("malformed", f"the answer has more than {MAX_HEAD_BYTES} bytes between head and body")
            part = data[at : at + self._bytes_left]
            at += len(part)
            self._bytes_left -= len(part)
            self._parser.feed_data(part)

    def _close_after(self, exchange: Exchange, fault: WireFault | None) -> None:
        """Abort the connection and end the exchange; a complete or cut response is valid, whatever followed it."""
        self._exchange = None
        self._transport.abort()
        if fault is None or self._complete or self._cut:
            exchange.done()
        else:
            exchange.fail(fault)

    # Called by the parser. An exception stops it, but it raises another one of its own: ours is kept in `_fault`.

    def on_message_begin(self) -> None:
        if self._complete:
            raise self._malformed("something follows the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines_left -= 1
        if self._lines_left < 0:
            raise self._malformed(f"the answer has more than {MAX_HEADERS} header lines")
        if not self._final:  # later ones are trailers
            self._current.response_headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        exchange, parser = self._current, self._parser
        if parser.get_http_version() not in _VERSIONS:
            raise self._malformed("the answer is of another version of HTTP")
        status = parser.get_status_code()
        if status < 200:
            self._interim(status, exchange)
            return
        exchange.status = status
        self._final = True
        self._keep_alive = parser.should_keep_alive()
        self._bytes_left = MAX_HEAD_BYTES
        if status not in _BODILESS:
            codings, has_length = framing(exchange.response_headers)
            if codings not in ([], [b"chunked"]):
                raise self._malformed("the answer has a transfer coding that was not asked for")
            self._until_close = not codings and not has_length

    def on_body(self, data: bytes) -> None:
        exchange = self._current
        self._bytes_left = MAX_HEAD_BYTES
        left = exchange.max_body_bytes - len(exchange.body)
        if len(data) > left:
            exchange.body += data[:left]
            self._cut = True
            raise self._malformed("the body is longer than what is kept of it")
        exchange.body += data

    def on_message_complete(self) -> None:
        if self._final:
            self._complete = self._current.whole = True

    def _interim(self, status: int, exchange: Exchange) -> None:
        self._interim_left -= 1
        if status < 100:
            raise self._malformed("the answer has no status")
        if status == 101:
            raise self._malformed("the answer is an upgrade that was not asked for")
        if self._interim_left < 0:
            raise self._malformed(f"more than {MAX_INTERIM} interim answers")
        if framing(exchange.response_headers) != ([], False):
            raise self._malformed("an interim answer has a body")
        exchange.response_headers.clear()

    def _malformed(self, why: str) -> WireFault:
        self._fault = WireFault("malformed", why)
        return self._fault

    @property
    def _current(self) -> Exchange:
        exchange = self._exchange
        assert exchange is not None  # the parser is fed only while an exchange is in flight
        return exchange

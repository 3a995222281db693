"""HTTP/2 on one connection: many exchanges at a time, each a stream of its own (RFC 9113).

Here is what we say and how many may be under way; `h2_read.py` knows what the peer says. Whatever starts in one turn
of the event loop leaves in one write.
"""

from __future__ import annotations

import asyncio
from typing import cast

from reaper.api.http.exchange import Exchange, Headers, Owner, WireFault
from reaper.api.http.h2 import encode as h2_encode
from reaper.api.http.h2 import frames as h2
from reaper.api.http.h2.control_frames import CLIENT_PREFACE
from reaper.api.http.h2.frames import Code, ConnectionFault
from reaper.api.http.h2.reader import Reader

MAX_STREAMS = 1000
"""At once, whatever the peer allows: as many as may ever be in flight."""
ASSUMED_STREAMS = 100
"""Taken before the peer has told its bound: the least that RFC 9113 recommends it to have. One of them is written,
the others when the bound is known: some peers close a connection that opens more than they allow."""
MAX_REPLIES = 256
"""Frames that a peer that does not read has asked for."""
QUIET_S = 1.0
PROBE_S = 5.0
"""An exchange is given up while the peer has said nothing for QUIET_S: it is asked for a sign, and has this long."""
GOODBYE_S = 1.0
"""How long what was written last may take to leave."""

_HEADERS = h2.HEADERS
_WHOLE = h2.END_STREAM | h2.END_HEADERS
_SHORT = 0x7F
"""Targets below this length have it in one byte."""


class H2Connection(asyncio.Protocol):
    """Carries as many exchanges as the peer allows; `room` tells how many more."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """`owner` hears when there is room again and when the connection is gone. `loop`: else the running one."""
        self.room = 0
        self.streams: dict[int, Exchange] = {}
        self.next_stream = 1
        self._owner = owner
        self._loop = loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._scheme = b"http"
        self._reader = Reader(self)
        self._fresh: list[Exchange] = []  # started and not written yet
        self._ids: dict[Exchange, int] = {}
        self._control: list[bytes] = []
        self._replies = 0
        self._scheduled = False
        self._listen = 0  # turns of the loop to wait before writing
        self._shrunk = False
        self._headers: Headers | None = None
        self._method = b""
        self._heads: h2_encode.Heads
        self._heads_size = 0
        self._peer_limit = ASSUMED_STREAMS
        self._limit = 0  # the peer's, or 0 while nothing may start
        self._told = self._leaving = self._over = self._blocked = False
        self._heard_at = 0.0
        self._probe: asyncio.TimerHandle | None = None
        self._farewell: asyncio.TimerHandle | None = None

    # What the transport asks for.

    def start(self, exchange: Exchange) -> None:
        """Send the request, together with all others of this turn of the loop. Only while there is room."""
        self.room -= 1
        if not self.streams and not self._fresh:
            # After an idle time, what the peer said meanwhile (goodbye, most likely) is read before we write: the
            # loop looks at its sockets after this turn, and deals with what it found in the next or, behind a flush
            # that was due already, in the one after it.
            self._listen = 1 + self._scheduled
        self._fresh.append(exchange)
        self._schedule()

    def abandon(self, exchange: Exchange) -> None:
        """Tell the peer to stop, if the exchange is under way here, and go on with the others."""
        stream = self._ids.pop(exchange, None)
        if stream is not None:
            del self.streams[stream]
            self._reader.cancel(stream, Code.CANCEL)
            if self._loop.time() - self._heard_at >= QUIET_S:
                self._ask_for_a_sign()
        elif exchange in self._fresh:
            self._fresh.remove(exchange)
        else:
            return
        self._vacated()

    def close(self) -> None:
        """Say goodbye and close; exchanges under way fail as reset."""
        self._end(Code.NO_ERROR, WireFault("reset", "the connection was closed"))

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello, and take exchanges from now on."""
        self._transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("sslcontext") is not None:
            self._scheme = b"https"
        self._heard_at = self._loop.time()
        self._transport.write(CLIENT_PREFACE)
        self.room = self._limit = ASSUMED_STREAMS

    def data_received(self, data: bytes) -> None:
        """Read on. What is against the protocol ends the connection; what is under way fails as malformed."""
        if self._over:
            return
        self._heard_at = self._loop.time()
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
            self._settle_limit()
        try:
            self._reader.feed(data)
        except ConnectionFault as fault:
            self._end(fault.code, WireFault("malformed", f"the peer broke HTTP/2: {fault.text}"))

    def eof_received(self) -> None:
        """Take no more; the loop closes the connection."""
        self.leave()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what is under way as reset."""
        self._over = True
        self.room = self._limit = 0
        for timer in (self._probe, self._farewell):
            if timer is not None:
                timer.cancel()
        fault = WireFault("reset", "the connection was closed before the answer was whole")
        fault.__cause__ = error
        self._fail_all(fault)
        self._owner.lost(self)

    def pause_writing(self) -> None:
        """Start nothing while the peer does not read."""
        self._blocked = True
        self._settle_limit()

    def resume_writing(self) -> None:
        """Go on, with what has waited first."""
        self._blocked = False
        if not self._over:
            self._schedule()
            self._settle_limit()

    # What the reader tells.

    def done(self, stream: int, exchange: Exchange) -> None:
        """End an exchange with the answer that it holds."""
        del self.streams[stream]
        del self._ids[exchange]
        exchange.done()
        self._vacated()

    def failed(self, stream: int, exchange: Exchange, fault: WireFault) -> None:
        """End an exchange without an answer."""
        exchange.fail(fault)
        self.done(stream, exchange)

    def reply(self, data: bytes) -> None:
        """Write a frame that the peer made us write. Raises ConnectionFault where it does not read what it asks for."""
        self.tell(data)
        if self._blocked:
            self._replies += 1
            if self._replies > MAX_REPLIES:
                raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "replies are asked for and not read")

    def tell(self, data: bytes) -> None:
        """Write a frame with the others of this turn of the loop."""
        self._control.append(data)
        self._schedule()

    def allow(self, streams: int) -> None:
        """Have at most that many under way from now on. What is not written yet and has no place is refused."""
        self._told = True
        self._peer_limit = min(streams, MAX_STREAMS)
        places = max(0, self._peer_limit - len(self.streams))
        self._fresh, surplus = self._fresh[:places], self._fresh[places:]
        _refuse(surplus, "the peer allows no more at once")
        self._settle_limit()
        self._schedule()

    def shrink_table(self) -> None:
        """Tell the peer with the next request that nothing of its table is used."""
        self._shrunk = True

    def leave(self) -> None:
        """Take no more, refuse what is not written, close when nothing is under way."""
        if self._over:
            return
        if not self._leaving:
            self._leaving = True
            self._settle_limit()
            self._refuse_fresh()
            self._owner.freed(self)
        if not self.streams:
            self.close()

    # Writing.

    def _schedule(self) -> None:
        if not self._scheduled and not self._blocked:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what came together since the last turn."""
        self._scheduled = False
        if self._listen:
            self._listen -= 1
            self._schedule()
            return
        if self._over or self._blocked or self._transport.is_closing():
            return
        out, self._control = self._control, []
        fresh, self._fresh = self._fresh, []
        if not self._told and fresh:
            now = 0 if self.streams else 1
            fresh, self._fresh = fresh[:now], fresh[now:]
        self._replies = 0
        streams, ids, stream, pack = self.streams, self._ids, self.next_stream, h2.HEADER.pack
        for exchange in fresh:
            if exchange.headers is not self._headers or exchange.method != self._method:
                self._prepare(exchange)
            target, heads = exchange.target, self._heads
            length = len(target)
            size = self._heads_size + length
            if length < _SHORT and size <= h2.MAX_FRAME and not self._shrunk:
                header = pack(0, size, _HEADERS, _WHOLE, stream)
                out.append(b"%b%b%c%b%b" % (header, heads.front, length, target, heads.back))
            else:
                out.append(h2_encode.request(heads, target, stream, forget=self._shrunk))
                self._shrunk = False
            streams[stream] = exchange
            ids[exchange] = stream
            exchange.written = True
            stream += 2
        self.next_stream = stream
        if out:
            self._transport.write(b"".join(out))
        if stream > h2.LAST_ID - 2 * MAX_STREAMS:
            self.leave()

    def _prepare(self, exchange: Exchange) -> None:
        """Make what is the same for all requests with these headers."""
        self._headers, self._method = exchange.headers, exchange.method
        self._heads = heads = h2_encode.Heads(exchange.method, self._scheme, exchange.headers)
        self._heads_size = len(heads.front) + 1 + len(heads.back)

    # Room, and the end.

    def _settle_limit(self) -> None:
        """Find anew how many may be under way, and tell the owner where there is room that was not there."""
        stopped = self._leaving or self._over or self._blocked or self._probe is not None
        self._limit = 0 if stopped else self._peer_limit
        before = self.room
        self.room = max(0, self._limit - len(self.streams) - len(self._fresh))
        if self.room and not before:
            self._owner.freed(self)

    def _vacated(self) -> None:
        """One exchange less is under way."""
        room = self._limit - len(self.streams) - len(self._fresh)
        if room > 0:
            before = self.room
            self.room = room
            if not before:
                self._owner.freed(self)
        elif self._leaving and not self.streams:
            self.close()

    def _end(self, code: Code, fault: WireFault) -> None:
        """Say goodbye, fail what is under way, close."""
        if self._over:
            return
        self._over = True
        self.room = self._limit = 0
        if self._blocked:
            self._transport.abort()
        else:
            self._transport.write(b"".join((*self._control, h2.goaway(code))))
            self._transport.close()
            self._farewell = self._loop.call_later(GOODBYE_S, self._transport.abort)
        self._fail_all(fault)
        self._owner.freed(self)

    def _fail_all(self, fault: WireFault) -> None:
        under_way = list(self.streams.values())
        self.streams.clear()
        self._ids.clear()
        self._control.clear()
        for exchange in under_way:
            own = WireFault(fault.kind, fault.text)  # each is raised on its own
            own.__cause__ = fault.__cause__
            exchange.fail(own)
        self._refuse_fresh()

    def _refuse_fresh(self) -> None:
        fresh, self._fresh = self._fresh, []
        _refuse(fresh, "the connection was closed before the request was written")

    def _ask_for_a_sign(self) -> None:
        """Start nothing until the peer says a thing; close if it does not. Its host may be gone without a word."""
        if self._probe is None and not self._over:
            self._probe = self._loop.call_later(PROBE_S, self._no_sign)
            self.tell(h2.frame(h2.PING, 0, 0, b"anybody?"))
            self._settle_limit()
            self._owner.freed(self)

    def _no_sign(self) -> None:
        self._probe = None
        self._over = True
        self._fail_all(WireFault("reset", f"the peer gave no sign of life for {PROBE_S:g} s"))
        self._transport.abort()


def _refuse(unwritten: list[Exchange], why: str) -> None:
    """Fail what the peer cannot have looked at."""
    for exchange in unwritten:
        exchange.fail(WireFault("refused", why))

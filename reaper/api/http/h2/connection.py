"""One HTTP/2 connection (RFC 9113): starts streams within the peer's limit, and ends them.

`encode.py` makes the frames of requests, `reader.py` reads those of the peer. All requests started in one turn of the
event loop leave in one write.
"""

from __future__ import annotations

import asyncio
from typing import cast

from reaper.api.http.exchange import Exchange, Owner, WireFault
from reaper.api.http.h2 import frames as h2
from reaper.api.http.h2.control_frames import CLIENT_PREFACE
from reaper.api.http.h2.encode import RequestEncoder
from reaper.api.http.h2.frames import Code, ConnectionFault
from reaper.api.http.h2.reader import Reader
from reaper.api.http.receiver import Receiver

MAX_STREAMS = 1000
"""Streams open at once, whatever the peer allows: as many as may ever be in flight."""
INITIAL_MAX_STREAMS = 100
"""Streams assumed before the peer's SETTINGS: the least that RFC 9113, 6.5.2, recommends. One of them is written, the
others when the limit is known: some peers close a connection that opens more streams than they allow."""
MAX_REPLIES = 256
"""Replies (acknowledgements, window updates) queued for a peer that requests them and reads nothing."""
SILENCE_S = 1.0
PROBE_TIMEOUT_S = 5.0
"""When an exchange is abandoned and nothing was received for SILENCE_S, a PING is sent and awaited this long."""
CLOSE_TIMEOUT_S = 1.0
"""Time that the last write has to leave before the socket is aborted."""


class H2Connection(Receiver):
    """Carries as many exchanges as the peer allows; `room` is how many more may start now."""

    def __init__(self, owner: Owner, buffer: memoryview, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Report free room and the end to `owner`; read through `buffer`. `loop` None: the running one."""
        super().__init__(buffer)
        self.room = 0
        self.streams: dict[int, Exchange] = {}
        self.next_stream = 1
        self._owner = owner
        self._loop = loop or asyncio.get_running_loop()
        self._encoder = RequestEncoder()
        self._reader = Reader(self)
        self._unwritten: list[Exchange] = []
        self._stream_ids: dict[Exchange, int] = {}
        self._queued_frames: list[bytes] = []
        self._queued_replies = 0
        self._flush_scheduled = False
        self._turns_to_wait = 0
        self._peer_limit = INITIAL_MAX_STREAMS
        self._limit = 0  # the peer's, or 0 while nothing may start
        self._settings_received = self._draining = self._closed = self._writing_paused = False
        self._received_at = 0.0
        self._probe_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    # Called by the pool.

    def start(self, exchange: Exchange) -> None:
        """Write the request with all others of this turn of the event loop. Call only while there is room."""
        self.room -= 1
        if not self.streams and not self._unwritten:
            # After an idle time, frames that have arrived meanwhile (most likely GOAWAY) are read before the write:
            # the loop polls its sockets after this turn, and handles what it found in the next turn or, behind a
            # flush that was due already, in the one after it.
            self._turns_to_wait = 1 + self._flush_scheduled
        self._unwritten.append(exchange)
        self._schedule_flush()

    def abandon(self, exchange: Exchange) -> None:
        """Cancel the stream of an exchange, if it has one here; the others go on."""
        stream = self._stream_ids.pop(exchange, None)
        if stream is not None:
            del self.streams[stream]
            self._reader.cancel(stream, Code.CANCEL)
            if self._loop.time() - self._received_at >= SILENCE_S:
                self._send_probe()
        elif exchange in self._unwritten:
            self._unwritten.remove(exchange)
        else:
            return
        self._stream_removed()

    def close(self) -> None:
        """Send GOAWAY and close; exchanges in flight fail as `reset`."""
        self._close_with(Code.NO_ERROR, WireFault("reset", "the connection was closed"))

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the client preface, and take exchanges from now on."""
        self._transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("sslcontext") is not None:
            self._encoder.scheme = b"https"
        self._received_at = self._loop.time()
        self._transport.write(CLIENT_PREFACE)
        self.room = self._limit = INITIAL_MAX_STREAMS

    def data_received(self, data: bytes) -> None:
        """Read frames. A violation of the protocol closes the connection; exchanges in flight fail as `malformed`."""
        if self._closed:
            return
        self._received_at = self._loop.time()
        if self._probe_timer is not None:
            self._probe_timer.cancel()
            self._probe_timer = None
            self._update_room()
        try:
            self._reader.feed(data)
        except ConnectionFault as fault:
            self._close_with(fault.code, WireFault("malformed", f"the peer broke HTTP/2: {fault.text}"))

    def eof_received(self) -> None:
        """Start nothing more; the loop closes the connection."""
        self.drain()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail exchanges in flight as `reset`."""
        self._closed = True
        self.room = self._limit = 0
        for timer in (self._probe_timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        fault = WireFault("reset", "the connection was closed before the answer was whole")
        fault.__cause__ = error
        self._fail_all(fault)
        self._let_go()
        self._owner.on_closed(self)

    def pause_writing(self) -> None:
        """Start nothing while the peer does not read."""
        self._writing_paused = True
        self._update_room()

    def resume_writing(self) -> None:
        """Write the requests that have waited, then take new ones."""
        self._writing_paused = False
        if not self._closed:
            self._schedule_flush()
            self._update_room()

    # Called by the reader.

    def end_stream(self, stream: int, exchange: Exchange) -> None:
        """End an exchange with the response that it holds."""
        del self.streams[stream]
        del self._stream_ids[exchange]
        exchange.done()
        self._stream_removed()

    def fail_stream(self, stream: int, exchange: Exchange, fault: WireFault) -> None:
        """End an exchange without a response."""
        exchange.fail(fault)
        self.end_stream(stream, exchange)

    def queue_reply(self, data: bytes) -> None:
        """Queue a frame that the peer requested. Raises ConnectionFault when it requests many and reads none."""
        self.queue_frame(data)
        if self._writing_paused:
            self._queued_replies += 1
            if self._queued_replies > MAX_REPLIES:
                raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "replies are requested and not read")

    def queue_frame(self, data: bytes) -> None:
        """Write a frame with the others of this turn of the event loop."""
        self._queued_frames.append(data)
        self._schedule_flush()

    def set_peer_limit(self, streams: int) -> None:
        """Limit the open streams from now on. Unwritten exchanges beyond the limit fail as `refused`."""
        self._settings_received = True
        self._peer_limit = min(streams, MAX_STREAMS)
        places = max(0, self._peer_limit - len(self.streams))
        self._unwritten, surplus = self._unwritten[:places], self._unwritten[places:]
        _refuse(surplus, "the peer allows no more at once")
        self._update_room()
        self._schedule_flush()

    def request_table_update(self) -> None:
        """Open the next request with a dynamic table size update to 0 (RFC 7541, 4.2)."""
        self._encoder.table_update_due = True

    def drain(self) -> None:
        """Start nothing more, fail unwritten exchanges as `refused`, close when no stream is open."""
        if self._closed:
            return
        if not self._draining:
            self._draining = True
            self._update_room()
            self._refuse_unwritten()
            self._owner.on_available(self)
        if not self.streams:
            self.close()

    # Writing.

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled and not self._writing_paused:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._turns_to_wait:
            self._turns_to_wait -= 1
            self._schedule_flush()
            return
        if self._closed or self._writing_paused or self._transport.is_closing():
            return
        out, self._queued_frames = self._queued_frames, []
        fresh, self._unwritten = self._unwritten, []
        if not self._settings_received and fresh:
            now = 0 if self.streams else 1
            fresh, self._unwritten = fresh[:now], fresh[now:]
        self._queued_replies = 0
        if fresh:
            first = self.next_stream
            self.next_stream = self._encoder.encode(fresh, first, out)
            numbers = range(first, self.next_stream, 2)
            self.streams.update(zip(numbers, fresh, strict=True))
            self._stream_ids.update(zip(fresh, numbers, strict=True))
        if out:
            self._transport.write(b"".join(out))
        if self.next_stream > h2.LAST_ID - 2 * MAX_STREAMS:
            self.drain()

    # Room, and the end.

    def _update_room(self) -> None:
        """Compute the room anew, and report room to the owner where there was none."""
        stopped = self._draining or self._closed or self._writing_paused or self._probe_timer is not None
        self._limit = 0 if stopped else self._peer_limit
        before = self.room
        self.room = max(0, self._limit - len(self.streams) - len(self._unwritten))
        if self.room and not before:
            self._owner.on_available(self)

    def _stream_removed(self) -> None:
        room = self._limit - len(self.streams) - len(self._unwritten)
        if room > 0:
            before = self.room
            self.room = room
            if not before:
                self._owner.on_available(self)
        elif self._draining and not self.streams:
            self.close()

    def _close_with(self, code: Code, fault: WireFault) -> None:
        """Send GOAWAY, fail exchanges in flight, close."""
        if self._closed:
            return
        self._closed = True
        self.room = self._limit = 0
        if self._writing_paused:
            self._transport.abort()
        else:
            self._transport.write(b"".join((*self._queued_frames, h2.goaway(code))))
            self._transport.close()
            self._close_timer = self._loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)
        self._fail_all(fault)
        self._owner.on_available(self)

    def _fail_all(self, fault: WireFault) -> None:
        in_flight = list(self.streams.values())
        self.streams.clear()
        self._stream_ids.clear()
        self._queued_frames.clear()
        for exchange in in_flight:
            own = WireFault(fault.kind, fault.text)  # each is raised on its own
            own.__cause__ = fault.__cause__
            exchange.fail(own)
        self._refuse_unwritten()

    def _refuse_unwritten(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        _refuse(unwritten, "the connection was closed before the request was written")

    def _send_probe(self) -> None:
        """Start nothing until the peer sends anything; abort if it does not. Its host may be gone without a FIN."""
        if self._probe_timer is None and not self._closed:
            self._probe_timer = self._loop.call_later(PROBE_TIMEOUT_S, self._probe_timed_out)
            self.queue_frame(h2.frame(h2.PING, 0, 0, b"anybody?"))
            self._update_room()
            self._owner.on_available(self)

    def _probe_timed_out(self) -> None:
        self._probe_timer = None
        self._closed = True
        self._fail_all(WireFault("reset", f"the peer gave no sign of life for {PROBE_TIMEOUT_S:g} s"))
        self._transport.abort()


def _refuse(unwritten: list[Exchange], why: str) -> None:
    for exchange in unwritten:
        exchange.fail(WireFault("refused", why))

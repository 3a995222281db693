"""Assigns exchanges to the connections of one host, at a cost that does not grow with their number.

Connections with room are on a stack: the one used last is used next, and the others age until they are closed. An
exchange that finds no room waits, first in first out, while a connection is opened on its behalf. One timer, set to the
earliest deadline, serves all exchanges and idle connections. `openings.py` opens connections, `renewal.py` renews them.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from contextlib import suppress

from reaper.api.http.connect import Connector
from reaper.api.http.exchange import Connection, Exchange, WireFault
from reaper.api.http.openings import Openings
from reaper.api.http.pooled_connection import PooledConnection
from reaper.api.http.renewal import Renewal
from reaper.api.httpx_without_cli import httpx
from reaper.core.model import Withheld

_MAX_RESENDS = 3
"""Times that a refused exchange is sent again while no other one is answered."""
_MAX_REFUSALS = 64
"""Times that it is sent again at all: some peers serve only the first requests of each connection."""
_MAX_FAILED_IN_A_ROW = 3
"""Connections in a row that ended without a response; then the waiting exchanges fail."""
_TICK_S = 0.005
"""Deadlines closer together than this are served by one timer, the earlier ones late by that much."""
_EARLY_S = 0.001
"""Timers may fire early by the resolution of the loop's clock (uvloop: a millisecond)."""
_CLOSED = "the transport is closed"


class Pool:
    """Sends exchanges. Belongs to the event loop that it is first used on."""

    def __init__(
        self,
        connector: Connector,
        *,
        max_connections: int,
        keep_idle_s: float,
        stale_after_s: float = 0.0,
        max_age_s: float = math.inf,
    ) -> None:
        """Open nothing yet. `max_connections`: at least 1. A connection idle for `keep_idle_s` is closed.

        One idle for `stale_after_s` may have been closed by the peer: an exchange that fails so on it is sent again.
        One older than `max_age_s` is renewed.
        """
        self._keep_idle_s = keep_idle_s
        self._stale_after_s = stale_after_s
        self._connections: dict[Connection, PooledConnection] = {}
        self._ready: dict[Connection, PooledConnection] = {}  # a stack; those without room are skipped
        self._waiting: OrderedDict[Exchange, None] = OrderedDict()
        self._in_flight: dict[Exchange, PooledConnection] = {}
        self._openings = Openings(connector, self, self._connections, self._waiting, max_connections, max_age_s)
        self._renewal = Renewal(connector, self._connections, self._openings.replace)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._closed = False
        self._failed_in_a_row = 0
        self._answers = 0
        self._all_closed: asyncio.Event | None = None

    async def send(self, exchange: Exchange) -> None:
        """Send an exchange and wait for its response. Cancelling abandons it.

        Raises the exchange's error: a WireFault once it has a connection, else an httpx.TransportError; or Withheld.
        """
        if self._closed:
            raise RuntimeError(_CLOSED)
        if (loop := self._loop) is None:
            loop = self._loop = asyncio.get_running_loop()
        exchange.completion = loop.create_future()
        exchange.deadline = loop.time() + exchange.timeout_s
        if exchange.deadline < self._timer_at:
            self._set_timer(exchange.deadline)
        self._assign(exchange)
        refused, refusals, answers, fresh = 0, 0, -1, False
        while True:
            try:
                assert exchange.completion is not None
                await exchange.completion
            except BaseException:
                self._abandon(exchange)
                raise
            pooled = self._in_flight.pop(exchange, None)
            error = exchange.error
            if pooled is None:
                assert error is not None
                raise error
            pooled.in_flight -= 1
            if not pooled.in_flight:
                pooled.idle_since = loop.time()
            if not fresh and self._stale(pooled, exchange):
                fresh = True
                exchange.again += 1
                exchange.begin(loop.create_future())
                if self._openings.has_place():
                    self._wait(exchange, first=True)
                else:
                    self._assign(exchange)
            elif error is None:
                pooled.answered, self._failed_in_a_row = True, 0
                self._answers += 1
                exchange.version = pooled.version
                return
            elif _is_refused(error) and refused < _MAX_RESENDS and refusals < _MAX_REFUSALS:
                # An unwritten request that a connection in use refused costs the peer nothing, and does not count.
                if exchange.written or not pooled.answered:
                    refusals += 1
                    refused = refused + 1 if answers == self._answers else 1
                    answers = self._answers
                exchange.begin(loop.create_future())
                self._assign(exchange)
            else:
                raise error

    async def aclose(self) -> None:
        """Fail every exchange and close every connection; waits at most 2 s for peers that delay the close."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for exchange in (*self._waiting, *self._in_flight):
            exchange.fail(httpx.ReadError(_CLOSED))
        self._waiting.clear()
        await self._openings.aclose()
        await self._renewal.aclose()
        self._all_closed = asyncio.Event()
        for connection in list(self._connections):
            connection.close()
        if self._connections:
            with suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self._all_closed.wait()
        await asyncio.sleep(0)  # a cancelled handshake closes its socket in the next turn of the loop

    # Called by connections.

    def on_available(self, connection: Connection) -> None:
        """Start the exchanges that wait longest; put the connection on the stack if it still has room."""
        pooled = self._connections.get(connection)
        if pooled is None:
            return
        assert self._loop is not None
        pooled.idle_since = now = self._loop.time()
        if now >= pooled.expires_at and pooled.close_when_free():
            return
        pooled.was_idle = False  # it was busy just now, even if its last caller has not taken the response yet
        while self._waiting and connection.room:
            exchange, _ = self._waiting.popitem(last=False)
            self._start(exchange, pooled)
        if connection.room:
            self._ready[connection] = pooled
        else:
            self._ready.pop(connection, None)

    def on_closed(self, connection: Connection) -> None:
        """Remove the connection, and open another if exchanges wait for its place."""
        pooled = self._connections.pop(connection, None)
        self._ready.pop(connection, None)
        self._failed_in_a_row += pooled is not None and not pooled.answered and not pooled.closed_here
        if self._failed_in_a_row >= _MAX_FAILED_IN_A_ROW:
            # A peer that closes each connection before a response is not tried again for the same exchanges.
            self._failed_in_a_row = 0
            for exchange in list(self._waiting):
                del self._waiting[exchange]
                exchange.fail(httpx.ConnectError("the peer ended several connections before it answered anything"))
        if self._all_closed is not None and not self._connections:
            self._all_closed.set()
        if not self._closed:
            self._openings.grow()

    # Assignment.

    def _assign(self, exchange: Exchange) -> None:
        ready = self._ready
        while ready:
            connection, pooled = ready.popitem()
            if connection.room:
                self._start(exchange, pooled)
                if connection.room:
                    ready[connection] = pooled
                return
        self._wait(exchange, first=False)

    def _start(self, exchange: Exchange, pooled: PooledConnection) -> None:
        """Hand the request to a connection, unless it may not start: a pause may have begun meanwhile."""
        if not (exchange.written or exchange.may_start is None or exchange.may_start()):
            exchange.fail(Withheld())
            return
        assert self._loop is not None
        if not pooled.in_flight:
            pooled.was_idle = self._loop.time() - pooled.idle_since >= self._stale_after_s
        self._in_flight[exchange] = pooled
        pooled.in_flight += 1
        pooled.connection.start(exchange)

    def _wait(self, exchange: Exchange, *, first: bool) -> None:
        if self._closed:
            exchange.fail(httpx.ReadError(_CLOSED))
            return
        self._waiting[exchange] = None
        if first:
            self._waiting.move_to_end(exchange, last=False)
        self._openings.grow(exchange)

    def _stale(self, pooled: PooledConnection, exchange: Exchange) -> bool:
        """Return whether the peer most likely closed it while it was idle. DELETE and GET may be sent twice.

        It may have said so with a 408 (RFC 9110, 15.5.9), which crossed the request on its way. A connection that was
        busy just now did not go stale: its reset is the response to this request, and counts.
        """
        if not pooled.answered or not pooled.was_idle:
            return False
        if isinstance(error := exchange.error, WireFault):
            ended = pooled.connection not in self._connections
            return ended and error.kind == "reset" and not exchange.response_started
        return exchange.status == 408 and not pooled.is_multiplexed

    def _abandon(self, exchange: Exchange) -> None:
        pooled = self._in_flight.pop(exchange, None)
        if pooled is not None:
            pooled.in_flight -= 1
            pooled.abandon(exchange)
        else:
            self._waiting.pop(exchange, None)

    def _set_timer(self, at: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._sweep)

    def _sweep(self) -> None:
        """Fail overdue exchanges, close idle connections, and set the timer for the next."""
        assert self._loop is not None
        now = self._loop.time()
        soon = now + _EARLY_S
        next_at = math.inf
        for exchange, pooled in list(self._in_flight.items()):
            if exchange.deadline > soon:
                next_at = min(next_at, exchange.deadline)
            elif not exchange.finished:
                exchange.fail(WireFault("timeout", "no whole answer before the deadline"))
                pooled.abandon(exchange)
        for exchange in list(self._waiting):
            if exchange.deadline > soon:
                next_at = min(next_at, exchange.deadline)
            else:
                del self._waiting[exchange]
                timeout = httpx.PoolTimeout if self._openings.is_full else httpx.ConnectTimeout
                exchange.fail(timeout("no connection before the deadline"))
        for connection, pooled in list(self._ready.items()):
            if pooled.in_flight:
                continue
            idle_until = pooled.idle_since + self._keep_idle_s
            if not pooled.is_multiplexed:  # else it is replaced first
                idle_until = min(idle_until, pooled.expires_at)
            if idle_until > soon:
                next_at = min(next_at, idle_until)
            else:
                del self._ready[connection]
                pooled.closed_here, pooled.expires_at = True, math.inf
                connection.close()
        if self._connections or self._openings.count:
            next_at = min(next_at, now + self._keep_idle_s, self._renewal.renew(now))
        self._timer = None
        self._timer_at = math.inf
        if next_at < math.inf:
            self._set_timer(max(next_at, now + _TICK_S))


def _is_refused(error: Exception) -> bool:
    return isinstance(error, WireFault) and error.kind == "refused"

"""Owns the connections to one host: who carries which exchange, at a cost that does not grow with their number.

Connections with room lie on a stack, so the one used last is used next and the rest grow old together. An exchange
that finds none waits in the order of arrival while one is opened on its behalf. One timer, set to the earliest
deadline, watches over all exchanges and idle connections; none is made per request.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict

import httpx

from reaper.api.http.connect import Connector
from reaper.api.http.exchange import Connection, Exchange, WireFault

_AGAIN = 3
"""How often an exchange that a peer refused is sent again at most."""
_MAX_FAILED_IN_A_ROW = 3
"""Connections in a row that ended without an answer, after which those who wait are told."""
MAX_OPENING = 48
"""Connections that are being opened at most: a handshake takes memory and CPU that an open connection does not."""
_TICK_S = 0.005
"""Deadlines closer together than this are kept by one look, the earlier ones late by that much."""
_EARLY_S = 0.001
"""The loop's timers may fire early by the resolution of its clock (uvloop: a millisecond)."""
_CLOSED = "the transport is closed"


class _PooledConnection:
    """A connection and what is known of it."""

    __slots__ = ("busy", "connection", "dropped", "proven", "rested", "since", "version")

    def __init__(self, connection: Connection, version: bytes) -> None:
        self.connection = connection
        self.version = version
        self.busy = 0
        """Exchanges given to it whose callers have not taken the answer yet."""
        self.proven = False
        """It carried an answer: when it ends before another one, it may have gone stale."""
        self.dropped = False
        """We gave up what it carried, or closed it: that it ends tells nothing of the peer."""
        self.rested = False
        """It was idle for a while before the exchange that it carries."""
        self.since = 0.0
        """When there was room again."""


class Pool:
    """Sends exchanges. Belongs to the event loop that it is first used on."""

    def __init__(self, opener: Connector, *, most: int, keep_idle_s: float, stale_after_s: float = 0.0) -> None:
        """`most` connections at once, at least 1; one that was idle for `keep_idle_s` is closed.

        One that was idle for `stale_after_s` may have been closed by the peer: then its exchange is sent again.
        """
        self._opener = opener
        self._most = most
        self._keep_idle_s = keep_idle_s
        self._stale_after_s = stale_after_s
        self._lines: dict[Connection, _PooledConnection] = {}
        self._ready: dict[Connection, _PooledConnection] = {}  # a stack; may hold lines without room, which are skipped
        self._waiting: OrderedDict[Exchange, None] = OrderedDict()
        self._flying: dict[Exchange, _PooledConnection] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._sponsors: set[Exchange] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf
        self._closed = False
        self._barren = 0
        self._empty: asyncio.Event | None = None

    async def send(self, exchange: Exchange) -> None:
        """Send it and wait for its answer. Cancelling abandons it.

        Raises the exchange's error: a WireFault once it has a connection, else an httpx.TransportError.
        """
        if self._closed:
            raise RuntimeError(_CLOSED)
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        exchange.over = loop.create_future()
        if exchange.deadline < self._alarm_at:
            self._arm(exchange.deadline)
        self._assign(exchange)
        refused, fresh = 0, False
        while True:
            try:
                assert exchange.over is not None
                await exchange.over
            except BaseException:
                self._abandon(exchange)
                raise
            line = self._flying.pop(exchange, None)
            error = exchange.error
            if line is not None:
                line.busy -= 1
                if not line.busy:
                    line.since = loop.time()
                if error is None:
                    line.proven, self._barren = True, 0
                    exchange.version = line.version
                    return
            assert error is not None
            if line is None or not isinstance(error, WireFault):
                raise error
            if error.kind == "refused" and refused < _AGAIN:
                # What was not written costs the peer nothing: only what was counts.
                refused += exchange.written
                exchange.begin(loop.create_future())
                self._assign(exchange)
            elif error.kind == "reset" and not fresh and not exchange.progressed and self._stale(line):
                fresh = True
                exchange.again += 1
                exchange.begin(loop.create_future())
                if self._has_place():
                    self._wait(exchange, first=True)
                else:
                    self._assign(exchange)
            else:
                raise error

    async def aclose(self) -> None:
        """Fail what is under way and close every connection; after that none is open, or the peer holds it up."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        for exchange in (*self._waiting, *self._flying):
            exchange.fail(httpx.ReadError(_CLOSED))
        self._waiting.clear()
        attempts = list(self._attempts)
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
        self._empty = asyncio.Event()
        for connection in list(self._lines):
            connection.close()
        if self._lines:
            try:
                async with asyncio.timeout(2.0):
                    await self._empty.wait()
            except TimeoutError:
                pass
        await asyncio.sleep(0)  # a handshake that was cancelled closes its socket in the next turn of the loop

    # What connections tell.

    def freed(self, connection: Connection) -> None:
        """Give its room to those who wait longest, or put it on the stack."""
        line = self._lines.get(connection)
        if line is None:
            return
        assert self._loop is not None
        line.since = self._loop.time()
        line.rested = False  # it was busy a moment ago, even if its last caller has not taken its answer yet
        while self._waiting and connection.room:
            exchange, _ = self._waiting.popitem(last=False)
            self._give(exchange, line)
        if connection.room:
            self._ready[connection] = line
        else:
            self._ready.pop(connection, None)

    def lost(self, connection: Connection) -> None:
        """Forget it, and open another where someone waits for its place."""
        line = self._lines.pop(connection, None)
        self._ready.pop(connection, None)
        self._barren += line is not None and not line.proven and not line.dropped
        if self._barren >= _MAX_FAILED_IN_A_ROW:
            # A peer that ends each connection before an answer is not asked again on behalf of the same exchanges.
            self._barren = 0
            for exchange in list(self._waiting):
                del self._waiting[exchange]
                exchange.fail(httpx.ConnectError("the peer ended several connections before it answered anything"))
        if self._empty is not None and not self._lines:
            self._empty.set()
        self._grow()

    # Who gets what.

    def _assign(self, exchange: Exchange) -> None:
        ready = self._ready
        while ready:
            connection, line = ready.popitem()
            if connection.room:
                self._give(exchange, line)
                if connection.room:
                    ready[connection] = line
                return
        self._wait(exchange, first=False)

    def _give(self, exchange: Exchange, line: _PooledConnection) -> None:
        assert self._loop is not None
        if not line.busy:
            line.rested = self._loop.time() - line.since >= self._stale_after_s
        self._flying[exchange] = line
        line.busy += 1
        line.connection.start(exchange)

    def _wait(self, exchange: Exchange, *, first: bool) -> None:
        if self._closed:
            exchange.fail(httpx.ReadError(_CLOSED))
            return
        self._waiting[exchange] = None
        if first:
            self._waiting.move_to_end(exchange, last=False)
        self._grow(exchange)

    def _stale(self, line: _PooledConnection) -> bool:
        """Tell whether its peer closed it while it was idle, most likely. DELETE and GET may be sent twice.

        One that was busy a moment ago did not go stale: a reset there is the answer to this request, and counts.
        """
        return line.proven and line.rested and line.connection not in self._lines

    def _abandon(self, exchange: Exchange) -> None:
        line = self._flying.pop(exchange, None)
        if line is not None:
            line.busy -= 1
            self._drop(exchange, line)
        else:
            self._waiting.pop(exchange, None)

    @staticmethod
    def _drop(exchange: Exchange, line: _PooledConnection) -> None:
        line.dropped = True
        line.connection.abandon(exchange)

    # Opening and closing.

    def _grow(self, sponsor: Exchange | None = None) -> None:
        """Open as many connections as those who wait need, within the bounds.

        Each attempt has a sponsor of its own, who fails with it if still waiting. Where one connection may carry all
        who wait, one is opened at a time, and all who wait fail with it.
        """
        while not self._closed:
            wanted = len(self._waiting) if self._opener.many is False else min(len(self._waiting), 1)
            if len(self._attempts) >= min(wanted, MAX_OPENING):
                return
            if not self._has_place():
                return
            if sponsor is None or sponsor not in self._waiting or sponsor in self._sponsors:
                sponsor = next(one for one in self._waiting if one not in self._sponsors)
            self._sponsors.add(sponsor)
            self._attempts.add(asyncio.ensure_future(self._open(sponsor)))
            sponsor = None

    def _has_place(self) -> bool:
        return len(self._lines) + len(self._attempts) < self._most

    async def _open(self, sponsor: Exchange) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            connection = await self._opener.open(self, self._made)
            if connection in self._lines:
                self.freed(connection)
            else:
                self._fail_waiting(sponsor, httpx.ConnectError("the connection was closed as soon as it was open"))
        except Exception as error:  # noqa: BLE001  # the top of a task; whoever waits for it hears of it
            self._fail_waiting(sponsor, error)
        finally:
            self._attempts.discard(task)
            self._sponsors.discard(sponsor)
            self._grow()

    def _made(self, connection: Connection, version: bytes) -> None:
        self._lines[connection] = _PooledConnection(connection, version)

    def _fail_waiting(self, sponsor: Exchange, error: Exception) -> None:
        for exchange in list(self._waiting):
            # Where nothing is open, who has no attempt of their own had no better chance.
            alone = self._opener.many is False and (self._lines or exchange in self._sponsors)
            if exchange is sponsor or not alone:
                del self._waiting[exchange]
                exchange.fail(error)

    # The one timer.

    def _arm(self, at: float) -> None:
        assert self._loop is not None
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_at(at, self._sweep)

    def _sweep(self) -> None:
        """End what is past its deadline and close what was idle too long; come again for the next."""
        assert self._loop is not None
        now = self._loop.time()
        soon = now + _EARLY_S
        coming = math.inf
        for exchange, line in list(self._flying.items()):
            if exchange.deadline > soon:
                coming = min(coming, exchange.deadline)
            elif not exchange.finished:
                exchange.fail(WireFault("timeout", "no whole answer before the deadline"))
                self._drop(exchange, line)
        for exchange in list(self._waiting):
            if exchange.deadline > soon:
                coming = min(coming, exchange.deadline)
            else:
                del self._waiting[exchange]
                busy = not self._attempts and len(self._lines) >= self._most
                late = httpx.PoolTimeout if busy else httpx.ConnectTimeout
                exchange.fail(late("no connection before the deadline"))
        for connection, line in list(self._ready.items()):
            if line.busy:
                continue
            if line.since + self._keep_idle_s > soon:
                coming = min(coming, line.since + self._keep_idle_s)
            else:
                del self._ready[connection]
                line.dropped = True
                connection.close()
        if self._lines or self._attempts:
            coming = min(coming, now + self._keep_idle_s)
        self._alarm = None
        self._alarm_at = math.inf
        if coming < math.inf:
            self._arm(max(coming, now + _TICK_S))

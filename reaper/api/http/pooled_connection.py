"""A connection of the pool, with what the pool must know to reuse it."""

from __future__ import annotations

from reaper.api.http.exchange import Connection, Exchange


class PooledConnection:
    """A connection and its use so far."""

    __slots__ = ("answered", "closed_here", "connection", "idle_since", "in_flight", "version", "was_idle")

    def __init__(self, connection: Connection, version: bytes) -> None:
        self.connection = connection
        self.version = version
        """The protocol's name, as in `HTTP/1.1`."""
        self.in_flight = 0
        """Exchanges started on it whose callers have not taken the response yet."""
        self.answered = False
        """It carried a response: a later reset before another response may mean that it went stale."""
        self.closed_here = False
        """An exchange on it was abandoned, or it was closed here: its end is no failure of the peer."""
        self.was_idle = False
        """It was idle for the pool's `stale_after_s` before the exchange that it carries."""
        self.idle_since = 0.0
        """When it last had room, on the loop's clock."""

    def abandon(self, exchange: Exchange) -> None:
        """Abandon an exchange, which may close the connection."""
        self.closed_here = True
        self.connection.abandon(exchange)

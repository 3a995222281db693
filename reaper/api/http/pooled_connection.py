"""A connection of the pool, with what the pool must know to reuse it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reaper.api.http.exchange import Connection, Exchange


@dataclass(slots=True, eq=False)
class PooledConnection:
    """A connection and its use so far. `version`: the protocol's name, as in `HTTP/1.1`."""

    connection: Connection
    version: bytes
    address: str | None = None
    """The address that it goes to."""
    expires_at: float = math.inf
    """Instant at which it is to be renewed, on the loop's clock."""
    in_flight: int = 0
    """Exchanges started on it whose callers have not taken the response yet."""
    answered: bool = False
    """It carried a response: a later reset before another response may mean that it went stale."""
    closed_here: bool = False
    """An exchange on it was abandoned, or it was closed here: its end is no failure of the peer."""
    was_idle: bool = False
    """It was idle for the pool's `stale_after_s` before the exchange that it carries."""
    idle_since: float = 0.0
    """Instant at which it last had room, on the loop's clock."""

    @property
    def is_multiplexed(self) -> bool:
        """Whether it carries many exchanges at a time."""
        return self.version == b"HTTP/2"

    def close_when_free(self) -> bool:
        """Close it if it carries one exchange at a time and is free now; return whether it did."""
        if self.is_multiplexed or not self.connection.room:
            return False
        self.closed_here = True
        self.connection.drain()
        return True

    def abandon(self, exchange: Exchange) -> None:
        """Abandon an exchange, which may close the connection."""
        self.closed_here = True
        self.connection.abandon(exchange)

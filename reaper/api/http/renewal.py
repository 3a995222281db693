"""Renews connections that are old, and those to an address that the host's name no longer has (it moved)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from reaper.api.http.connect import Connector
from reaper.api.http.exchange import Connection
from reaper.api.http.pooled_connection import PooledConnection

LOOKUP_S = 30.0
"""Time between two lookups of the host's name while connections are open."""
LOOKUP_TIMEOUT_S = 10.0
RETRY_S = 5.0
"""Wait before a connection is replaced again after its replacement could not be opened: the old one still works."""


class Renewal:
    """A connection of one exchange at a time is closed when it is free; one of many is replaced before it ends."""

    def __init__(
        self,
        connector: Connector,
        connections: dict[Connection, PooledConnection],
        replace: Callable[[PooledConnection], Awaitable[bool]],
    ) -> None:
        """Begin nothing yet. `connections` are those of the pool."""
        self._connector = connector
        self._connections = connections
        self._replace = replace
        self._lookup_at: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def renew(self, now: float) -> float:
        """Begin what is due now. Return the instant for the next call, on the loop's clock; infinity: none."""
        next_at = math.inf
        for pooled in self._connections.values():
            if pooled.is_multiplexed:
                if pooled.expires_at <= now:
                    pooled.expires_at = math.inf
                    self._start(self._renew(pooled))
                else:
                    next_at = min(next_at, pooled.expires_at)
        if not self._connections:
            return next_at
        if self._lookup_at is None:
            self._lookup_at = now + LOOKUP_S
        elif self._lookup_at <= now:
            self._lookup_at = now + LOOKUP_S
            self._start(self._look_up())
        return min(next_at, self._lookup_at)

    async def aclose(self) -> None:
        """Cancel what was begun."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self, pooled: PooledConnection) -> None:
        if not await self._replace(pooled):
            pooled.expires_at = asyncio.get_running_loop().time() + RETRY_S

    async def _look_up(self) -> None:
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                addresses = await self._connector.addresses()
        except (OSError, UnicodeError):  # TimeoutError too. Nobody knows better: the connections work
            return
        now = asyncio.get_running_loop().time()
        for pooled in list(self._connections.values()):
            if pooled.address is not None and pooled.address not in addresses:
                pooled.expires_at = min(pooled.expires_at, now)

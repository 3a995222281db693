"""Opens the connections of a pool: as many as its waiting exchanges need, within the limits."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict

from reaper.api.http.connect import Connector
from reaper.api.http.exchange import Connection, Exchange, Owner
from reaper.api.http.pooled_connection import PooledConnection
from reaper.api.httpx_without_cli import httpx

MAX_OPENING = 48
"""Connections being opened at once: a handshake takes memory and CPU that an open connection does not."""
AGE_SPREAD = 0.2
"""Share of the maximum age by which connections expire early, at random: those opened together are not renewed so."""


class Openings:
    """Each opening has a requester, an exchange that fails with it if it still waits.

    If one connection may carry all waiting exchanges, one is opened at a time, and all of them fail with it.
    """

    def __init__(
        self,
        connector: Connector,
        owner: Owner,
        connections: dict[Connection, PooledConnection],
        waiting: OrderedDict[Exchange, None],
        max_connections: int,
        max_age_s: float,
    ) -> None:
        """Open nothing yet. `connections` and `waiting` are those of the pool, `owner`."""
        self._connector = connector
        self._owner = owner
        self._connections = connections
        self._waiting = waiting
        self._max_connections = max_connections
        self._max_age_s = max_age_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._requesters: set[Exchange] = set()
        self._closed = False

    @property
    def count(self) -> int:
        """Connections being opened now."""
        return len(self._tasks)

    @property
    def is_full(self) -> bool:
        """Whether exchanges wait because of `max_connections` alone."""
        return not self._tasks and len(self._connections) >= self._max_connections

    def has_place(self) -> bool:
        """Return whether another connection may be opened."""
        return len(self._connections) + len(self._tasks) < self._max_connections

    def grow(self, requester: Exchange | None = None) -> None:
        """Open the connections that the waiting exchanges need."""
        while not self._closed:
            wanted = len(self._waiting) if self._connector.multiplexed is False else min(len(self._waiting), 1)
            if len(self._tasks) >= min(wanted, MAX_OPENING) or not self.has_place():
                return
            if requester is None or requester not in self._waiting or requester in self._requesters:
                requester = next(one for one in self._waiting if one not in self._requesters)
            self._requesters.add(requester)
            self._tasks.add(asyncio.ensure_future(self._open(requester)))
            requester = None

    async def replace(self, old: PooledConnection) -> bool:
        """Open a connection; only then end the old one, which carries many exchanges. Return whether that was done."""
        try:
            new = await self._connector.open(self._owner, self._add)
        except (httpx.TransportError, OSError):
            return False
        old.closed_here = True
        old.connection.drain()
        self._owner.on_available(new)
        return True

    async def aclose(self) -> None:
        """Cancel all openings, and begin no other."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, requester: Exchange) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            connection = await self._connector.open(self._owner, self._add)
            if connection in self._connections:
                self._owner.on_available(connection)
            else:
                self._fail_waiting(requester, httpx.ConnectError("the connection was closed as soon as it was open"))
        except Exception as error:  # noqa: BLE001  # the top of a task; the waiting exchanges raise it
            self._fail_waiting(requester, error)
        finally:
            self._tasks.discard(task)
            self._requesters.discard(requester)
            self.grow()

    def _add(self, connection: Connection, version: bytes, address: str | None = None) -> None:
        age_s = self._max_age_s * (1 - AGE_SPREAD * random.random())  # no secret
        expires_at = asyncio.get_running_loop().time() + age_s
        self._connections[connection] = PooledConnection(connection, version, address, expires_at)

    def _fail_waiting(self, requester: Exchange, error: Exception) -> None:
        for exchange in list(self._waiting):
            # While nothing is open, an exchange without an opening of its own had no better chance.
            independent = self._connector.multiplexed is False and (self._connections or exchange in self._requesters)
            if exchange is requester or not independent:
                del self._waiting[exchange]
                exchange.fail(error)

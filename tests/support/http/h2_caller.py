"""Replaces the pool around HTTP/2 connections: opens one, and the next when the peer closes it."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import trustme

from reaper.api.http.exchange import Connection, Exchange, WireFault
from reaper.api.http.h2.connection import H2Connection
from reaper.api.http.receiver import new_buffer

SECRET = "archal_ws_secret"


class Certified(NamedTuple):
    """One certificate for 127.0.0.1, for the server as a context or as files, and a client that trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    leaf: trustme.LeafCert

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Write the certificate and its key; return where."""
        chain, key = folder / "chain.pem", folder / "key.pem"
        chain.write_bytes(b"".join(part.bytes() for part in self.leaf.cert_chain_pems))
        key.write_bytes(self.leaf.private_key_pem.bytes())
        return chain, key


@cache
def certified() -> Certified:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.configure_cert(server)
    authority.configure_trust(client)
    server.set_alpn_protocols(["h2"])
    client.set_alpn_protocols(["h2"])
    return Certified(server, client, leaf)


class Caller:
    """Sends exchanges over one connection at a time. Sends again what was refused, and counts it."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.port, self.tls, self._buffer = port, tls, new_buffer()
        self.connection: H2Connection | None = None
        self.connections = 0
        self.refused = 0
        self._waiting: deque[Exchange] = deque()
        self._under_way: dict[Exchange, Connection] = {}
        self._opening: asyncio.Future[None] | None = None
        self._open: set[Connection] = set()
        self._draining: set[Connection] = set()
        self._all_lost = asyncio.Event()

    def on_available(self, connection: Connection) -> None:
        """Note whether the connection takes no more, and go on."""
        if connection.room:
            self._draining.discard(connection)
        else:
            self._draining.add(connection)
        self._fill(connection)

    def _fill(self, connection: Connection) -> None:
        """Start as many as there is room for; open another connection when this one takes no more."""
        while connection.room and self._waiting:
            exchange = self._waiting.popleft()
            self._under_way[exchange] = connection
            connection.start(exchange)
        if self._waiting and connection is self.connection and not self.usable:
            self._grow()

    def on_closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._open:
            self._all_lost.set()
        self.on_available(connection)

    @property
    def usable(self) -> bool:
        return self.connection is not None and self.connection not in self._draining

    def _grow(self) -> None:
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: H2Connection(self, self._buffer), "127.0.0.1", self.port, ssl=self.tls
        )
        self.connection = connection
        self.connections += 1
        self._open.add(connection)
        self._all_lost.clear()
        self._fill(connection)

    def _start(self, exchange: Exchange) -> None:
        self._waiting.append(exchange)
        if self.usable:
            assert self.connection is not None
            self._fill(self.connection)
        else:
            self._grow()

    async def send(
        self,
        target: str = "/api/sessions/env_1",
        method: str = "DELETE",
        *,
        max_body_bytes: int = 65536,
        within_s: float = 20.0,
    ) -> Exchange:
        """Send one; on a timeout it is abandoned. Raises its WireFault, or TimeoutError."""
        loop = asyncio.get_running_loop()
        headers = self._headers()
        exchange = Exchange(method.encode(), target.encode(), headers, max_body_bytes=max_body_bytes, timeout_s=0.0)
        while True:
            over = loop.create_future()
            exchange.begin(over)
            self._start(exchange)
            try:
                async with asyncio.timeout(within_s):
                    await over
            except BaseException:
                if exchange in self._under_way:
                    self._under_way.pop(exchange).abandon(exchange)
                else:
                    self._waiting.remove(exchange)
                raise
            del self._under_way[exchange]
            if exchange.error is None:
                return exchange
            assert isinstance(exchange.error, WireFault)
            assert SECRET not in f"{exchange.error!r} {exchange!r}"
            if exchange.error.kind != "refused":
                raise exchange.error
            self.refused += 1

    async def close(self) -> None:
        """Close what is open, and see that it is gone."""
        self._waiting.clear()
        if self._opening is not None:
            await self._opening
        for connection in list(self._open):
            connection.close()
        if self._open:
            async with asyncio.timeout(10):
                await self._all_lost.wait()

    @cache  # noqa: B019  # the same tuple each time, as the product does it
    def _headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return (
            (b"host", f"127.0.0.1:{self.port}".encode()),
            (b"user-agent", b"archal-reaper/test"),
            (b"accept", b"application/json"),
            (b"authorization", f"Bearer {SECRET}".encode()),
        )


@asynccontextmanager
async def calling(port: int, *, tls: bool = True) -> AsyncIterator[Caller]:
    caller = Caller(port, certified().client if tls else None)
    try:
        yield caller
    finally:
        await caller.close()

"""Opens one connection: name, TCP, TLS, and which HTTP the peer speaks; all within one deadline.

The addresses of a name race here and not in `create_connection`: uvloop's does not let them, and asyncio's loses the
socket that it has just connected when it is cancelled in the few turns of the loop that its race takes to end
(Python 3.11).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from itertools import chain, zip_longest
from typing import Any, Literal, cast

import httpx

from reaper.api.http.exchange import Connection, Owner
from reaper.api.http.http11 import H1Connection

Http = Literal["auto", "1.1", "2"]

_ALPN: dict[Http, list[str]] = {"auto": ["h2", "http/1.1"], "1.1": ["http/1.1"], "2": ["h2"]}
_GOODBYE_S = 0.5
"""How long a TLS connection that we close waits for the peer's goodbye."""
_SECOND_ADDRESS_S = 0.25
"""When the next address of a name is tried beside those before it (RFC 8305, section 5)."""

_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Connector:
    """Opens connections to one host. `multiplexed`: they carry many exchanges; None until that is known."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, http: Http, connect_timeout_s: float) -> None:
        """`tls` becomes ours: its list of protocols is set here."""
        self.multiplexed: bool | None = None if tls is not None and http == "auto" else http == "2"
        self._host, self._port, self._tls, self._http = host, port, tls, http
        self._connect_timeout_s = connect_timeout_s
        if tls is not None:
            tls.set_alpn_protocols(_ALPN[http])

    async def open(self, owner: Owner, made: Callable[[Connection, bytes], None]) -> Connection:
        """Connect; `made` is called with the connection and its protocol's name before anything can happen to it.

        Raises httpx.ConnectTimeout or httpx.ConnectError, whose cause is the OSError.
        """
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {}
        if self._tls is not None:
            options.update(ssl=self._tls, server_hostname=self._host, ssl_shutdown_timeout=_GOODBYE_S)
        opening = _Opening(self, owner, made)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                sock = await _connected(await _addresses(self._host, self._port))
                await loop.create_connection(lambda: opening, sock=sock, **options)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection within {self._connect_timeout_s:g} s") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be one
            raise httpx.ConnectError(str(error)) from error
        if opening.connection is None:
            raise httpx.ConnectError("the host does not speak HTTP/2")
        return opening.connection

    def speak(self, transport: asyncio.Transport, owner: Owner) -> tuple[Connection, bytes] | None:
        """Return the connection for what the handshake agreed on, and that protocol's name; None if it will not do."""
        agreed = None
        if self._tls is not None:
            agreed = cast(ssl.SSLObject, transport.get_extra_info("ssl_object")).selected_alpn_protocol()
        if self._http == "2" and self._tls is not None and agreed != "h2":
            return None
        self.multiplexed = agreed == "h2" or self._http == "2"
        if not self.multiplexed:
            return H1Connection(owner), b"HTTP/1.1"
        from reaper.api.http.h2.connection import H2Connection  # only those who meet HTTP/2 pay for it

        return H2Connection(owner), b"HTTP/2"


class _Opening(asyncio.Protocol):
    """Stands in for the connection until the handshake is over."""

    def __init__(self, opener: Connector, owner: Owner, made: Callable[[Connection, bytes], None]) -> None:
        self._opener, self._owner, self._made = opener, owner, made
        self.connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        spoken = self._opener.speak(transport, self._owner)
        if spoken is None:
            transport.abort()
            return
        connection, version = spoken
        protocol = cast(asyncio.Protocol, connection)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self.connection = connection
        self._made(connection, version)


async def _addresses(host: str, port: int) -> list[_Address]:
    """Return the addresses of a host in the system's order, its families in turn. Raises OSError."""
    try:
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)]  # looks nothing up: no wait
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families: dict[int, list[_Address]] = {}
    for address in found:
        families.setdefault(address[0], []).append(address)
    return [address for address in chain(*zip_longest(*families.values())) if address is not None]


async def _connected(addresses: list[_Address]) -> socket.socket:
    """Return a socket connected to the first address that takes it; raises the last one's OSError when none does.

    The next is tried when one fails, or has not answered for a while. Cancelling leaves no socket behind.
    """
    if len(addresses) == 1:
        return await _connect(addresses[0])
    untried = iter(addresses)
    attempts: set[asyncio.Task[socket.socket]] = set()
    error: BaseException = OSError("the name has no address")
    try:
        while True:
            address = next(untried, None)
            if address is not None:
                attempts.add(asyncio.ensure_future(_connect(address)))
            elif not attempts:
                raise error
            pause_s = None if address is None else _SECOND_ADDRESS_S
            done, _ = await asyncio.wait(attempts, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                attempts.discard(attempt)
                failure = attempt.exception()
                if failure is None:
                    return attempt.result()
                error = failure
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_forget)


async def _connect(address: _Address) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _forget(attempt: asyncio.Task[socket.socket]) -> None:
    """Close what an attempt brought that nobody waits for any more."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()

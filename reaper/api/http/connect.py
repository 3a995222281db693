"""Opens one connection within one deadline: name, TCP, TLS, and the version of HTTP that the peer speaks.

The addresses of a name race (RFC 8305) in `aiohappyeyeballs` and not in `create_connection`: uvloop's has no race, and
asyncio's loses the socket that it has just connected if it is cancelled while its race ends (Python 3.11).
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable
from typing import Any, Literal, cast

import httpx

from reaper.api.http.exchange import Connection, Owner
from reaper.api.http.http11 import H1Connection

Http = Literal["auto", "1.1", "2"]
Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""One address as `getaddrinfo` returns it."""

_ALPN: dict[Http, list[str]] = {"auto": ["h2", "http/1.1"], "1.1": ["http/1.1"], "2": ["h2"]}
_TLS_SHUTDOWN_S = 0.5
"""Time that a TLS connection closed here waits for the peer's close_notify."""
ATTEMPT_DELAY_S = 0.25
"""Delay before the next address of a name is tried beside those before it (RFC 8305, section 5)."""
_ERRNO = re.compile(r"\[Errno (\d+)\]")


class Connector:
    """Opens connections to one host. `multiplexed`: they carry many exchanges at once; None until that is known."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, http: Http, connect_timeout_s: float) -> None:
        """Set the protocols of `tls`, which must not be shared."""
        self.multiplexed: bool | None = None if tls is not None and http == "auto" else http == "2"
        self._host, self._port, self._tls, self._http = host, port, tls, http
        self._connect_timeout_s = connect_timeout_s
        if tls is not None:
            tls.set_alpn_protocols(_ALPN[http])

    async def open(self, owner: Owner, opened: Callable[[Connection, bytes], None]) -> Connection:
        """Connect; call `opened` with the connection and its protocol's name before any event can reach it.

        Raises httpx.ConnectTimeout or httpx.ConnectError, whose cause is the OSError.
        """
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {}
        if self._tls is not None:
            options.update(ssl=self._tls, server_hostname=self._host, ssl_shutdown_timeout=_TLS_SHUTDOWN_S)
        negotiation = _Negotiation(self, owner, opened)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                sock = await _connect(await resolve(self._host, self._port))
                await loop.create_connection(lambda: negotiation, sock=sock, **options)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection within {self._connect_timeout_s:g} s") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
            raise httpx.ConnectError(str(error)) from error
        if negotiation.connection is None:
            raise httpx.ConnectError("the host does not speak HTTP/2")
        return negotiation.connection

    def negotiated(self, transport: asyncio.Transport, owner: Owner) -> tuple[Connection, bytes] | None:
        """Return a connection for the protocol that TLS agreed on, and its name; None if it is not acceptable."""
        agreed = None
        if self._tls is not None:
            agreed = cast(ssl.SSLObject, transport.get_extra_info("ssl_object")).selected_alpn_protocol()
        if self._http == "2" and self._tls is not None and agreed != "h2":
            return None
        self.multiplexed = agreed == "h2" or self._http == "2"
        if not self.multiplexed:
            return H1Connection(owner), b"HTTP/1.1"
        from reaper.api.http.h2.connection import H2Connection  # imported only when a peer speaks HTTP/2

        return H2Connection(owner), b"HTTP/2"


class _Negotiation(asyncio.Protocol):
    """The protocol of a transport until its handshake is over."""

    def __init__(self, connector: Connector, owner: Owner, opened: Callable[[Connection, bytes], None]) -> None:
        self._connector, self._owner, self._opened = connector, owner, opened
        self.connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        negotiated = self._connector.negotiated(transport, self._owner)
        if negotiated is None:
            transport.abort()
            return
        connection, version = negotiated
        protocol = cast(asyncio.Protocol, connection)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self.connection = connection
        self._opened(connection, version)


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host in the system's order. Raises OSError."""
    try:
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)]  # no query, so it never blocks
    except socket.gaierror:
        return [*await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def _connect(addresses: list[Address]) -> socket.socket:
    """Return a socket connected to the first address that accepts. Cancelling leaves no socket open.

    Raises OSError when every address failed, with the errno of the last one.
    """
    import aiohappyeyeballs  # imported by the first connection: 3 ms that many commands need not pay

    task = asyncio.current_task()
    assert task is not None
    cancelled = task.cancelling()
    try:
        sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=ATTEMPT_DELAY_S, interleave=1)
    except OSError as error:
        # Addresses that failed in different ways are reported together, without an errno.
        if error.errno is None and (numbers := _ERRNO.findall(str(error))):
            raise OSError(int(numbers[-1]), os.strerror(int(numbers[-1]))) from error
        raise
    if task.cancelling() > cancelled:  # the library swallows a cancellation that comes while it ends the losers
        sock.close()
        raise asyncio.CancelledError
    return sock

"""Opens one connection within one deadline: name, TCP, tunnel, TLS, and the version of HTTP that the peer speaks.

The addresses of a name race (RFC 8305) in `aiohappyeyeballs` and not in `create_connection`: uvloop's has no race, and
asyncio's loses the socket that it has just connected if it is cancelled while its race ends (Python 3.11).
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from reaper.api.http.exchange import Connection, Owner
from reaper.api.http.http11 import H1Connection
from reaper.api.http.proxy import Proxy, Tunnel
from reaper.api.http.receiver import Receiver, new_buffer
from reaper.api.http.resolver import Address, resolve
from reaper.api.httpx_without_cli import httpx

Http = Literal["auto", "1.1", "2"]
TlsSource = Callable[[], Awaitable[ssl.SSLContext]]
"""Returns the context for the next handshake."""
Opened = Callable[[Connection, bytes, str | None], None]
"""Takes a new connection, the name of its protocol, and the address that it goes to."""
_ALPN: dict[Http, list[str]] = {"auto": ["h2", "http/1.1"], "1.1": ["http/1.1"], "2": ["h2"]}
_TLS_SHUTDOWN_S = 0.5
"""Time that a TLS connection closed here waits for the peer's close_notify."""
ATTEMPT_DELAY_S = 0.25
"""Delay before the next address of a name is tried beside those before it (RFC 8305, section 5)."""
_ERRNO = re.compile(r"\[Errno (\d+)\]")


class HandshakeClosed(OSError):
    """The peer ended the connection before the TLS handshake was over."""


@dataclass(frozen=True, slots=True)
class Via:
    """A proxy, and the trust to meet it with when it speaks TLS."""

    proxy: Proxy
    tls: TlsSource | None


class Connector:
    """Opens connections to one host. `multiplexed`: they carry many exchanges at once; None until that is known."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: TlsSource | None,
        http: Http,
        connect_timeout_s: float,
        via: Via | None = None,
    ) -> None:
        """`tls` is asked before each handshake; the protocols of its context are set here, so it must not be shared."""
        self.multiplexed: bool | None = None if tls is not None and http == "auto" else http == "2"
        self._host, self._port, self._tls, self._http = host, port, tls, http
        self._connect_timeout_s = connect_timeout_s
        self._via = via
        self._is_tunnel = via is not None and tls is not None
        self._buffer = new_buffer()

    async def open(self, owner: Owner, opened: Opened) -> Connection:
        """Connect; call `opened` with the connection, its protocol's name and the address before any event reaches it.

        Raises httpx.ConnectTimeout, httpx.ConnectError, or httpx.ProxyError for a fault of or on the way to the proxy;
        the cause is the OSError.
        """
        way = _Way("the host did not answer" if self._via is None else "the proxy did not answer")
        negotiation = _Negotiation(self, owner, opened)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._connect(negotiation, way)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection within {self._connect_timeout_s:g} s: {way.stage}") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
            if way.in_handshake and isinstance(error, ConnectionError):
                error = HandshakeClosed(error.errno, "closed")
            kind = httpx.ProxyError if way.to_proxy else httpx.ConnectError
            raise kind(str(error)) from error
        if negotiation.connection is None:
            raise httpx.ConnectError("the host does not speak HTTP/2")
        return negotiation.connection

    async def addresses(self) -> list[str]:
        """Return the addresses that connections may go to now. Raises OSError or UnicodeError."""
        return [str(address[4][0]) for address in await resolve(*self._first_hop)]

    @property
    def _first_hop(self) -> tuple[str, int]:
        return (self._host, self._port) if self._via is None else (self._via.proxy.host, self._via.proxy.port)

    async def _connect(self, negotiation: _Negotiation, way: _Way) -> None:
        loop = asyncio.get_running_loop()
        way.to_proxy = self._via is not None
        hop_tls = self._tls if self._via is None else self._via.tls
        options: dict[str, Any] = {}
        if hop_tls is not None:
            context = await hop_tls()
            context.set_alpn_protocols(_ALPN[self._http] if self._via is None else _ALPN["1.1"])
            options.update(
                ssl=context, server_hostname=_tls_name(self._first_hop[0]), ssl_shutdown_timeout=_TLS_SHUTDOWN_S
            )
        sock = await connect_first(await resolve(*self._first_hop))  # nothing is awaited between this and its transport
        if hop_tls is not None:
            way.handshake(self._via is not None)
        if not self._is_tunnel:
            await loop.create_connection(lambda: negotiation, sock=sock, **options)
            return
        assert self._via is not None
        assert self._tls is not None
        tunnel = Tunnel(self._via.proxy, self._host, self._port)
        transport, _ = await loop.create_connection(lambda: tunnel, sock=sock, **options)
        try:
            way.ask()
            await tunnel.opened
            way.handshake(False)
            context = await self._tls()
            context.set_alpn_protocols(_ALPN[self._http])
            inner = await loop.start_tls(
                transport,
                negotiation,
                context,
                server_hostname=_tls_name(self._host),
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S,
            )
            if inner is None:
                raise ConnectionResetError
            negotiation.take_over(inner)
        except BaseException:
            transport.abort()
            raise

    def negotiated(self, transport: asyncio.Transport, owner: Owner) -> tuple[Connection, bytes] | None:
        """Return a connection for the protocol that TLS agreed on, and its name; None if it is not acceptable."""
        agreed = None
        if self._tls is not None:
            agreed = cast(ssl.SSLObject, transport.get_extra_info("ssl_object")).selected_alpn_protocol()
        if self._http == "2" and self._tls is not None and agreed != "h2":
            return None
        self.multiplexed = agreed == "h2" or self._http == "2"
        if not self.multiplexed:
            return H1Connection(owner, self._buffer), b"HTTP/1.1"
        from reaper.api.http.h2.connection import H2Connection  # imported only when a peer speaks HTTP/2

        return H2Connection(owner, self._buffer), b"HTTP/2"


@dataclass(slots=True)
class _Way:
    """How far an opening has come: for the words about its failure."""

    stage: str
    in_handshake: bool = False
    to_proxy: bool = False
    """What fails now is the proxy, or the way to it."""

    def handshake(self, with_proxy: bool) -> None:
        self.in_handshake, self.to_proxy = True, with_proxy
        self.stage = f"the TLS handshake with {'the proxy' if with_proxy else 'the host'} did not end"

    def ask(self) -> None:
        self.in_handshake, self.stage = False, "the proxy did not answer CONNECT"


class _Negotiation(asyncio.Protocol):
    """The protocol of a transport until its handshake is over."""

    def __init__(self, connector: Connector, owner: Owner, opened: Opened) -> None:
        self._connector, self._owner, self._opened = connector, owner, opened
        self._early: list[bytes] = []
        self._over = False
        self.connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        negotiated = self._connector.negotiated(transport, self._owner)
        if negotiated is None:
            transport.abort()
            return
        connection, version = negotiated
        protocol = cast(Receiver, connection)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self.connection = connection
        self._opened(connection, version, _address(transport))

    # Inside a tunnel the handshake ends a moment before `take_over`; what the peer does in between is kept.

    def data_received(self, data: bytes) -> None:
        self._early.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._over = True

    def take_over(self, transport: asyncio.Transport) -> None:
        """Do as `connection_made`, and pass on what came meanwhile. Raises ConnectionResetError if that was the end."""
        if self._over or transport.is_closing():
            raise ConnectionResetError
        self.connection_made(transport)
        if self._early and self.connection is not None:
            cast(Receiver, self.connection).data_received(b"".join(self._early))


def _tls_name(host: str) -> str:
    """Return the name for SNI and the certificate, which never have the dot at the end (RFC 6066, 3)."""
    return host.removesuffix(".")


def _address(transport: asyncio.Transport) -> str | None:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else None


async def connect_first(addresses: list[Address]) -> socket.socket:
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

"""Sends GET and DELETE without a body to one host, at a constant cost per request.

The pool of httpx walks all its connections at every request (`bench/`), so its cost grows with their number. This
transport makes no task and no timer per request, and enforces one total deadline however slowly bytes come. Its errors
are those of httpx. Through a proxy it asks for a tunnel to an https host; to an http host the targets are absolute.
"""

from __future__ import annotations

import math
import re
import ssl
from copy import copy
from typing import NoReturn

from reaper.api.http.connect import Connector, Http, TlsSource, Via
from reaper.api.http.exchange import Exchange, Headers, WireFault
from reaper.api.http.pool import Pool
from reaper.api.httpx_without_cli import httpx

_METHODS = frozenset({b"GET", b"DELETE"})
_PORTS = {"http": 80, "https": 443}
_TARGET = re.compile(rb"[!-~]+").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_VALUE = re.compile(rb"[^\0\r\n]*").fullmatch
_FORBIDDEN = frozenset({b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"te"})


class Transport:
    """Connections to the host of one URL. Belongs to the event loop (asyncio or uvloop) that it is first used on."""

    def __init__(
        self,
        url: httpx.URL | str,
        *,
        tls: ssl.SSLContext | TlsSource | None = None,
        via: Via | None = None,
        http: Http = "auto",
        connect_timeout_s: float = 5.0,
        max_connections: int = 64,
        keep_idle_s: float = 30.0,
        stale_after_s: float = 0.0,
        max_age_s: float = math.inf,
    ) -> None:
        """Open nothing yet.

        `url`: only its scheme, host and port count. `tls`: required for https; do not share it, because its list of
        protocols is set here; or a function that returns the one for the next handshake. `http`: `2` over plain http
        means HTTP/2 without negotiation. `connect_timeout_s` covers name, TCP, tunnel and TLS. `max_connections`: at
        least 1. A connection idle for `keep_idle_s` is closed, one older than `max_age_s` is renewed, one idle for
        `stale_after_s` may have been closed by the peer (see `send`). Raises ValueError for an invalid URL or limit.
        """
        url = httpx.URL(url)
        if url.scheme not in _PORTS or not url.host:
            raise ValueError(f"not the address of a host: {url}")
        if (tls is not None) != (url.scheme == "https"):
            raise ValueError("a TLS context is for https, and https needs one")
        if max_connections < 1:
            raise ValueError("max_connections must be at least 1")
        self._checked_headers: Headers | None = None
        source = _always(tls) if isinstance(tls, ssl.SSLContext) else tls
        connector = Connector(
            url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme], source, http, connect_timeout_s, via
        )
        self._pool = Pool(
            connector,
            max_connections=max_connections,
            keep_idle_s=keep_idle_s,
            stale_after_s=stale_after_s,
            max_age_s=max_age_s,
        )

    async def send(self, exchange: Exchange) -> None:
        """Send an exchange within its deadline; it then holds the response. Cancelling closes its connection.

        An exchange is sent once more on a new connection when its idle one was closed before a byte of a response, and
        again when the peer refused to process it. `exchange.written`: a byte of the request may have left, also after
        an error. No text of an error holds a header.

        Raises httpx.ConnectError, ConnectTimeout, ProxyError or PoolTimeout when it got no connection; httpx.ReadError
        (reset, with the OSError as cause if there is one), RemoteProtocolError (malformed) or ReadTimeout when it did;
        httpx.LocalProtocolError for a request that must not be sent; Withheld for one that may not start any more.
        """
        if exchange.method not in _METHODS or _TARGET(exchange.target) is None:
            raise httpx.LocalProtocolError("only GET and DELETE with a target of visible ASCII are sent")
        if exchange.headers is not self._checked_headers:
            _check(exchange.headers)
            self._checked_headers = exchange.headers
        try:
            await self._pool.send(exchange)
        except WireFault as fault:
            if fault.kind == "refused" and not exchange.written:
                raise httpx.ConnectError(fault.text) from fault.__cause__
            _raise(fault)
        except httpx.TransportError as error:
            # Many exchanges may have failed with this one error: each raises a copy.
            raise copy(error) from error.__cause__

    async def aclose(self) -> None:
        """Fail exchanges in flight as reset and close every connection."""
        await self._pool.aclose()


def _always(context: ssl.SSLContext) -> TlsSource:
    async def current() -> ssl.SSLContext:
        return context

    return current


def _check(headers: Headers) -> None:
    """Raise httpx.LocalProtocolError for a header that could end or change the request."""
    for name, value in headers:
        if _NAME(name) is None or _VALUE(value) is None or name in _FORBIDDEN:
            raise httpx.LocalProtocolError(f"the header {name[:40]!r} must not be sent like this")


def _raise(fault: WireFault) -> NoReturn:
    kinds: dict[str, type[httpx.TransportError]] = {
        "malformed": httpx.RemoteProtocolError,
        "timeout": httpx.ReadTimeout,
    }
    raise kinds.get(fault.kind, httpx.ReadError)(fault.text) from fault.__cause__

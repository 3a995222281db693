"""Our transport for httpx: GET and DELETE without a body, to one host, at a constant cost per request.

The pool of httpx walks all its connections at every request (`bench/`), so its cost grows with their number. This one
does not, makes no task and no timer per request, and keeps one total deadline per request however slowly bytes come.
It does no proxies. Two ways in: `send` with an `Exchange`, the cheap one, and httpx's own `handle_async_request`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import NoReturn

import httpx

from reaper.api.http.connect import Connector, Http
from reaper.api.http.exchange import Exchange, Headers, WireFault
from reaper.api.http.pool import Pool

MAX_BODY_BYTES = 64 * 1024
"""Of an answer's body, unless the request says otherwise; a longer one is cut."""

_METHODS = frozenset({b"GET", b"DELETE"})
_PORTS = {"http": 80, "https": 443}
_TARGET = re.compile(rb"[!-~]+").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_VALUE = re.compile(rb"[^\0\r\n]*").fullmatch
_NOT_OURS = frozenset({b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"te"})


class Transport(httpx.AsyncBaseTransport):
    """Connections to the host of one URL. Belongs to the event loop (asyncio or uvloop) that it is first used on."""

    def __init__(
        self,
        url: httpx.URL | str,
        *,
        tls: ssl.SSLContext | None = None,
        http: Http = "auto",
        timeout_s: float = 20.0,
        connect_timeout_s: float = 5.0,
        max_connections: int = 64,
        keep_idle_s: float = 30.0,
        stale_after_s: float = 0.0,
    ) -> None:
        """Open nothing yet.

        `url`: only its scheme, host and port count. `tls`: needed for https and used by nobody else, for its list of
        protocols is set here. `http`: `2` over plain http means HTTP/2 at once. `timeout_s`: total deadline of a
        request of httpx that brings none. `connect_timeout_s` covers name, TCP and TLS. At most `max_connections` at
        once; one idle for `keep_idle_s` is closed, one idle for `stale_after_s` may have been closed by the peer (see
        `send`). Raises ValueError for a URL or a bound that will not do.
        """
        url = httpx.URL(url)
        if url.scheme not in _PORTS or not url.host:
            raise ValueError(f"not the address of a host: {url}")
        if (tls is not None) != (url.scheme == "https"):
            raise ValueError("a TLS context is for https, and https needs one")
        if max_connections < 1:
            raise ValueError("max_connections must be at least 1")
        self._origin = _origin(url)
        self._timeout_s = timeout_s
        self._checked: Headers | None = None
        opener = Connector(url.raw_host.decode("ascii"), self._origin[2], tls, http, connect_timeout_s)
        self._pool = Pool(opener, most=max_connections, keep_idle_s=keep_idle_s, stale_after_s=stale_after_s)

    async def send(self, exchange: Exchange) -> None:
        """Send it, at most until its deadline; the answer is then in the exchange. Cancelling closes its connection.

        An exchange is sent once more on a new connection when its kept-alive one was closed before a byte of an
        answer, and again when the peer says that it did not look at it. `exchange.written` tells afterwards whether
        a byte of it may have left. No text of an error holds a header.

        Raises httpx.ConnectError, ConnectTimeout or PoolTimeout when no byte was written on this account;
        httpx.ReadError (reset, with the OSError as cause if there is one), RemoteProtocolError (malformed) or
        ReadTimeout later; httpx.LocalProtocolError for a request that must not be sent.
        """
        if exchange.method not in _METHODS or _TARGET(exchange.target) is None:
            raise httpx.LocalProtocolError("only GET and DELETE with a target of visible ASCII are sent")
        if exchange.headers is not self._checked:
            _check(exchange.headers)
            self._checked = exchange.headers
        try:
            await self._pool.send(exchange)
        except WireFault as fault:
            _raise(fault)
        except httpx.TransportError as error:
            # One failure may be that of many who waited: each raises its own.
            raise type(error)(str(error)) from error.__cause__

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of httpx; the answer is whole when this returns.

        `request.extensions`: `target` as in httpcore; `reaper`, a dict with `timeout_s` (total) and `most_body`
        (bytes). httpx's own `timeout` is not looked at. The exchange is left in `request.extensions["exchange"]`,
        for its `written` when this raises. `response.extensions["whole"]` is false when the body was cut.
        """
        if _origin(request.url) != self._origin:
            raise httpx.LocalProtocolError("this transport speaks to one host only")
        if await request.aread():
            raise httpx.LocalProtocolError("this transport sends no bodies")
        named = ((name.lower(), value) for name, value in request.headers.raw)
        headers = tuple(line for line in named if line[0] != b"connection")  # ours to decide
        asked = request.extensions.get("reaper", {})
        exchange = Exchange(
            request.method.encode("ascii"),
            request.extensions.get("target", request.url.raw_path),
            headers,
            most_body=asked.get("most_body", MAX_BODY_BYTES),
            deadline=asyncio.get_running_loop().time() + asked.get("timeout_s", self._timeout_s),
        )
        request.extensions["exchange"] = exchange
        await self.send(exchange)
        return httpx.Response(
            exchange.status,
            headers=exchange.answer_headers,
            stream=httpx.ByteStream(bytes(exchange.body)),
            extensions={"http_version": exchange.version, "whole": exchange.whole},
        )

    async def aclose(self) -> None:
        """Fail what is under way as reset and close every connection."""
        await self._pool.aclose()


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme, 0)


def _check(headers: Headers) -> None:
    """Raise httpx.LocalProtocolError for a header that could end the request early or change what it is."""
    for name, value in headers:
        if _NAME(name) is None or _VALUE(value) is None or name in _NOT_OURS:
            raise httpx.LocalProtocolError(f"the header {name[:40]!r} must not be sent like this")


def _raise(fault: WireFault) -> NoReturn:
    kinds: dict[str, type[httpx.TransportError]] = {
        "malformed": httpx.RemoteProtocolError,
        "timeout": httpx.ReadTimeout,
    }
    raise kinds.get(fault.kind, httpx.ReadError)(fault.text) from fault.__cause__

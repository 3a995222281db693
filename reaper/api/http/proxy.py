"""Sends requests through a configured proxy: one httpx transport with one connection for each request in flight.

One httpx transport for many connections costs several times more, because it walks all of them at every request
(`bench/`). A transport that failed is closed and dropped, so a half-read connection is never used again.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx

from reaper.api.http.exchange import Exchange

KEEP_IDLE_S = 30.0


class ProxySender:
    """Sends exchanges as `Transport` does, but through a proxy."""

    def __init__(
        self, url: httpx.URL, *, tls: ssl.SSLContext | None, proxy: str, timeout_s: float, connect_timeout_s: float
    ) -> None:
        self._url = url
        self._tls = tls
        self._proxy = proxy
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._closed = False

    async def send(self, exchange: Exchange) -> None:
        """Send an exchange within its deadline.

        Raises httpx.TransportError or TimeoutError; `exchange.written` then says whether a byte may have left.
        """

        async def trace(event: str, info: Any) -> None:
            if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
                exchange.written = True

        request = httpx.Request(
            exchange.method.decode(),
            self._url,
            headers=list(exchange.headers),
            extensions={
                "target": exchange.target,
                "trace": trace,
                "timeout": {"connect": self._connect_timeout_s, "read": None, "write": None, "pool": None},
            },
        )
        transport = self._idle.pop() if self._idle else self._new_transport()
        try:
            async with asyncio.timeout_at(exchange.deadline):
                response = await transport.handle_async_request(request)
                exchange.whole = await _read_body(response, exchange)
            exchange.status = response.status_code
            exchange.response_headers = [(name.lower(), value) for name, value in response.headers.raw]
        finally:
            if exchange.whole and not self._closed:
                self._idle.append(transport)
            else:
                await asyncio.shield(transport.aclose())

    async def aclose(self) -> None:
        """Close the idle connections now, and the others when their responses are complete."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()

    def _new_transport(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_IDLE_S)
        return httpx.AsyncHTTPTransport(verify=self._tls or False, trust_env=False, limits=limits, proxy=self._proxy)


async def _read_body(response: httpx.Response, exchange: Exchange) -> bool:
    """Read at most `max_body_bytes` of the body; return whether that was all of it."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        async for part in response.stream:
            left = exchange.max_body_bytes - len(exchange.body)
            exchange.body += part[:left]
            if len(part) > left:
                return False
    finally:
        await response.stream.aclose()
    return True

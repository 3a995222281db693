"""Requests through a configured proxy: httpx's own transport, one with one connection for each request in flight.

The shared pool of httpx walks all its connections at every request, so one for many costs several times more
(`bench/`). A line that failed is closed and dropped, so nothing half-read is ever used again.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx

from reaper.api.http.exchange import Exchange

KEEP_IDLE_S = 30.0


class ProxySender:
    """Sends exchanges as `reaper.api.http.transport.Transport` does, by way of a proxy."""

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
        """Send it within its deadline. Raises httpx.TransportError or TimeoutError; `exchange.written` then tells."""

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
        line = self._idle.pop() if self._idle else self._new_line()
        try:
            async with asyncio.timeout_at(exchange.deadline):
                response = await line.handle_async_request(request)
                exchange.whole = await _read(response, exchange)
            exchange.status = response.status_code
            exchange.answer_headers = [(name.lower(), value) for name, value in response.headers.raw]
        finally:
            if exchange.whole and not self._closed:
                self._idle.append(line)
            else:
                await asyncio.shield(line.aclose())

    async def aclose(self) -> None:
        """Close every idle connection, and each of the others when its answer is in."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()

    def _new_line(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_IDLE_S)
        return httpx.AsyncHTTPTransport(verify=self._tls or False, trust_env=False, limits=limits, proxy=self._proxy)


async def _read(response: httpx.Response, exchange: Exchange) -> bool:
    """Read what is wanted of the body; return whether that was all of it."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        async for part in response.stream:
            room = exchange.most_body - len(exchange.body)
            exchange.body += part[:room]
            if len(part) > room:
                return False
    finally:
        await response.stream.aclose()
    return True

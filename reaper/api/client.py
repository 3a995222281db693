"""Speaks HTTP to the API: stop one session, list the active ones.

Each request in flight has a *line*: an httpx transport with one connection of its own, taken from a stack of idle
ones. The shared pool of httpx walks all its connections at every request, so one client for many costs several times
more (`bench/`). A line that failed is closed and dropped, so nothing half-read is ever used again.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import anyio
import httpx

from reaper import __version__
from reaper.api.credentials import Credentials
from reaper.core.model import Answered, Failed, Fault, Reply, SessionId
from reaper.errors import ConfigError

STOP_BODY_BYTES = 64 * 1024
LIST_BODY_BYTES = 32 * 1024 * 1024
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "cf-ray", "x-amzn-requestid")
_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how requests are sent; the part of the settings that this room needs."""

    base_url: str
    timeout_s: float
    connect_timeout_s: float
    ca_file: str | None = None
    proxy: str | None = None


class Client:
    """The API, as this process reaches it. Not safe for use from several threads."""

    def __init__(self, target: Target, credentials: Credentials) -> None:
        """Raises ConfigError when the CA file cannot be used."""
        self._target = target
        self._credentials = credentials
        self._url = httpx.URL(target.base_url)
        self._prefix = self._url.raw_path.rstrip(b"/") + b"/api/sessions"
        self._tls = _tls_context(target) if self._url.scheme == "https" else False
        self._limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30.0)
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._closed = False
        self._headers: tuple[int, list[tuple[bytes, bytes]]] = (-1, [])

    async def stop(self, session_id: SessionId) -> Reply:
        """Send one `DELETE /api/sessions/{id}` within the total deadline. Never raises for what a network can do.

        The ID travels percent-encoded as one path segment. Cancelling closes the connection.
        """
        segment = quote(session_id, safe="").encode()
        return await self._send("DELETE", self._prefix + b"/" + segment, STOP_BODY_BYTES)

    async def list_sessions(self) -> Reply:
        """Send one `GET /api/sessions`, the read that proves token and address."""
        return await self._send("GET", self._prefix, LIST_BODY_BYTES)

    async def aclose(self) -> None:
        """Close every idle connection, and each of the others when its answer is in."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()

    async def _send(self, method: str, path: bytes, body_bytes: int) -> Reply:
        token = self._credentials.current
        begun = time.perf_counter()
        if token.value is None:
            return Failed(Fault.NO_TOKEN, False, token.lack or "there is no token", 0.0)
        written = False

        async def trace(event: str, info: Any) -> None:
            nonlocal written
            if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
                written = True

        request = httpx.Request(
            method,
            self._url,
            headers=self._headers_for(token.generation, token.value),
            extensions={
                "target": path,
                "trace": trace,
                "timeout": {"connect": self._target.connect_timeout_s, "read": None, "write": None, "pool": None},
            },
        )
        line = self._idle.pop() if self._idle else self._new_line()
        whole = False
        try:
            with anyio.fail_after(self._target.timeout_s):
                response = await line.handle_async_request(request)
                body, whole = await _read(response, body_bytes)
            headers = response.headers
            return Answered(
                response.status_code,
                body,
                time.perf_counter() - begun,
                retry_after=headers.get("retry-after"),
                date=headers.get("date"),
                request_id=next((v[:200] for k in REQUEST_ID_HEADERS if (v := headers.get(k))), None),
                token_generation=token.generation,
            )
        except (httpx.TransportError, TimeoutError, OSError) as error:
            fault, text = _fault(error, self._target)
            return Failed(fault, written, text, time.perf_counter() - begun)
        finally:
            if whole and not self._closed:
                self._idle.append(line)
            else:
                with anyio.CancelScope(shield=True):
                    await line.aclose()

    def _new_line(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._tls, trust_env=False, limits=self._limits, proxy=self._target.proxy
        )

    def _headers_for(self, generation: int, token: str) -> list[tuple[bytes, bytes]]:
        if self._headers[0] != generation:
            fixed = [
                (b"host", self._url.netloc),
                (b"user-agent", f"archal-reaper/{__version__}".encode()),
                (b"accept", b"application/json"),
                (b"accept-encoding", b"identity"),
                (b"authorization", b"Bearer " + token.encode()),
            ]
            self._headers = (generation, fixed)
        return self._headers[1]


async def _read(response: httpx.Response, most: int) -> tuple[bytes, bool]:
    """Return at most `most` bytes of the body, and whether that was all of it."""
    parts: list[bytes] = []
    size = 0
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        async for part in response.stream:
            parts.append(part[: most - size])
            size += len(part)
            if size > most:
                return b"".join(parts), False
    finally:
        await response.stream.aclose()
    return b"".join(parts), True


def _tls_context(target: Target) -> ssl.SSLContext:
    if target.ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=target.ca_file)
    except OSError as error:
        reason = error.strerror or "it holds no certificate in PEM form"
        raise ConfigError(f"api.ca_file: {target.ca_file} cannot be used: {reason}") from error


def _fault(error: BaseException, target: Target) -> tuple[Fault, str]:
    """Return the kind of a failure and a sentence about it, which never holds a header."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return Fault.DNS, f"the name of the API's host cannot be resolved: {cause.strerror}"
        if isinstance(cause, ssl.SSLError):
            return Fault.TLS, f"TLS failed: {cause.reason or cause.strerror}"
        if isinstance(cause, OSError) and cause.errno in _NO_RESOURCES:
            return Fault.RESOURCES, f"no connection could be opened: {cause.strerror}"
    if isinstance(error, httpx.ConnectTimeout):
        return Fault.CONNECT, f"no connection within {target.connect_timeout_s:g} s"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return Fault.CONNECT, "the connection was refused or the host cannot be reached"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Fault.TIMEOUT, f"no whole answer within {target.timeout_s:g} s"
    if isinstance(error, httpx.ProtocolError) and "disconnected" not in str(error):
        return Fault.MALFORMED, "the answer is not HTTP"
    return Fault.RESET, "the connection was closed before the answer was whole"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__

"""Speaks HTTP to the API: stop one session, read one, list the active ones, ask who the token is.

Requests go over our own transport, at a constant cost each; through a configured proxy over httpx's.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

import httpx

from reaper.api.credentials import Credentials
from reaper.api.faults import classify_error
from reaper.api.http.connect import Http
from reaper.api.http.exchange import Exchange
from reaper.api.http.proxy import ProxySender
from reaper.api.http.transport import Transport
from reaper.core.errors import ConfigError
from reaper.core.model import Answered, Failed, Fault, Reply, SessionId
from reaper.core.version import __version__

STOP_BODY_BYTES = 64 * 1024
LIST_BODY_BYTES = 32 * 1024 * 1024
STALE_AFTER_S = 1.0
"""A connection that was idle for less did not go stale: its reset is an answer to this send, recorded and charged."""
REQUEST_ID_HEADERS = (b"x-request-id", b"request-id", b"x-correlation-id", b"cf-ray", b"x-amzn-requestid")
_CLEAN = re.compile(r"[A-Za-z0-9._~-]+").fullmatch
"""IDs that percent-encoding leaves as they are: most of them."""
_LOOKED_AT = frozenset({b"retry-after", b"date", *REQUEST_ID_HEADERS})


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how requests are sent; the part of the settings that this room needs."""

    base_url: str
    timeout_s: float
    connect_timeout_s: float
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)
    """May hold a password."""
    http: Http = "auto"
    concurrency: int = 32
    """Requests in flight at most; one connection more, for a read, is the most that is opened."""


class Sender(Protocol):
    """A way to the API. Raises httpx.TransportError, TimeoutError or OSError for what a network can do."""

    async def send(self, exchange: Exchange) -> None: ...

    async def aclose(self) -> None: ...


class Client:
    """The API, as this process reaches it. Not safe for use from several threads."""

    def __init__(self, target: Target, credentials: Credentials) -> None:
        """Raises ConfigError when the address or the CA file cannot be used."""
        self._target = target
        self._credentials = credentials
        self._url = httpx.URL(target.base_url)
        try:
            self._url.host  # noqa: B018  # decoded here, and only here
        except UnicodeError as error:
            raise ConfigError(f"api.base_url: there can be no host of that name: {error}") from error
        self._base = self._url.raw_path.rstrip(b"/")
        self._prefix = self._base + b"/api/sessions"
        self._sender = _sender(self._url, target)
        self._flying = 0
        self._retired = False
        self._headers: tuple[int, tuple[tuple[bytes, bytes], ...]] = (-1, ())

    async def stop(self, session_id: SessionId) -> Reply:
        """Send one `DELETE /api/sessions/{id}` within the total deadline. Never raises for what a network can do.

        The ID travels percent-encoded as one path segment. Cancelling closes the connection.
        """
        return await self._send(b"DELETE", self._path_of(session_id), STOP_BODY_BYTES)

    async def list_sessions(self) -> Reply:
        """Send one `GET /api/sessions`, the read that proves token and address."""
        return await self._send(b"GET", self._prefix, LIST_BODY_BYTES)

    async def get_session(self, session_id: SessionId) -> Reply:
        """Send one `GET /api/sessions/{id}`, the last look before a DELETE."""
        return await self._send(b"GET", self._path_of(session_id), STOP_BODY_BYTES)

    async def whoami(self) -> Reply:
        """Send one `GET /auth/me`: whose token it is."""
        return await self._send(b"GET", self._base + b"/auth/me", STOP_BODY_BYTES)

    async def retire(self) -> None:
        """Close when the last answer that is under way is in."""
        self._retired = True
        if not self._flying:
            await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; what is under way fails."""
        await self._sender.aclose()

    async def _send(self, method: bytes, path: bytes, body_bytes: int) -> Reply:
        token = self._credentials.current
        begun = time.perf_counter()
        if token.value is None:
            return Failed(Fault.NO_TOKEN, False, token.lack or "there is no token", 0.0)
        deadline = asyncio.get_running_loop().time() + self._target.timeout_s
        exchange = Exchange(
            method, path, self._headers_for(token.generation, token.value), most_body=body_bytes, deadline=deadline
        )
        self._flying += 1
        try:
            await self._sender.send(exchange)
        except (httpx.TransportError, TimeoutError, OSError) as error:
            fault, text = classify_error(error, self._target.timeout_s, self._target.connect_timeout_s)
            return Failed(fault, exchange.written, text, time.perf_counter() - begun, exchange.again)
        finally:
            self._flying -= 1
            if self._retired and not self._flying:
                await asyncio.shield(self.aclose())
        named = _named(exchange.answer_headers)
        request_id = _request_id(named)
        body = bytes(exchange.body)
        if method == b"DELETE" and body:  # only of these is anything kept
            body = _without(token.value, body.decode("latin-1")).encode("latin-1")
        return Answered(
            exchange.status,
            body,
            time.perf_counter() - begun,
            retry_after=named.get(b"retry-after"),
            date=named.get(b"date"),
            request_id=_without(token.value, request_id)[:200] if request_id else None,
            token_generation=token.generation,
            again=exchange.again,
        )

    def _path_of(self, session_id: SessionId) -> bytes:
        name = session_id if _CLEAN(session_id) else quote(session_id, safe="")
        return b"%b/%b" % (self._prefix, name.encode())

    def _headers_for(self, generation: int, token: str) -> tuple[tuple[bytes, bytes], ...]:
        """Return the same object for as long as the token is the same: the transport keeps what it makes of it."""
        if self._headers[0] != generation:
            fixed = (
                (b"host", self._url.netloc),
                (b"user-agent", f"archal-reaper/{__version__}".encode()),
                (b"accept", b"application/json"),
                (b"accept-encoding", b"identity"),
                (b"authorization", b"Bearer " + token.encode()),
            )
            self._headers = (generation, fixed)
        return self._headers[1]


def _without(token: str, text: str) -> str:
    """Return what a server said without the token, which some repeat when they refuse it: it would be written down."""
    text = text.replace(token, "********")
    if '"' in token or "\\" in token:  # then JSON writes it in another way
        text = text.replace(json.dumps(token)[1:-1], "********")
    return text


def _named(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Return those of the headers that are looked at; the first of each name."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _LOOKED_AT and name not in found:
            found[name] = value.decode("latin-1")
    return found


def _request_id(named: dict[bytes, str]) -> str | None:
    for name in REQUEST_ID_HEADERS if named else ():
        if value := named.get(name):
            return value
    return None


def _sender(url: httpx.URL, target: Target) -> Sender:
    tls = _tls_context(target) if url.scheme == "https" else None
    if target.proxy is not None:
        return ProxySender(
            url,
            tls=tls,
            proxy=target.proxy,
            timeout_s=target.timeout_s,
            connect_timeout_s=target.connect_timeout_s,
        )
    return Transport(
        url,
        tls=tls,
        http=target.http,
        connect_timeout_s=target.connect_timeout_s,
        max_connections=target.concurrency + 1,
        stale_after_s=STALE_AFTER_S,
    )


def _tls_context(target: Target) -> ssl.SSLContext:
    if target.ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=target.ca_file)
    except OSError as error:
        reason = error.strerror or "it holds no certificate in PEM form"
        raise ConfigError(f"api.ca_file: {target.ca_file} cannot be used: {reason}") from error

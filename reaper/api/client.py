"""Sends the requests of the API: stop one session, read one, list the active ones, identify the token's account.

Requests use the transport in `http/`, at a constant cost each.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

from reaper.api.credentials import Credentials
from reaper.api.faults import failure_of
from reaper.api.http.coding import CodingError, codings_of, decode
from reaper.api.http.connect import Http, Via
from reaper.api.http.exchange import Exchange, Headers
from reaper.api.http.proxy import USER_AGENT, Proxy
from reaper.api.http.transport import Transport
from reaper.api.httpx_without_cli import httpx
from reaper.api.trust import Trust
from reaper.core.classify import LIST_BODY_BYTES
from reaper.core.errors import ConfigError
from reaper.core.model import Answered, Failed, Fault, Reply, SessionId, Withheld
from reaper.core.target import address_of

STOP_BODY_BYTES = 64 * 1024
LARGE_BODY_BYTES = 1024 * 1024
STALE_AFTER_S = 1.0
"""A connection idle for less did not go stale: its reset is the reply to this send, recorded and charged."""
REQUEST_ID_HEADERS = (b"x-request-id", b"request-id", b"x-correlation-id", b"cf-ray", b"x-amzn-requestid")
_is_unreserved = re.compile(r"[A-Za-z0-9._~-]+").fullmatch
"""Matches the IDs that percent-encoding does not change, which are most (RFC 3986, 2.3)."""
_KEPT_HEADERS = frozenset({b"retry-after", b"date", b"content-encoding", *REQUEST_ID_HEADERS})


@dataclass(frozen=True, slots=True)
class Target:
    """The address of the API, and the limits of requests to it. Durations are in seconds."""

    base_url: str
    timeout_s: float
    connect_timeout_s: float
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)
    """May hold a password."""
    http: Http = "auto"
    connection_max_age_s: float = 300.0
    concurrency: int = 32
    """Limit of requests in flight. One connection more may be opened, for a read."""


class Client:
    """The client of the API. Belongs to one event loop; not safe for several threads."""

    def __init__(
        self, target: Target, credentials: Credentials, report: Callable[[str], None] = lambda sentence: None
    ) -> None:
        """Open nothing yet. Raises ConfigError when the address or the CA file cannot be used.

        `report` gets a sentence when a CA file that changed cannot be used.
        """
        self._target = target
        self.address = address_of(target.base_url)
        self._credentials = credentials
        self._url = httpx.URL(target.base_url)
        try:
            self._url.host  # noqa: B018  # the host is decoded, and may fail, only here
        except UnicodeError as error:
            raise ConfigError(f"api.base_url: there can be no host of that name: {error}") from error
        proxy = Proxy.parse(target.proxy) if target.proxy is not None else None
        self._base = self._url.raw_path.rstrip(b"/")
        self._proxy_headers: Headers = ()
        if proxy is not None and self._url.scheme == "http":
            # Without a tunnel the request itself is the proxy's (RFC 9112, 3.2.2).
            self._base = b"http://" + self._url.netloc + self._base
            self._proxy_headers = proxy.headers
        self._prefix = self._base + b"/api/sessions"
        self._transport = _transport(self._url, target, proxy, report)
        self._in_flight = 0
        self._retired = False
        self._headers: tuple[int, tuple[tuple[bytes, bytes], ...]] = (-1, ())

    async def stop(self, session_id: SessionId, may_start: Callable[[], bool] | None = None) -> Reply:
        """Send one `DELETE /api/sessions/{id}` within the total deadline. Never raises for a fault of the network.

        The ID travels percent-encoded as one path segment. Cancelling closes the connection. `may_start` is asked once
        there is a connection: raises Withheld, and has sent nothing, if that returns False.
        """
        return await self._send(b"DELETE", self.session_path(session_id), STOP_BODY_BYTES, may_start)

    async def list_sessions(self) -> Reply:
        """Send one `GET /api/sessions`, the read that proves token and address."""
        return await self._send(b"GET", self._prefix, LIST_BODY_BYTES)

    async def get_session(self, session_id: SessionId, may_start: Callable[[], bool] | None = None) -> Reply:
        """Send one `GET /api/sessions/{id}`, the preflight check before a DELETE. `may_start`: as for `stop`."""
        return await self._send(b"GET", self.session_path(session_id), STOP_BODY_BYTES, may_start)

    async def whoami(self) -> Reply:
        """Send one `GET /auth/me`, which names the account of the token."""
        return await self._send(b"GET", self._base + b"/auth/me", STOP_BODY_BYTES)

    async def retire(self) -> None:
        """Begin nothing more that may be withheld; close as soon as no request is in flight."""
        self._retired = True
        if not self._in_flight:
            await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; requests in flight fail."""
        await self._transport.aclose()

    async def _send(
        self, method: bytes, path: bytes, body_bytes: int, may_start: Callable[[], bool] | None = None
    ) -> Reply:
        if self._retired and may_start is not None:
            raise Withheld  # whoever asks took this client before a reload: its successor has another address or token
        token = self._credentials.current
        begun = time.perf_counter()
        if token.value is None:
            return Failed(Fault.NO_TOKEN, False, token.missing_reason or "there is no token", 0.0)
        headers_sent = self._headers_for(token.generation, token.value)
        exchange = Exchange(
            method,
            path,
            headers_sent,
            max_body_bytes=body_bytes,
            timeout_s=self._target.timeout_s,
            may_start=may_start and (lambda: not self._retired and may_start()),
        )
        self._in_flight += 1
        try:
            await self._transport.send(exchange)
        except (httpx.TransportError, TimeoutError, OSError) as error:
            return failure_of(error, exchange, self._target.timeout_s, time.perf_counter() - begun)
        finally:
            self._in_flight -= 1
            if self._retired and not self._in_flight:
                await asyncio.shield(self.aclose())
        headers = _kept_headers(exchange.response_headers)
        request_id = _request_id(headers)
        body, undecoded = bytes(exchange.body), None
        exchange.body = bytearray()  # a list is long: one copy of it is enough
        if body and b"content-encoding" in headers:
            codings = codings_of(exchange.response_headers)
            try:
                body = await decode(body, codings, max_bytes=body_bytes, whole=exchange.whole)
            except CodingError as error:
                undecoded = str(error)
        for form in _forms(token.value):
            if len(body) > LARGE_BODY_BYTES:
                await asyncio.sleep(0)  # each search of a long list takes tens of milliseconds
            if form in body:
                body = body.replace(form, b"********")
        return Answered(
            exchange.status,
            body,
            time.perf_counter() - begun,
            retry_after=headers.get(b"retry-after"),
            date=headers.get(b"date"),
            request_id=_masked(token.value, request_id)[:200] if request_id else None,
            token_generation=token.generation,
            again=exchange.again,
            undecoded=undecoded,
        )

    def session_path(self, session_id: SessionId) -> bytes:
        """Return the path of a session; the ID is one percent-encoded segment of it."""
        name = session_id if _is_unreserved(session_id) else quote(session_id, safe="")
        return b"%b/%b" % (self._prefix, name.encode())

    def _headers_for(self, generation: int, token: str) -> tuple[tuple[bytes, bytes], ...]:
        """Return the same object while the token is the same: the transport caches its encoding."""
        if self._headers[0] != generation:
            headers = (
                (b"host", self._url.netloc),
                (b"user-agent", USER_AGENT),
                (b"accept", b"application/json"),
                (b"accept-encoding", b"identity"),
                (b"authorization", b"Bearer " + token.encode()),
                *self._proxy_headers,
            )
            self._headers = (generation, headers)
        return self._headers[1]


def _masked(token: str, text: str) -> str:
    """Return a server's text without the token, which some servers repeat."""
    for form in _forms(token):
        text = text.replace(form.decode(), "********")
    return text


@lru_cache(maxsize=4)
def _forms(token: str) -> tuple[bytes, ...]:
    """Return the token as a server may write it: as it is, and as JSON escapes it."""
    return tuple({token.encode(), json.dumps(token)[1:-1].encode()})


def _kept_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Return the headers that a reply needs; the first of each name, but every date: of two, none can be trusted."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _KEPT_HEADERS:
            text = value.decode("latin-1")
            kept = found.setdefault(name, text)
            if name == b"date" and text != kept:
                found[name] = f"{kept}, {text}"
    return found


def _request_id(headers: dict[bytes, str]) -> str | None:
    for name in REQUEST_ID_HEADERS if headers else ():
        if value := headers.get(name):
            return value
    return None


def _transport(url: httpx.URL, target: Target, proxy: Proxy | None, report: Callable[[str], None]) -> Transport:
    speaks_tls, proxy_speaks_tls = url.scheme == "https", proxy is not None and proxy.tls
    trust = Trust(target.ca_file, report) if speaks_tls or proxy_speaks_tls else None
    return Transport(
        url,
        tls=trust.source() if trust is not None and speaks_tls else None,
        via=Via(proxy, trust.source() if trust is not None and proxy_speaks_tls else None) if proxy else None,
        http=target.http,
        connect_timeout_s=target.connect_timeout_s,
        max_connections=target.concurrency + 1,
        stale_after_s=STALE_AFTER_S,
        max_age_s=target.connection_max_age_s,
    )

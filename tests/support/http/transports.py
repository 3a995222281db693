"""The transports of the conformance suite: how each is made, and where it is known to deviate.

A deviation is a test that must fail for that transport; the reason is printed with it.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import pytest
import trustme

from reaper.api.http.exchange import Exchange
from reaper.api.http.transport import Transport
from tests.support.programs import missing

SECRET = "archal_ws_secret"


class Certified(NamedTuple):
    """A server's side of TLS, and a client's that trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def certified(name: str) -> Certified:
    """Make an authority and a certificate of it."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(server)
    authority.configure_trust(client)
    return Certified(server, client)


@dataclass(frozen=True)
class Seen:
    """An answer, or the kind of trouble."""

    trouble: str | None
    status: int = 0
    body: bytes = b""
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    error: Exception | None = None
    request: httpx.Request | None = None


def trouble(error: Exception) -> str:
    """Return `unconnected`, `late`, `full` or `broken`; raise what is none of them."""
    assert SECRET not in repr([*causes(error)]), "a secret in an error"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return "unconnected"
    if isinstance(error, httpx.PoolTimeout):
        return "full"
    if isinstance(error, httpx.ReadTimeout):
        return "late"
    if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
        return "broken"
    raise error


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from causes(inner)
        error = error.__cause__ or error.__context__


class BehindHttpx(httpx.AsyncBaseTransport):
    """Our transport behind the interface of httpx, so that one suite tests both."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = Exchange(
            request.method.encode("ascii"),
            request.url.raw_path,
            tuple((name.lower(), value) for name, value in request.headers.raw if name.lower() != b"connection"),
            max_body_bytes=64 * 1024,
            timeout_s=request.extensions["reaper"]["timeout_s"],
        )
        await self.transport.send(exchange)
        return httpx.Response(
            exchange.status, headers=exchange.response_headers, stream=httpx.ByteStream(bytes(exchange.body))
        )

    async def aclose(self) -> None:
        await self.transport.aclose()


class Ours:
    """The transport under test."""

    many = 1000
    deviates: Mapping[str, str] = {
        "test_answers[a folded header]": "llhttp refuses folding, which nobody has sent for a decade",
        "test_answers[the same length twice]": "llhttp refuses a repeated length; RFC 9112 6.3 leaves the choice",
    }

    def make(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        most: int = 8,
        connect_s: float = 1.0,
        keep_idle_s: float = 30.0,
        http: str = "1.1",
    ) -> httpx.AsyncBaseTransport:
        return BehindHttpx(
            Transport(
                url,
                tls=tls,
                http=http,  # type: ignore[arg-type]
                connect_timeout_s=connect_s,
                max_connections=most,
                keep_idle_s=keep_idle_s,
            )
        )


class Httpx:
    """The reference."""

    many = 150  # a thousand take it over a minute
    deviates: Mapping[str, str] = {
        "test_answers[204 with a body]": "reads the body as the next answer",
        "test_answers[204 with chunks]": "reads the chunks as the next answer",
        "test_answers[a second answer with it]": "takes it for the answer of the next request",
        "test_answers[garbage with it]": "takes it for the answer of the next request",
        "test_answers[too many interim answers]": "takes any number",
        "test_answers[an interim answer with a length]": "takes it",
        "test_answers[too many header lines]": "takes any number in 100 KiB",
        "test_answers[length and chunks]": "takes the chunks; RFC 9112 6.3 calls it an error",
        "test_answers[bare line feeds]": "takes them; RFC 9112 2.2 leaves the choice",
        "test_answers[204 of HTTP/1.0, kept]": "keeps no connection to HTTP/1.0",
        "test_the_total_deadline_holds[drip in the head]": "its timeout is that of one read",
        "test_the_total_deadline_holds[drip in the body]": "its timeout is that of one read",
        "test_a_connection_that_closes_at_the_next_request_is_replaced": "does not send again",
        "test_a_deadline_covers_the_wait_for_a_connection": "knows timeouts of single steps only",
    }

    def make(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        most: int = 8,
        connect_s: float = 1.0,
        keep_idle_s: float = 30.0,
        http: str = "1.1",
    ) -> httpx.AsyncBaseTransport:
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=keep_idle_s)
        return httpx.AsyncHTTPTransport(verify=tls or False, trust_env=False, limits=limits)


@dataclass
class Api:
    """A transport and one address."""

    transport: httpx.AsyncBaseTransport
    url: str
    connect_s: float

    async def send(self, path: str = "/api/sessions/env_1", *, timeout_s: float = 2.0, method: str = "DELETE") -> Seen:
        """Send a request and read the answer."""
        request = httpx.Request(
            method,
            self.url + path,
            headers={"authorization": f"Bearer {SECRET}", "user-agent": "test"},
            extensions={
                "reaper": {"timeout_s": timeout_s},
                "timeout": {"connect": self.connect_s, "read": timeout_s, "write": timeout_s, "pool": 60.0},
            },
        )
        try:
            response = await self.transport.handle_async_request(request)
            try:
                body = await response.aread()
            finally:
                await response.aclose()
        except (httpx.TransportError, OSError) as error:
            return Seen(trouble(error), error=error, request=request)
        return Seen(None, response.status_code, body, response.headers, request=request)


@asynccontextmanager
async def api(
    harness: Ours | Httpx,
    url: str,
    *,
    tls: ssl.SSLContext | None = None,
    most: int = 8,
    connect_s: float = 1.0,
    keep_idle_s: float = 30.0,
    http: str = "1.1",
) -> AsyncIterator[Api]:
    """Make a transport; after it, nothing of it is left."""
    tasks = asyncio.all_tasks()
    transport = harness.make(url, tls=tls, most=most, connect_s=connect_s, keep_idle_s=keep_idle_s, http=http)
    try:
        yield Api(transport, url, connect_s)
    finally:
        await transport.aclose()
    left = {one for one in asyncio.all_tasks() - tasks if "/reaper/api/" in one.get_coro().cr_code.co_filename}  # type: ignore[union-attr]
    assert not left, left


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Both event loops: a test module that imports this runs on each."""
    if request.param == "uvloop":
        try:
            import uvloop  # noqa: F401
        except ImportError:
            missing("uvloop", "is not installed")
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
def no_collector() -> Iterator[None]:
    """A socket that only the garbage collector would close counts as left behind."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()

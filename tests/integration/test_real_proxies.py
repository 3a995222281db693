"""Requests through real forward proxies: tinyproxy and squid, to http and https, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials
from reaper.core.classify import Final, Foreign, Unauthorized, classify
from reaper.core.model import Answered, Failed, Fault, Outcome, SessionId
from tests.support.eventually import eventually_async
from tests.support.http.byte_server import GONE, ByteServer
from tests.support.http.h2_hyper import HyperServer
from tests.support.http.proxies import RealProxy, squid, tinyproxy
from tests.support.http.talker import ASK, Talker
from tests.support.http.transports import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio

TOKEN = "archal_ws_secret"
KINDS = {"tinyproxy": tinyproxy, "squid": squid}
ONE = SessionId("env_1")


class Authority(NamedTuple):
    """A server's context, one that speaks HTTP/2, a proxy's certificate, and the file that makes a client trust."""

    server: ssl.SSLContext
    h2_server: ssl.SSLContext
    proxy: trustme.LeafCert
    ca_file: Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2)]
    for context in contexts:
        ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    contexts[1].set_alpn_protocols(["h2"])
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(ca.cert_pem.bytes())
    return Authority(contexts[0], contexts[1], ca.issue_cert("127.0.0.1"), path)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


@pytest.fixture
def through(kind: Any, tmp_path: Path) -> Iterator[RealProxy]:
    with kind(tmp_path) as running:
        yield running


@asynccontextmanager
async def client(url: str, proxy: str, **more: Any) -> AsyncIterator[Client]:
    made = Client(Target(url, 5.0, 3.0, proxy=proxy, **more), Credentials(None, TOKEN))
    try:
        yield made
    finally:
        await made.aclose()


async def test_a_tunnel_to_https_carries_many_requests(through: RealProxy, authority: Authority) -> None:
    async with (
        ByteServer(tls=authority.server) as api,
        client(api.url, through.url(), ca_file=str(authority.ca_file)) as made,
    ):
        for _ in range(3):
            assert classify(await made.stop(ONE)) == Final(Outcome.STOPPED)
        assert (api.connections, len(api.requests)) == (1, 3)
        for head in api.requests:
            assert head.startswith(b"DELETE /api/sessions/env_1 HTTP/1.1\r\nhost: 127.0.0.1:")
            assert b"proxy-" not in head.lower()
    await eventually_async(lambda: f"CONNECT 127.0.0.1:{api.port}" in through.asked())
    assert TOKEN not in through.asked()
    assert "env_1" not in through.asked()


async def test_a_tunnel_carries_http_2(through: RealProxy, authority: Authority) -> None:
    async with (
        HyperServer(authority.h2_server) as api,
        client(f"https://localhost:{api.port}", through.url(), ca_file=str(authority.ca_file), http="2") as made,
    ):
        for _ in range(3):
            reply = await made.stop(ONE)
            assert isinstance(reply, Answered), reply
            assert reply.status == 204
        assert not api.faults
    await eventually_async(lambda: f"CONNECT localhost:{api.port}" in through.asked())


async def test_plain_http_takes_the_absolute_form(through: RealProxy) -> None:
    async with ByteServer() as api, client(f"{api.url}/base", through.url()) as made:
        assert classify(await made.stop(ONE)) == Final(Outcome.STOPPED)
        assert api.requests[0].startswith(b"DELETE /base/api/sessions/env_1 HTTP/1.1\r\n")
        assert f"authorization: bearer {TOKEN}".encode() in api.requests[0].lower()
    await eventually_async(lambda: f"{api.url}/base/api/sessions/env_1" in through.asked())


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_credentials_go_to_the_proxy_alone(kind: Any, tmp_path: Path, authority: Authority, scheme: str) -> None:
    tls = authority.server if scheme == "https" else None
    with kind(tmp_path, credentials=True) as proxy:
        async with (
            ByteServer(tls=tls) as api,
            client(api.url, proxy.url(proxy.userinfo), ca_file=str(authority.ca_file)) as good,
            client(api.url, proxy.url("me%40work:wrong"), ca_file=str(authority.ca_file)) as wrong,
            client(api.url, proxy.url(), ca_file=str(authority.ca_file)) as none,
        ):
            assert classify(await good.stop(ONE)) == Final(Outcome.STOPPED)
            assert b"proxy-authorization" not in api.requests[0].lower()
            for refused in (wrong, none):
                reply = await refused.stop(ONE)
                verdict = classify(reply)
                if scheme == "http" and isinstance(verdict, Unauthorized):
                    continue  # tinyproxy says 401 to wrong ones, in its own name, and nobody can tell
                assert isinstance(verdict, Foreign)
                assert verdict.unsent == (scheme == "https")
                if scheme == "https":
                    assert isinstance(reply, Failed)
                    assert "the proxy answered 40" in reply.error
                    assert "wrong" not in repr(reply)
            assert len(api.requests) == 1


async def test_a_host_that_its_rules_forbid(kind: Any, tmp_path: Path, authority: Authority) -> None:
    with kind(tmp_path, deny=True) as proxy:
        async with (
            ByteServer(tls=authority.server) as api,
            client(api.url, proxy.url(), ca_file=str(authority.ca_file)) as made,
        ):
            reply = await made.stop(ONE)
            assert isinstance(reply, Failed)
            assert (reply.fault, reply.status, reply.written) == (Fault.PROXY, 403, False)
            assert "the proxy answered 403" in reply.error
            assert classify(reply) == Foreign(403, unsent=True)
            assert api.connections == 0


@pytest.mark.parametrize("where", ["https://127.0.0.1:1", "https://nothing.invalid"])
async def test_a_target_that_the_proxy_cannot_reach(through: RealProxy, where: str) -> None:
    async with client(where, through.url()) as made:
        reply = await made.stop(ONE)
    assert isinstance(reply, Failed)
    assert (reply.fault, reply.written) == (Fault.CONNECT, False)
    assert "the proxy answered 50" in reply.error


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("http", ["1.1", "auto"])
async def test_a_proxy_that_speaks_tls_itself(tmp_path: Path, authority: Authority, scheme: str, http: str) -> None:
    tls = authority.server if scheme == "https" else None
    with squid(tmp_path, credentials=True, leaf=authority.proxy) as proxy:
        async with ByteServer(tls=tls) as api:
            ca_file = str(authority.ca_file)
            async with client(api.url, proxy.url(proxy.userinfo), ca_file=ca_file, http=http) as made:
                for _ in range(3):
                    assert classify(await made.stop(ONE)) == Final(Outcome.STOPPED)
            assert (api.connections, len(api.requests)) == (1, 3)
            async with client(api.url, proxy.url(proxy.userinfo)) as distrusting:
                reply = await distrusting.stop(ONE)
                assert isinstance(reply, Failed)
                assert (reply.fault, reply.written) == (Fault.TLS, False)
                assert reply.error.startswith("TLS with the proxy failed: its certificate is signed by an authority")


async def test_http_2_inside_of_tls_inside_of_tls(tmp_path: Path, authority: Authority) -> None:
    with squid(tmp_path, leaf=authority.proxy) as proxy:
        async with (
            HyperServer(authority.h2_server) as api,
            client(f"https://localhost:{api.port}", proxy.url(), ca_file=str(authority.ca_file)) as made,
        ):
            for _ in range(20):
                assert classify(await made.stop(ONE)) == Final(Outcome.STOPPED)
            assert not api.faults


async def test_a_target_whose_certificate_is_not_trusted(through: RealProxy, authority: Authority) -> None:
    with Talker([[ASK, GONE]], authority.server).running() as api:
        async with client(api.url, through.url()) as made:
            reply = await made.stop(ONE)
        assert isinstance(reply, Failed)
        assert (reply.fault, reply.written) == (Fault.TLS, False)
        assert reply.error.startswith("TLS with the API's host failed: its certificate is signed by an authority")
        assert (api.connections, api.heads) == (1, [])

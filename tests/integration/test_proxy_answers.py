"""What a proxy may answer to CONNECT: each fault is named, no byte of the request is sent, and the deadline holds."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest

from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials
from reaper.api.http.proxy import Proxy
from reaper.core.classify import Foreign, Unsent, classify
from reaper.core.model import Failed, Fault, SessionId
from tests.support.http.byte_server import ByteServer, Drip, End, Script
from tests.support.http.transports import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio

ONE = SessionId("env_1")
LATE = "no connection within 0.5 s: "


async def ask(proxy: str, url: str = "https://api.invalid", **limits: Any) -> Failed:
    client = Client(
        Target(url, **{"timeout_s": 10.0, "connect_timeout_s": 10.0, **limits}, proxy=proxy),
        Credentials(None, "secret"),
    )
    try:
        reply = await client.stop(ONE)
    finally:
        await client.aclose()
    assert isinstance(reply, Failed), reply
    assert not reply.written
    return reply


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([End.CLOSE], "the proxy closed the connection before it answered CONNECT"),
        ([End.RESET], "the proxy closed the connection before it answered CONNECT"),
        ([b"HTTP/1.1 200 O", End.CLOSE], "the proxy closed the connection before it answered CONNECT"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "the proxy's answer to CONNECT is not HTTP"),
        ([b"\x15\x03\x01\x00\x02\x02\x46"], "the proxy's answer to CONNECT is not HTTP"),
        ([b"HTTP/1.1 abc\r\n\r\n"], "the proxy's answer to CONNECT is not HTTP"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000], "the proxy's answer to CONNECT is not HTTP"),
        ([b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03"], "the proxy sent something behind its answer to CONNECT"),
        ([b"HTTP/1.1 502 Bad\tGateway \xff\r\n\r\n"], "the proxy answered 502 Bad Gateway ÿ to CONNECT"),
        ([b"HTTP/1.0 503\r\n\r\n"], "the proxy answered 503 to CONNECT"),
        ([End.SILENCE], LATE + "the proxy did not answer CONNECT"),
        ([Drip(b"HTTP/1.1 200 OK\r\n", 0.2), End.SILENCE], LATE + "the proxy did not answer CONNECT"),
        ([b"HTTP/1.1 200 OK\r\n\r\n", End.SILENCE], LATE + "the TLS handshake with the host did not end"),
    ],
)  # fmt: skip
async def test_a_failure_to_connect_says_what_the_proxy_did(script: Script, words: str) -> None:
    async with ByteServer(script) as proxy:
        begun = time.monotonic()
        is_late = words.startswith(LATE)
        reply = await ask(proxy.url, timeout_s=10.0, connect_timeout_s=0.5 if is_late else 10.0)
        assert time.monotonic() - begun < (1.5 if is_late else 10.0)
    assert (reply.fault, reply.error) == (Fault.CONNECT, words)
    assert classify(reply) == Unsent(Fault.CONNECT)


@pytest.mark.parametrize("status", [301, 400, 403, 404, 407, 429])
async def test_a_refusal_is_foreign_with_its_status(status: int) -> None:
    async with ByteServer(
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 %d Because\r\nContent-Length: 2\r\n\r\nno" % status]
    ) as proxy:
        reply = await ask(proxy.url)
    assert (reply.fault, reply.status) == (Fault.PROXY, status)
    assert reply.error == f"the proxy answered {status} Because to CONNECT"
    assert classify(reply) == Foreign(status, unsent=True)


async def test_the_tunnel_is_closed_during_the_handshake() -> None:
    async with ByteServer([b"HTTP/1.1 200 OK\r\n\r\n", End.CLOSE]) as proxy:
        reply = await ask(proxy.url)
    assert (reply.fault, reply.error) == (
        Fault.TLS, "TLS with the API's host failed: the connection was closed during the handshake",
    )  # fmt: skip


async def test_the_deadline_of_a_send_holds_for_its_tunnel_too() -> None:
    async with ByteServer([End.SILENCE]) as proxy:
        begun = time.monotonic()
        reply = await ask(proxy.url, timeout_s=0.4, connect_timeout_s=5.0)
        assert time.monotonic() - begun < 1.5
    assert reply.fault is Fault.CONNECT


async def test_nobody_listens_where_the_proxy_should_be() -> None:
    reply = await ask("http://127.0.0.1:1")
    assert (reply.fault, reply.error) == (Fault.CONNECT, "the proxy refused the connection or cannot be reached")
    reply = await ask("http://nothing.invalid:3128")
    assert reply.fault in (Fault.DNS, Fault.CONNECT)
    assert "the proxy" in reply.error


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://api.invalid", b"api.invalid:443"),
        ("https://api.invalid:8443/deep/path", b"api.invalid:8443"),
        ("https://[2001:db8::1]", b"[2001:db8::1]:443"),
        ("https://[::1]:99", b"[::1]:99"),
        ("https://bücher.example", b"xn--bcher-kva.example:443"),
    ],
)
async def test_the_proxy_is_asked_for_host_and_port_and_gets_no_token(url: str, asked: bytes) -> None:
    async with ByteServer([b"HTTP/1.1 403 No\r\n\r\n"]) as proxy:
        await ask(proxy.url.replace("//", "//u%40x:p%3Aw@"), url)
        (head,) = proxy.requests
    assert head.startswith(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: archal-reaper/" % (asked, asked))
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"u@x:p:w") + b"\r\n" in head
    assert b"secret" not in head
    assert b"\r\nauthorization:" not in head.lower()


def test_the_address_of_a_proxy() -> None:
    assert Proxy.parse("http://[::1]:3128") == Proxy("::1", 3128, False)
    assert Proxy.parse("https://proxy") == Proxy("proxy", 443, True)
    assert Proxy.parse("http://user@proxy").authorization == b"Basic " + base64.b64encode(b"user:")
    assert Proxy.parse("http://u:%E4%2F@proxy").authorization == b"Basic " + base64.b64encode(b"u:\xe4/")  # not UTF-8
    assert "cGFzcw" not in repr(Proxy.parse("http://:pass@proxy"))


async def test_many_at_once_share_the_tunnels(anyio_backend: object) -> None:  # noqa: F811
    """A refusal fails the send that wanted the tunnel; the others have theirs."""
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    async with ByteServer([refused]) as proxy:
        client = Client(
            Target("https://api.invalid", 2.0, 1.0, proxy=proxy.url, concurrency=20), Credentials(None, "x")
        )
        replies = await asyncio.gather(*(client.stop(SessionId(f"env_{n}")) for n in range(20)))
        await client.aclose()
    assert {reply.fault for reply in replies if isinstance(reply, Failed)} == {Fault.PROXY}
    assert len([reply for reply in replies if isinstance(reply, Failed)]) == 20

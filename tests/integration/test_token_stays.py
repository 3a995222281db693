"""The token goes to one host, and what comes back from there is kept without it."""

from __future__ import annotations

import json

import pytest

from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials
from reaper.core.classify import Final, classify
from reaper.core.model import Answered, Outcome, SessionId
from tests.support.http.byte_server import ByteServer

pytestmark = pytest.mark.anyio

TOKEN = "archal_ws_secret"
ONE = SessionId("env_1")


def redirecting(status: int, where: str) -> bytes:
    return f"HTTP/1.1 {status} Elsewhere\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
async def test_a_redirect_to_another_port_is_not_followed(status: int) -> None:
    async with (
        ByteServer() as elsewhere,
        ByteServer([redirecting(status, f"{elsewhere.url}/api/sessions/env_1")]) as api,
    ):
        client = Client(Target(api.url, 2.0, 1.0), Credentials(None, TOKEN))
        for reply in (await client.stop(ONE), await client.list_sessions(), await client.whoami()):
            assert isinstance(reply, Answered)
            assert reply.status == status
        assert (len(api.requests), elsewhere.connections, elsewhere.requests) == (3, 0, [])
        await client.aclose()


async def test_through_a_proxy_neither() -> None:
    """There httpx itself would know how to follow one; the proxy plays the API, as any proxy of plain HTTP can."""
    async with ByteServer() as elsewhere, ByteServer([redirecting(302, f"{elsewhere.url}/")]) as proxy:
        client = Client(Target("http://api.invalid", 2.0, 1.0, proxy=proxy.url), Credentials(None, TOKEN))
        reply = await client.stop(ONE)
        assert isinstance(reply, Answered)
        assert reply.status == 302
        assert (len(proxy.requests), elsewhere.connections) == (1, 0)
        await client.aclose()


@pytest.mark.parametrize("token", [TOKEN, 'archal_ws_"s\\'])
async def test_a_token_that_the_answer_repeats_is_not_kept(token: str) -> None:
    """Of an answer that rejects an ID the body is kept, and of any its request ID."""
    body = json.dumps({"error": f"Bearer {token} may not do this"}).encode()
    head = f"HTTP/1.1 400 Bad Request\r\nX-Request-Id: {token}-7\r\nContent-Length: {len(body)}\r\n\r\n"
    async with ByteServer([head.encode() + body]) as api:
        client = Client(Target(api.url, 2.0, 1.0), Credentials(None, token))
        reply = await client.stop(ONE)
        await client.aclose()
    assert isinstance(reply, Answered)
    assert reply.request_id == "********-7"
    assert classify(reply) == Final(Outcome.REJECTED, "Bearer ******** may not do this", 400)
    assert "ws_" not in repr(reply)

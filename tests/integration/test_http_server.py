"""The health listener over a real socket: what it answers, what it refuses, what it survives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from reaper.telemetry.http import server
from reaper.telemetry.http.response import Handler, Page, text
from reaper.telemetry.http.server import serve
from tests.support.http.ask import ask

pytestmark = pytest.mark.anyio


async def plain() -> Page:
    return text(200, "all is well")


async def broken() -> Page:
    raise KeyError("a fault of ours")


PAGES: dict[str, Handler] = {"/": plain, "/livez": plain, "/broken": broken}


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    async with anyio.create_task_group() as group:
        yield await group.start(
            lambda task_status: serve("127.0.0.1", 0, PAGES, guarded={"/"}, task_status=task_status)
        )
        group.cancel_scope.cancel()


async def test_a_page_and_its_headers() -> None:
    async with listening() as where:
        first, headers, body = await ask(where, b"GET /livez?x=1 HTTP/1.1\r\nHost: probe.example\r\n\r\n")
        assert (first, body) == ("HTTP/1.1 200 OK", b"all is well\n")
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-length"] == str(len(body))


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    async with listening() as where:
        _, of_get, body = await ask(where, b"GET /livez HTTP/1.1\r\n\r\n")
        first, of_head, nothing = await ask(where, b"HEAD /livez HTTP/1.1\r\n\r\n")
        assert first == "HTTP/1.1 200 OK"
        assert of_head == of_get
        assert body
        assert nothing == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\n\r\n", "404"),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405"),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", "405"),
        (b"hello\r\n\r\n", "400"),
        (b"GET / SPDY/3\r\n\r\n", "400"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", "431"),
        (b"GET / HTTP/1.1\r\nCookie: " + b"a" * 200_000 + b"\r\n\r\n", "431"),
    ],
)
async def test_refusals_reach_who_asked(request_: bytes, status: str) -> None:
    """Also where more was sent than was read: the connection is not reset over the answer."""
    async with listening() as where:
        first, headers, body = await ask(where, request_)
        assert first.split()[1] == status
        assert body
        assert ("allow" in headers) == (status == "405")


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:9464", "200"), ("localhost", "200"), ("[::1]:80", "200"), ("evil.example:9464", "421"), ("", "421")],
)
async def test_no_other_site_can_read_a_guarded_page(host: str, status: str) -> None:
    async with listening() as where:
        first, _, body = await ask(where, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert first.split()[1] == status
        assert (b"all is well" in body) == (status == "200")
        first, _, _ = await ask(where, f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert first.split()[1] == "200", "a probe may use any name"


async def test_a_fault_in_a_page_ends_nothing() -> None:
    async with listening() as where:
        first, _, body = await ask(where, b"GET /broken HTTP/1.1\r\n\r\n")
        assert first.split()[1] == "500"
        assert b"a fault of ours" not in body
        assert (await ask(where, b"GET /livez HTTP/1.1\r\n\r\n"))[0].endswith("200 OK")


async def test_who_never_asks_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", 0.1)
    async with listening() as where:
        assert await ask(where, b"GET / HT") == ("", {}, b"")

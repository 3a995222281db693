"""One suite for both transports, ours and that of httpx, against a server that plays bytes.

Where one is known to deviate its harness says so (`transport_kit.py`), and the test must then fail for it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import ssl
from typing import Any

import anyio
import httpx
import pytest

from tests.support.eventually import eventually_async
from tests.support.http.byte_answers import ANSWERS, OK
from tests.support.http.byte_server import GONE, ByteServer, Drip, End, Script, Wait
from tests.support.http.transports import Httpx, Ours, api, causes, certified
from tests.support.programs import missing

pytestmark = pytest.mark.anyio

CASES: dict[str, tuple[type[Ours] | type[Httpx], bool]] = {
    "ours-asyncio": (Ours, False),
    "ours-uvloop": (Ours, True),
    "httpx": (Httpx, False),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[type[Ours] | type[Httpx], bool]:
    return CASES[request.param]


@pytest.fixture
def anyio_backend(case: tuple[Any, bool]) -> tuple[str, dict[str, Any]]:
    if case[1]:
        try:
            import uvloop  # noqa: F401
        except ImportError:
            missing("uvloop", "is not installed")
    return "asyncio", {"use_uvloop": case[1]}


@pytest.fixture
def harness(case: tuple[type[Ours] | type[Httpx], bool], request: pytest.FixtureRequest) -> Ours | Httpx:
    made = case[0]()
    name = request.node.name.replace("ours-asyncio", "").replace("ours-uvloop", "").replace("httpx", "")
    name = name.replace("[-", "[").replace("-]", "]").replace("[]", "")
    reason = made.deviates.get(name)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError))
    return made


@pytest.mark.parametrize("name", ANSWERS)
async def test_answers(harness: Ours | Httpx, name: str) -> None:
    script, status, body, kept = ANSWERS[name]
    # The second answer has another status than anything that remains of the first.
    async with ByteServer(script, [b"HTTP/1.1 410 Next\r\nContent-Length: 0\r\n\r\n"]) as server:
        async with api(harness, server.url) as client:
            first = await client.send()
            assert (first.trouble, first.status, first.body) == (None if status else "broken", status, body)
            second = await client.send()
            assert (second.trouble, second.status) == (None, 410)
            assert len(server.requests) == 2
            assert server.connections == (1 if kept else 2)
        await eventually_async(lambda: server.open == 0)


async def test_interim_headers_do_not_leak(harness: Ours | Httpx) -> None:
    hints = b"HTTP/1.1 103 Hints\r\nRetry-After: 9\r\n\r\n"
    async with ByteServer([hints + GONE]) as server, api(harness, server.url) as client:
        seen = await client.send()
    assert seen.headers.get("x-request-id") == "r1"
    assert "retry-after" not in seen.headers


async def test_the_request_is_what_was_asked_for(harness: Ours | Httpx) -> None:
    async with ByteServer() as server, api(harness, server.url) as client:
        assert (await client.send("/api/sessions/a%2Fb?x=1")).status == 204
        assert (await client.send("/api/sessions", method="GET")).status == 204
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "DELETE /api/sessions/a%2Fb?x=1 HTTP/1.1"
    assert lines[1].lower() == f"host: 127.0.0.1:{server.port}"
    assert sorted(line.lower() for line in lines[2:] if line) == [
        "authorization: bearer archal_ws_secret", "user-agent: test",
    ]  # fmt: skip
    assert server.requests[1].startswith(b"GET /api/sessions HTTP/1.1\r\n")


@pytest.mark.parametrize("ending", ["garbage", "408", "close"])
async def test_what_comes_to_an_idle_connection_is_no_answer(harness: Ours | Httpx, ending: str) -> None:
    late = {"garbage": b"\0\0", "408": b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n", "close": b""}[ending]
    script: Script = [GONE, Wait(0.05), late, Wait(0.01), End.CLOSE]
    async with ByteServer(script, [GONE]) as server, api(harness, server.url) as client:
        assert (await client.send()).status == 204
        await eventually_async(lambda: server.open == 0)
        assert (await client.send()).status == 204
        assert server.connections == 2
        assert len(server.requests) == 2


async def test_a_connection_that_closes_at_the_next_request_is_replaced(harness: Ours | Httpx) -> None:
    async with ByteServer([GONE], [End.CLOSE], [GONE]) as server, api(harness, server.url) as client:
        assert (await client.send()).status == 204
        seen = await client.send()
        assert seen.status == 204, seen.trouble
        assert len(server.requests) == 3
        assert server.connections == 2


@pytest.mark.parametrize(
    ("scripts", "requests"),
    [([[GONE], [b"H", Wait(0.02), End.CLOSE]], 2), ([[End.CLOSE]], 1)],
    ids=["after a byte", "new connection"],
)
async def test_when_nothing_is_sent_again(harness: Ours | Httpx, scripts: list[Script], requests: int) -> None:
    async with ByteServer(*scripts) as server, api(harness, server.url) as client:
        while len(server.requests) < requests - 1:
            assert (await client.send()).status == 204
        assert (await client.send()).trouble == "broken"
        assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("script", "most_s"),
    [
        ([Drip(OK + b"X: " + b"x" * 40, 0.05), End.CLOSE], 0.3),
        ([OK + b"Content-Length: 60\r\n\r\n", Drip(b"x" * 60, 0.04)], 0.3),
        ([End.SILENCE], 0.3),
        ([OK + b"Content-Length: 60\r\n\r\nx", End.SILENCE], 0.3),
    ],
    ids=["drip in the head", "drip in the body", "silence", "silence in the body"],
)
async def test_the_total_deadline_holds(harness: Ours | Httpx, script: Script, most_s: float) -> None:
    async with ByteServer(script, [GONE]) as server, api(harness, server.url) as client:
        begun = anyio.current_time()
        seen = await client.send(timeout_s=most_s)
        assert seen.trouble == "late"
        assert most_s - 0.02 <= anyio.current_time() - begun < most_s + 0.7
        assert (await client.send()).status == 204
        await eventually_async(lambda: server.open <= 1 or server.connections == 2)


async def test_a_deadline_covers_the_wait_for_a_connection(harness: Ours | Httpx) -> None:
    async with ByteServer([End.SILENCE]) as server, api(harness, server.url, most=1) as client:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(client.send(timeout_s=1.0))
            await eventually_async(lambda: len(server.requests) == 1)
            second = await client.send(timeout_s=0.2)
        assert second.trouble == "full"
        assert first.result().trouble == "late"
        assert len(server.requests) == 1


async def test_nobody_listens(harness: Ours | Httpx) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        async with api(harness, f"http://127.0.0.1:{unheard.getsockname()[1]}") as client:
            for _ in range(2):
                seen = await client.send()
                assert seen.trouble == "unconnected"
                assert isinstance(seen.error, httpx.ConnectError)


async def test_a_name_that_does_not_resolve(harness: Ours | Httpx) -> None:
    async with api(harness, "http://nothing.invalid", connect_s=10) as client:
        seen = await client.send(timeout_s=20)
    assert any(isinstance(cause, socket.gaierror) for cause in causes(seen.error))
    assert isinstance(seen.error, httpx.ConnectError)


async def test_a_name_of_two_addresses_of_which_one_answers(harness: Ours | Httpx) -> None:
    async with ByteServer() as server, api(harness, f"http://localhost:{server.port}") as client:
        assert (await client.send()).status == 204


async def test_a_handshake_that_does_not_come_ends_with_the_connect_timeout(harness: Ours | Httpx) -> None:
    tls = ssl.create_default_context()
    async with ByteServer(greeting=[End.SILENCE]) as server:
        async with api(harness, server.url.replace("http:", "https:"), tls=tls, connect_s=0.3) as client:
            begun = anyio.current_time()
            seen = await client.send(timeout_s=5)
            assert isinstance(seen.error, httpx.ConnectTimeout)
            assert 0.25 < anyio.current_time() - begun < 2
        await eventually_async(lambda: not server.requests and server.connections == 1)


async def test_no_file_descriptor_is_left(harness: Ours | Httpx) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    async with ByteServer() as server, api(harness, server.url) as client:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 20, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                held.extend(os.open("/dev/null", os.O_RDONLY) for _ in iter(int, 1))
            seen = await client.send()
        finally:
            for one in held:
                os.close(one)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert isinstance(seen.error, httpx.ConnectError)
        assert errno.EMFILE in [getattr(cause, "errno", None) for cause in causes(seen.error)]
        assert (await client.send()).status == 204
        assert len(server.requests) == 1


async def test_a_cancelled_request_poisons_nothing(harness: Ours | Httpx) -> None:
    late: Script = [Wait(0.05), b"HTTP/1.1 410 Late\r\nContent-Length: 0\r\n\r\n"]
    async with ByteServer(*[late] * 8, [GONE]) as server, api(harness, server.url, most=2) as client:
        for number in range(8):
            with anyio.move_on_after(0.045 + number * 0.003):
                assert (await client.send()).status == 410
        await eventually_async(lambda: len(server.requests) == 8)
        await asyncio.sleep(0.06)
        for _ in range(4):
            first, second = await asyncio.gather(client.send(), client.send())
            assert (first.status, second.status) == (204, 204)
        await eventually_async(lambda: server.open <= 2)


async def test_deadlines_that_pass_do_not_fail_those_who_wait(harness: Ours | Httpx) -> None:
    silent: Script = [Wait(5.0)]
    async with ByteServer(*[silent] * 4, [GONE]) as server, api(harness, server.url, most=1) as client:
        hanging = [asyncio.create_task(client.send(timeout_s=0.15 * (turn + 1))) for turn in range(4)]
        await eventually_async(lambda: server.open == 1)
        assert (await client.send(timeout_s=10)).status == 204
        assert [(await one).status for one in hanging] == [0] * 4


async def test_many_at_once_share_few_connections_in_order(harness: Ours | Httpx) -> None:
    async with ByteServer([Wait(0.01), GONE]) as server, api(harness, server.url, most=64) as client:
        seen = await asyncio.gather(*(client.send(f"/{n}", timeout_s=60) for n in range(harness.many)))
        assert {one.status for one in seen} == {204}
        assert server.connections == server.max_open == 64
    arrived = [int(request.split(b" ", 2)[1][1:]) for request in server.requests]
    assert sorted(arrived) == list(range(harness.many))
    # A connection that is late by some turns of a busy loop is overtaken by all others; most are not late.
    assert sorted(abs(place - number) for place, number in enumerate(arrived))[harness.many // 2] <= 64


async def test_over_tls(harness: Ours | Httpx) -> None:
    made = certified("127.0.0.1")
    async with ByteServer(tls=made.server) as server:
        async with api(harness, server.url, tls=made.client) as client:
            for _ in range(5):
                assert (await client.send()).status == 204
            assert server.connections == 1
        await eventually_async(lambda: server.open == 0)


@pytest.mark.parametrize("why", ["unknown authority", "another name", "no TLS there"])
async def test_tls_that_fails_sends_nothing(harness: Ours | Httpx, why: str) -> None:
    made = certified("elsewhere.test" if why == "another name" else "127.0.0.1")
    tls = ssl.create_default_context() if why == "unknown authority" else made.client
    script: Script | None = [b"HTTP/1.1 400 Plain\r\n\r\n", End.CLOSE] if why == "no TLS there" else None
    async with ByteServer(tls=None if script else made.server, greeting=script) as server:
        async with api(harness, server.url.replace("http:", "https:"), tls=tls) as client:
            seen = await client.send()
            assert isinstance(seen.error, httpx.ConnectError)
            assert any(isinstance(cause, ssl.SSLError) for cause in causes(seen.error))
            assert server.requests == []
        await eventually_async(lambda: server.open == 0)

"""The health listener over a real socket: what it answers, what it refuses, what it survives."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
import anyio.abc
import pytest
from anyio.streams.stapled import MultiListener

from reaper.settings.sections import TelemetrySettings
from reaper.telemetry import logs
from reaper.telemetry.http import server
from reaper.telemetry.http.request import Request
from reaper.telemetry.http.response import Page, text
from reaper.telemetry.http.router import Route
from reaper.telemetry.http.server import MAX_BODY_BYTES, MAX_CONNECTIONS, bind, serve
from tests.support.http.ask import ask

pytestmark = pytest.mark.anyio


async def plain(_: Request) -> Page:
    return text(200, "all is well")


async def broken(_: Request) -> Page:
    raise KeyError("a fault of ours")


async def slow(_: Request) -> Page:
    await anyio.sleep(60)
    return text(200, "at last")


async def act(request: Request) -> Page:
    return text(200, f"{len(request.body)} bytes of {request.headers.get('authorization')}")


ROUTES = {
    "/": Route(plain, guarded=True), "/livez": Route(plain), "/broken": Route(broken), "/slow": Route(slow),
    "/act": Route(act, method="POST"), "/slow-act": Route(slow, method="POST"),
}  # fmt: skip


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    async with anyio.create_task_group() as group:
        yield await group.start(lambda task_status: serve("127.0.0.1", 0, lambda: ROUTES, task_status=task_status))
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


async def test_many_who_dawdle_starve_no_probe_and_are_bounded() -> None:
    """Slow writers of a request and slow readers of a response, three times as many as may be open."""
    async with listening() as where, AsyncExitStack() as held:
        host, port = where.rsplit(":", 1)
        streams = []
        for number in range(3 * MAX_CONNECTIONS):
            streams.append(await held.enter_async_context(await anyio.connect_tcp(host, int(port))))
            await streams[-1].send(b"GET /livez HT" if number % 2 else b"GET /slow HTTP/1.1\r\n\r\n")
            if number % 10 == 0:
                with anyio.fail_after(1):
                    assert (await ask(where, b"GET /livez HTTP/1.1\r\n\r\n"))[0].endswith("200 OK")
        with anyio.fail_after(1):
            assert (await ask(where, b"GET /livez HTTP/1.1\r\n\r\n"))[0].endswith("200 OK")
        still_open = [await _is_open(stream) for stream in streams].count(True)
        assert still_open <= MAX_CONNECTIONS, "more connections are open than may be"


async def _is_open(stream: anyio.abc.SocketStream) -> bool:
    try:
        with anyio.move_on_after(0.01):
            await stream.receive()
        return True
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return False


# --- acts ---------------------------------------------------------------------------------------------------------


def post(body: bytes = b"{}", path: str = "/act", **headers: str) -> bytes:
    given = {"host": "127.0.0.1:9464", "content-type": "application/json", "content-length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def test_no_fault_of_a_connection_ends_the_listener_and_it_is_logged_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken_head(_: bytes) -> Request:
        raise KeyError("a fault of ours")

    written = io.StringIO()
    logs.configure(TelemetrySettings(log_format="json"), written, secrets=lambda: ())
    monkeypatch.setattr(server, "read_head", broken_head)
    assert await answers(3) == [""] * 3
    (line,) = map(json.loads, written.getvalue().splitlines())
    assert (line["event"], line["detail"]) == ("listener.failed", "a connection failed: KeyError: 'a fault of ours'")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ECONNABORTED, errno.EPROTO, errno.EHOSTUNREACH, errno.EPERM])
async def test_a_connection_that_could_not_be_taken_ends_nothing_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    written, taken = io.StringIO(), Taken([OSError(number, "no luck")] * 3)
    logs.configure(TelemetrySettings(log_format="json"), written, secrets=lambda: ())
    monkeypatch.setattr(server, "ACCEPT_AGAIN_S", 0.001)
    monkeypatch.setattr(server, "bind", taken.bind)
    assert await answers(1) == ["HTTP/1.1 200 OK"]
    assert taken.errors == []
    (line,) = map(json.loads, written.getvalue().splitlines())
    assert line["detail"] == "a connection could not be taken: no luck"


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.ENOTSOCK])
async def test_a_broken_listener_is_an_error(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(server, "bind", Taken([OSError(number, "broken")]).bind)
    with pytest.raises(ExceptionGroup) as caught:
        async with listening():
            await anyio.sleep(10)
    assert caught.group_contains(OSError, match="broken")


async def answers(number: int) -> list[str]:
    """Return the status lines of so many probes; where the listener ended, why."""
    try:
        async with listening() as where:
            return [(await ask(where, b"GET /livez HTTP/1.1\r\n\r\n"))[0] for _ in range(number)]
    except BaseExceptionGroup as group:
        return [repr(group)]


class Taken:
    """Stands before accept() with errors, the first of which it raises first."""

    def __init__(self, errors: list[OSError]) -> None:
        self.errors = errors

    async def bind(self, host: str, port: int) -> MultiListener[anyio.abc.SocketStream]:
        bound = await bind(host, port)
        for one in bound.listeners:
            assert isinstance(one, anyio.abc.SocketListener)
            one.accept = partial(self._accept, one.accept)  # type: ignore[method-assign]
        return bound

    async def _accept(self, accept: Callable[[], Awaitable[anyio.abc.SocketStream]]) -> anyio.abc.SocketStream:
        if self.errors:
            raise self.errors.pop(0)
        return await accept()


@pytest.mark.parametrize("size", [0, 2, 5_000, MAX_BODY_BYTES])
async def test_an_act_gets_its_whole_body(size: int) -> None:
    async with listening() as where:
        first, _, body = await ask(where, post(b"x" * size, authorization="Bearer t"))
        assert (first, body) == ("HTTP/1.1 200 OK", f"{size} bytes of Bearer t\n".encode())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /act HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"HEAD /act HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (post(path="/livez"), 405),
        (post(path="/nothing"), 405),
        (post(host="evil.example"), 421),
        (post(host=""), 421),
        (post(origin="https://evil.example"), 403),
        (post(origin="null"), 403),
        (post(origin="http://127.0.0.1:1"), 403),
        (post(sec_fetch_site="cross-site"), 403),
        (post(sec_fetch_site="same-site"), 403),
        (post(sec_fetch_site="none"), 403),
        (post(content_type="text/plain"), 415),
        (post(content_type="application/x-www-form-urlencoded"), 415),
        (post(content_length=""), 411),
        (post(content_length="-1"), 411),
        (post(transfer_encoding="chunked"), 411),
        (post(b"x" * (MAX_BODY_BYTES + 1)), 413),
        (post(content_length="9" * 5000), 413),
        (post(content_length="0" * 20 + "1" * 4_400), 413),
        (post(content_length="0" * 20 + "9999999999"), 413),
        (post(content_length="0" * 5_000 + "2"), 200),
        (post(content_length="2\r\nContent-Length: 3"), 400),
        (post(origin="http://127.0.0.1:9464\r\nOrigin: null"), 400),
        (post(origin="http://127.0.0.1:9464", sec_fetch_site="same-origin"), 200),
        (post(origin="https://127.0.0.1:9464", content_type="application/json; charset=utf-8"), 200),
    ],
)
async def test_only_this_page_and_programs_act(request_: bytes, status: int) -> None:
    async with listening() as where:
        first, _, _ = await ask(where, request_)
        assert first.split()[1:2] == [str(status)]


async def test_a_body_that_never_ends_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", 0.1)
    async with listening() as where:
        assert await ask(where, post(b"{", content_length="9")) == ("", {}, b"")


async def test_an_act_outlives_the_time_of_a_page_and_is_not_ended_by_those_who_come_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", 0.2)
    async with listening() as where, AsyncExitStack() as held:
        host, port = where.rsplit(":", 1)
        stream = await held.enter_async_context(await anyio.connect_tcp(host, int(port)))
        await stream.send(post(path="/slow-act"))
        await anyio.sleep(0.1)
        for _ in range(2 * MAX_CONNECTIONS):
            await held.enter_async_context(await anyio.connect_tcp(host, int(port)))
        await anyio.sleep(0.3)
        assert await _is_open(stream)

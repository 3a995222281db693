"""Serves the pages and acts of the health listener from the event loop that does the work.

A response shows that the loop is alive; `/livez` adds that the claim loop advances. No page calls the API.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskStatus
from anyio.streams.stapled import MultiListener

from reaper.core.errors import ConfigError
from reaper.core.every import every
from reaper.telemetry import events, logs
from reaper.telemetry.http.request import Request, is_ours, read_head
from reaper.telemetry.http.response import Page, encode, text
from reaper.telemetry.http.router import ACT_S, Route, Routes, chosen

MAX_HEAD_BYTES = 8192
MAX_BODY_BYTES = 64 * 1024
MAX_LENGTH_DIGITS = 5
"""Of a Content-Length without leading zeros: Python refuses to read thousands of digits as a number."""
REQUEST_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 32
"""Open at once; each is for one response. A new one ends the oldest: a probe gets its answer however many dawdle."""
DRAIN_S = 1.0
DRAIN_BYTES = 256 * 1024
"""Limits of reading what follows a refused request: closing with unread bytes resets the connection."""


_LISTENER_BROKEN = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
"""Errors of accept() that concern the listener. Others are of one connection, or a lack that passes (accept(2))."""
ACCEPT_AGAIN_S = 0.1
LOG_S = 60.0
"""A failure that a client can cause is logged so often at most."""


async def bind(host: str, port: int) -> MultiListener[SocketStream]:
    """Return a listener at an address. Raises ConfigError when that cannot be bound."""
    try:
        return await anyio.create_tcp_listener(local_host=host, local_port=port, reuse_port=False)
    except OSError as error:
        raise ConfigError(
            f"telemetry.listen: {host}:{port} cannot be bound: {error.strerror or error}; give another address or none"
        ) from error


async def serve(
    host: str,
    port: int,
    routes: Callable[[], Routes],
    *,
    task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; report the address to `task_status` once it listens.

    `routes` is asked for each request. Raises ConfigError when the address cannot be bound.
    """
    listener = await bind(host, port)
    open_: dict[anyio.CancelScope, None] = {}
    """The connections, the oldest first."""
    may_log = every(LOG_S, anyio.current_time)

    async def answer(stream: SocketStream, scope: anyio.CancelScope) -> None:
        request, route = await _read(stream, routes, host)
        if isinstance(route, Page):
            await stream.send(encode(route, body=request.method != "HEAD"))
            await _drain(stream)
            return
        if route.method == "POST":
            # From here on it is no dawdler: those who come later do not end what an operator ordered.
            open_.pop(scope, None)
            scope.deadline = anyio.current_time() + ACT_S
        page = await _render(request.path, route, request)
        if route.method == "POST":
            scope.deadline = anyio.current_time() + REQUEST_TIMEOUT_S
        await stream.send(encode(page, body=request.method != "HEAD"))

    async def connected(stream: SocketStream, scope: anyio.CancelScope) -> None:
        """Answer one connection. No fault of it may reach the listener: it shares a task group with the work."""
        try:
            async with stream:
                with scope:
                    await answer(stream, scope)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            pass
        except Exception as error:  # noqa: BLE001
            if may_log():
                logs.get().error(events.LISTENER_FAILED, detail=f"a connection failed: {_described(error)}")
        finally:
            open_.pop(scope, None)

    def accepted(stream: SocketStream) -> None:
        if len(open_) >= MAX_CONNECTIONS:
            oldest = next(iter(open_))
            del open_[oldest]
            oldest.cancel()
        scope = anyio.CancelScope(deadline=anyio.current_time() + REQUEST_TIMEOUT_S)
        open_[scope] = None
        connections.start_soon(connected, stream, scope)

    async with listener, anyio.create_task_group() as connections:
        bound = listener.extra(SocketAttribute.local_address)
        task_status.started(f"{bound[0]}:{bound[1]}")
        for one in listener.listeners:
            assert isinstance(one, SocketListener)
            connections.start_soon(_accept, one, accepted)


async def _accept(listener: SocketListener, accepted: Callable[[SocketStream], object]) -> None:
    """Take connections until cancelled. Raises OSError when the listener itself is broken."""
    may_log = every(LOG_S, anyio.current_time)
    while True:
        try:
            accepted(await listener.accept())
        except OSError as error:
            if error.errno in _LISTENER_BROKEN:
                raise
            if may_log():
                why = error.strerror or error
                logs.get().warning(events.LISTENER_FAILED, detail=f"a connection could not be taken: {why}")
            # A lack of descriptors for a probe must not end the work: sends that end release some.
            await anyio.sleep(ACCEPT_AGAIN_S)


async def _read(stream: SocketStream, routes: Callable[[], Routes], host: str) -> tuple[Request, Route | Page]:
    """Return a request, and what answers it."""
    head = await _read_head(stream)
    if isinstance(head, Page):
        return Request("", "", None), head
    request, body = head
    request = replace(request, foreign=request.host is not None and not is_ours(request.host, host))
    route = chosen(request, routes(), host)
    if isinstance(route, Page) or route.method == "GET":
        return request, route
    whole = await _read_body(stream, request, body)
    return (request, whole) if isinstance(whole, Page) else (replace(request, body=whole), route)


async def _read_head(stream: SocketStream) -> tuple[Request, bytes] | Page:
    """Return the request without its body, and what came behind its head; or the page that refuses it."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        head += await stream.receive(4096)
        if len(head) > MAX_HEAD_BYTES:
            break
    ends = [(at, at + len(end)) for end in (b"\r\n\r\n", b"\n\n") if (at := head.find(end)) >= 0]
    end, body = min(ends, default=(len(head), len(head)))
    if end > MAX_HEAD_BYTES:
        return text(431, "the request's head is too large")
    request = read_head(head[:body])
    return text(400, "this is not an HTTP request") if request is None else (request, head[body:])


async def _read_body(stream: SocketStream, request: Request, body: bytes) -> bytes | Page:
    """Return the body of a request, which begins with `body`; or the page that refuses it."""
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdecimal()) or "transfer-encoding" in request.headers:
        return text(411, "an act has a Content-Length")
    digits = length.lstrip("0") or "0"
    if len(digits) > MAX_LENGTH_DIGITS or (size := int(digits)) > MAX_BODY_BYTES:
        return text(413, f"an act has at most {MAX_BODY_BYTES:,} bytes; send the IDs in parts, or choose by a filter")
    whole = bytearray(body)
    while len(whole) < size:
        whole += await stream.receive()
    return bytes(whole[:size])


async def _drain(stream: SocketStream) -> None:
    """Read and drop the rest of a refused request."""
    await stream.send_eof()
    left = DRAIN_BYTES
    with anyio.move_on_after(DRAIN_S):
        while left > 0:
            left -= len(await stream.receive())


async def _render(path: str, route: Route, request: Request) -> Page:
    """Return the page, or a 500: a fault in a page ends neither the listener nor the work."""
    try:
        return await route.answer(request)
    except Exception as error:  # noqa: BLE001
        logs.get().error(events.LISTENER_FAILED, page=path, detail=_described(error))
        return text(500, "this page failed; the log says why, and the work goes on")


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

"""The health listener: a few pages, answered by the event loop that does the work.

That it answers at all shows that the loop is alive; `/livez` adds that the work is moving. It never asks the API.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskStatus

from reaper.core.errors import ConfigError
from reaper.telemetry import events, logs
from reaper.telemetry.http.request import Request, is_ours, read_head

HEAD_BYTES = 8192
REQUEST_TIMEOUT_S = 5.0
MAX_ANSWERED = 32
"""At once; who has not asked yet keeps nobody waiting."""
DRAIN_S = 1.0
DRAIN_BYTES = 256 * 1024
"""So much of what still arrives after a refusal is read away: closing over it would take the answer back."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: status, content type, body, and headers beside those that every answer has."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def text(status: int, words: str, *headers: tuple[str, str]) -> Page:
    """Return a page of plain text."""
    return Page(status, "text/plain; charset=utf-8", words.encode() + b"\n", headers)


def as_json(value: object) -> Page:
    """Return a page of JSON."""
    return Page(200, "application/json", json.dumps(value).encode() + b"\n")


Handler = Callable[[], Awaitable[Page]]

_SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_MISDIRECTED = (
    "this page is shown under an address, under localhost, or under the name in telemetry.listen, so that no other "
    "site can read it through a browser"
)
_ALWAYS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Connection", "close"),
)


async def serve(
    host: str,
    port: int,
    pages: dict[str, Handler],
    *,
    guarded: Collection[str] = (),
    task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; reports the address once it listens.

    The pages `guarded` are shown only where the Host line of the request is ours (`request.is_ours`).
    Raises ConfigError when the address cannot be bound.
    """
    try:
        listener = await anyio.create_tcp_listener(local_host=host, local_port=port, reuse_port=False)
    except OSError as error:
        raise ConfigError(
            f"telemetry.listen: {host}:{port} cannot be bound: {error.strerror or error}; give another address or none"
        ) from error
    slots = anyio.CapacityLimiter(MAX_ANSWERED)

    async def answer(request: Request | Page) -> bytes:
        if isinstance(request, Page):
            return _encode(request)
        if request.method not in ("GET", "HEAD"):
            return _encode(text(405, "only GET is answered here", ("Allow", "GET, HEAD")))
        handler = pages.get(request.path)
        if handler is None:
            page = text(404, "there is nothing here; try " + " ".join(pages))
        elif request.path in guarded and not is_ours(request.host, host):
            page = text(421, _MISDIRECTED)
        else:
            page = await _made(request.path, handler)
        return _encode(page, body=request.method == "GET")

    async def connected(stream: SocketStream) -> None:
        async with stream:
            with anyio.move_on_after(REQUEST_TIMEOUT_S):
                try:
                    request = await _head(stream)
                    async with slots:
                        await stream.send(await answer(request))
                    if isinstance(request, Page) or request.method not in ("GET", "HEAD"):
                        await _drain(stream)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                    return

    async with listener, anyio.create_task_group() as connections:
        bound = listener.extra(SocketAttribute.local_address)
        task_status.started(f"{bound[0]}:{bound[1]}")
        for one in listener.listeners:
            assert isinstance(one, SocketListener)
            connections.start_soon(_accept, one, lambda stream: connections.start_soon(connected, stream))


async def _accept(listener: SocketListener, accepted: Callable[[SocketStream], object]) -> None:
    while True:
        try:
            accepted(await listener.accept())
        except OSError as error:
            if error.errno not in _SCARCE:
                raise
            # No descriptor for a probe is no reason to end the work: they come back as sends end.
            await anyio.sleep(1.0)


async def _head(stream: SocketStream) -> Request | Page:
    """Return what is asked for, or why it is not answered."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        head += await stream.receive(4096)
        if len(head) > HEAD_BYTES:
            return text(431, "the request's head is too large")
    return read_head(head) or text(400, "this is not an HTTP request")


async def _drain(stream: SocketStream) -> None:
    """Read away what follows a refused request."""
    await stream.send_eof()
    left = DRAIN_BYTES
    with anyio.move_on_after(DRAIN_S):
        while left > 0:
            left -= len(await stream.receive())


async def _made(path: str, handler: Handler) -> Page:
    """Ask for a page. A fault in one ends neither the listener nor the work."""
    try:
        return await handler()
    except Exception as error:  # noqa: BLE001
        logs.get().error(events.LISTENER_FAILED, page=path, detail=f"{type(error).__name__}: {error}")
        return text(500, "this page failed; the log says why, and the work goes on")


def _encode(page: Page, *, body: bool = True) -> bytes:
    """Return the answer; without `body`, as HEAD wants it, all that a GET would have but the body."""
    own = (("Content-Type", page.content_type), ("Content-Length", str(len(page.body))))
    lines = [f"HTTP/1.1 {page.status} {_REASONS[page.status]}"]
    lines += [f"{name}: {value}" for name, value in (*own, *_ALWAYS, *page.headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (page.body if body else b"")

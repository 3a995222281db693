"""The health listener: `/livez /readyz /metrics /status`, answered by the event loop that does the work.

That it answers at all shows that the loop is alive; `/livez` adds that the work is moving. It never asks the API.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskStatus

from reaper.errors import ConfigError

HEAD_BYTES = 8192
REQUEST_TIMEOUT_S = 5.0
MOST_ANSWERED = 32
"""At once; who has not asked yet keeps nobody waiting."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: status, content type and body."""

    status: int
    content_type: str
    body: bytes


def text(status: int, words: str) -> Page:
    """Return a page of plain text."""
    return Page(status, "text/plain; charset=utf-8", words.encode() + b"\n")


def as_json(value: object) -> Page:
    """Return a page of JSON."""
    return Page(200, "application/json", json.dumps(value).encode() + b"\n")


Handler = Callable[[], Awaitable[Page]]

_SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


async def serve(
    host: str, port: int, pages: dict[str, Handler], *, task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled; reports the address once it listens.

    Raises ConfigError when the address cannot be bound.
    """
    try:
        listener = await anyio.create_tcp_listener(local_host=host, local_port=port, reuse_port=False)
    except OSError as error:
        raise ConfigError(
            f"telemetry.listen: {host}:{port} cannot be bound: {error.strerror or error}; give another address or none"
        ) from error
    slots = anyio.CapacityLimiter(MOST_ANSWERED)

    async def connected(stream: SocketStream) -> None:
        async with stream:
            with anyio.move_on_after(REQUEST_TIMEOUT_S):
                try:
                    page = await _head(stream)
                    async with slots:
                        await stream.send(_encode(page if isinstance(page, Page) else await _answer(page, pages)))
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


async def _head(stream: SocketStream) -> list[str] | Page:
    """Return the words of the request's first line."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        if len(head) > HEAD_BYTES:
            return text(400, "the request's head is too large")
        head += await stream.receive(4096)
    return head.split(b"\r\n", 1)[0].decode("latin-1").split()


async def _answer(parts: list[str], pages: dict[str, Handler]) -> Page:
    if len(parts) != 3:
        return text(400, "this is not an HTTP request")
    method, target, _ = parts
    if method not in ("GET", "HEAD"):
        return text(405, "only GET is answered here")
    handler = pages.get(target.partition("?")[0])
    if handler is None:
        return text(404, "there is nothing here; try " + " ".join(pages))
    page = await handler()
    return Page(page.status, page.content_type, b"") if method == "HEAD" else page


def _encode(page: Page) -> bytes:
    head = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\n"
        f"Content-Type: {page.content_type}\r\nContent-Length: {len(page.body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + page.body

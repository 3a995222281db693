"""Serves the pages of the health listener from the event loop that does the work.

A response shows that the loop is alive; `/livez` adds that the claim loop advances. No page calls the API.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskStatus

from reaper.core.errors import ConfigError
from reaper.telemetry import events, logs
from reaper.telemetry.http.request import Request, is_ours, read_head
from reaper.telemetry.http.response import Handler, Page, encode, text

MAX_HEAD_BYTES = 8192
REQUEST_TIMEOUT_S = 5.0
MAX_RESPONSES = 32
"""Responses made at once. A connection without a request counts only once its request is complete."""
DRAIN_S = 1.0
DRAIN_BYTES = 256 * 1024
"""Limits of reading what follows a refused request: closing with unread bytes resets the connection."""


_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_MISDIRECTED = (
    "this page is shown under an address, under localhost, or under the name in telemetry.listen, so that no other "
    "site can read it through a browser"
)


async def serve(
    host: str,
    port: int,
    pages: dict[str, Handler],
    *,
    guarded: Collection[str] = (),
    task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; report the address to `task_status` once it listens.

    The pages `guarded` require a Host header that names this listener (`request.is_ours`). Raises ConfigError when the
    address cannot be bound.
    """
    try:
        listener = await anyio.create_tcp_listener(local_host=host, local_port=port, reuse_port=False)
    except OSError as error:
        raise ConfigError(
            f"telemetry.listen: {host}:{port} cannot be bound: {error.strerror or error}; give another address or none"
        ) from error
    slots = anyio.CapacityLimiter(MAX_RESPONSES)

    async def answer(request: Request | Page) -> bytes:
        if isinstance(request, Page):
            return encode(request)
        if request.method not in ("GET", "HEAD"):
            return encode(text(405, "only GET is answered here", ("Allow", "GET, HEAD")))
        handler = pages.get(request.path)
        if handler is None:
            page = text(404, "there is nothing here; try " + " ".join(pages))
        elif request.path in guarded and not is_ours(request.host, host):
            page = text(421, _MISDIRECTED)
        else:
            page = await _render(request.path, handler)
        return encode(page, body=request.method == "GET")

    async def connected(stream: SocketStream) -> None:
        async with stream:
            with anyio.move_on_after(REQUEST_TIMEOUT_S):
                try:
                    request = await _read_request(stream)
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
            if error.errno not in _NO_RESOURCES:
                raise
            # A lack of descriptors for a probe must not end the work: sends that end release some.
            await anyio.sleep(1.0)


async def _read_request(stream: SocketStream) -> Request | Page:
    """Return the request, or the page that refuses it."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        head += await stream.receive(4096)
        if len(head) > MAX_HEAD_BYTES:
            return text(431, "the request's head is too large")
    return read_head(head) or text(400, "this is not an HTTP request")


async def _drain(stream: SocketStream) -> None:
    """Read and drop the rest of a refused request."""
    await stream.send_eof()
    left = DRAIN_BYTES
    with anyio.move_on_after(DRAIN_S):
        while left > 0:
            left -= len(await stream.receive())


async def _render(path: str, handler: Handler) -> Page:
    """Return the page, or a 500: a fault in a page ends neither the listener nor the work."""
    try:
        return await handler()
    except Exception as error:  # noqa: BLE001
        logs.get().error(events.LISTENER_FAILED, page=path, detail=f"{type(error).__name__}: {error}")
        return text(500, "this page failed; the log says why, and the work goes on")

"""Looks names up in daemon threads: a resolver that never answers holds neither the event loop nor the process.

The loop's own executor is joined at the end of a process (asyncio's for minutes, libuv's for ever), and a lookup in it
cannot be cancelled.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""One address as `getaddrinfo` returns it."""

MAX_THREADS = 16
"""Lookups under way at once. Each of a resolver that hangs keeps its thread until the system gives it up."""
SHARE_S = 5.0
"""A lookup that began less than this ago answers for others of the same name, too."""


@dataclass(slots=True, eq=False)
class _Lookup:
    begun: float
    waiters: list[asyncio.Future[list[Address]]] = field(default_factory=list)


_running: dict[tuple[object, ...], _Lookup] = {}
"""The latest lookup of each name, by event loop and arguments."""
_threads = threading.BoundedSemaphore(MAX_THREADS)


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host in the system's order. Raises OSError."""
    try:
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)]  # no query, so it never blocks
    except socket.gaierror:
        return await look_up(host, port, type=socket.SOCK_STREAM)


async def look_up(
    host: str | bytes | None, port: str | int | None, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[Address]:
    """Do what `socket.getaddrinfo` does. Cancelling ends the wait at once. Raises OSError."""
    loop = asyncio.get_running_loop()
    arguments = (host, port, family, type, proto, flags)
    lookup = _running.get((loop, *arguments))
    if lookup is None or loop.time() - lookup.begun > SHARE_S:
        lookup = _running[(loop, *arguments)] = _begin(loop, arguments)
    waiter: asyncio.Future[list[Address]] = loop.create_future()
    lookup.waiters.append(waiter)
    return await waiter


def _begin(loop: asyncio.AbstractEventLoop, arguments: tuple[Any, ...]) -> _Lookup:
    if not _threads.acquire(blocking=False):
        raise socket.gaierror(socket.EAI_AGAIN, f"{MAX_THREADS} lookups of names wait for an answer already")
    lookup = _Lookup(loop.time())

    def end(deliver: Callable[[asyncio.Future[list[Address]]], None]) -> None:
        if _running.get((loop, *arguments)) is lookup:
            del _running[(loop, *arguments)]
        for waiter in lookup.waiters:
            if not waiter.done():
                deliver(waiter)

    def run() -> None:
        deliver: Callable[[asyncio.Future[list[Address]]], None]
        try:
            found: list[Address] = [*socket.getaddrinfo(*arguments)]
            deliver = lambda waiter: waiter.set_result(found)  # noqa: E731
        except (OSError, UnicodeError) as error:
            fault = _lack_of_descriptors() or error
            deliver = lambda waiter: waiter.set_exception(fault)  # noqa: E731
        finally:
            _threads.release()
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(end, deliver)

    try:
        threading.Thread(target=run, name="lookup", daemon=True).start()
    except RuntimeError as error:
        _threads.release()
        raise OSError(errno.EAGAIN, f"no thread for the lookup of a name: {error}") from error
    return lookup


def _lack_of_descriptors() -> OSError | None:
    """Return the error of a process without free descriptors, of which a failed lookup says nothing."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return error
    return None

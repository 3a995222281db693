"""The event loops of our processes: asyncio's and uvloop's, with lookups of names that hold nobody up.

Every library that connects by a name asks its loop: those of the queues' servers and of proxies, and the listener.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import socket
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from reaper.api.http.resolver import Address, look_up, resolve

TLS_BUFFER_BYTES = 16 * 1024
"""A TLS record's most; asyncio keeps a buffer of 256 KiB for each connection instead."""


def loop_factory(*, fast: bool) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the loop of a process. `fast`, for long work: uvloop, where that exists."""
    if not fast:
        return _Loop
    if find_spec("uvloop"):
        return _fast_loop
    asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES  # type: ignore[attr-defined,unused-ignore]
    return _Loop


class _Loop(asyncio.SelectorEventLoop):
    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return await look_up(host, port, **options)


def _fast_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    class Loop(uvloop.Loop):
        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            return await look_up(host, port, **options)

        async def create_connection(
            self, protocol_factory: Any, host: Any = None, port: Any = None, *, ssl: Any = None, **options: Any
        ) -> Any:
            """Connect by a name: uvloop's own lookup is in C and joined at the end of the process."""
            if host is None or options.get("sock") is not None:
                return await super().create_connection(protocol_factory, host, port, ssl=ssl, **options)
            sock = await _connected(await resolve(host, port))
            if ssl and options.get("server_hostname") is None:
                options["server_hostname"] = host
            return await super().create_connection(protocol_factory, sock=sock, ssl=ssl, **options)

    return Loop()


async def _connected(addresses: list[Address]) -> socket.socket:
    from reaper.api.http.connect import connect_first

    return await connect_first(addresses)

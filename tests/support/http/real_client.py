"""The client of the API, and a real server on this machine that a few lines of script describe."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def client(url: str, token: str | None = "archal_ws_sandbox", **target: float | str) -> AsyncIterator[Client]:
    made = Client(Target(url, **{"timeout_s": 2.0, "connect_timeout_s": 1.0, **target}), Credentials(None, token))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.aclose()


@asynccontextmanager
async def server(talk: Talk, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that reads a request's head and then runs its script."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=ssl_context)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"{'https' if ssl_context else 'http'}://127.0.0.1:{port}"

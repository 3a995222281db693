"""A request asks, when there is a connection for it, whether it is still wanted."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials
from reaper.core.model import SessionId, Withheld
from tests.support.eventually import eventually_async

pytestmark = pytest.mark.anyio
ONE = SessionId("env_1")


async def test_after_a_wait_for_a_connection_it_asks_whether_to_send() -> None:
    """Two connections: the first two requests do not wait, the others do."""
    wanted, heads, both_asked, answering = True, 0, asyncio.Event(), asyncio.Event()
    withheld: list[bool] = []
    ended: list[bool] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heads
        while await reader.readline():
            while (await reader.readline()).strip():
                pass  # the rest of its head
            heads += 1
            if heads == 2:
                both_asked.set()
            await answering.wait()
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()
        ended.append(True)

    async def stop(api: Client) -> None:
        try:
            await api.stop(ONE, lambda: wanted)
        except Withheld:
            withheld.append(True)
        else:
            withheld.append(False)

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        target = Target(f"http://{host}:{port}", timeout_s=5.0, connect_timeout_s=1.0, concurrency=1)
        api = Client(target, Credentials(None, "archal_ws_sandbox"))
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(stop, api)
            await both_asked.wait()
            wanted = False
            answering.set()
        assert (heads, sorted(withheld)) == (2, [False, False, True, True, True])
        wanted = True
        await stop(api)
        assert heads == 3, "its connections are good"
        wanted = False
        await stop(api)
        assert (heads, withheld[-1]) == (3, True), "what did not wait is asked about, too"
        await api.aclose()
        await eventually_async(lambda: len(ended) == 2, what="both connections are closed")

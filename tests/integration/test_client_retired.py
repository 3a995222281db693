"""A client that a reload has replaced: what was begun ends by its answer, and nothing more goes to its address."""

from __future__ import annotations

import asyncio

import pytest

from reaper.core.model import Answered, SessionId, Withheld
from tests.support.http.real_client import client, server

pytestmark = pytest.mark.anyio

S = SessionId("env_1")


def always() -> bool:
    return True


@pytest.mark.parametrize("is_idle", [True, False])
async def test_nothing_new_goes_to_the_address_of_before_a_reload(is_idle: bool) -> None:
    """Who asks took the client before a wait, as the check before a DELETE does that waits for a slow queue."""
    requests, may_answer = [], asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[0])
        await may_answer.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with server(talk) as url, client(url) as retired:
        stopping = None if is_idle else asyncio.ensure_future(retired.stop(S, always))
        while not is_idle and not requests:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)
        await retired.retire()
        for request in (retired.stop, retired.get_session):
            with pytest.raises(Withheld):
                await request(S, always)
        may_answer.set()
        if stopping is not None:
            reply = await stopping
            assert isinstance(reply, Answered)
            assert reply.status == 204
        assert requests == ([] if is_idle else [b"DELETE"])


async def test_what_waits_for_a_connection_is_not_sent_after_a_reload() -> None:
    requests = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))

    async with server(talk) as url, client(url) as retired:
        stopping = asyncio.ensure_future(retired.stop(S, always))
        await asyncio.sleep(0)  # it connects now
        await retired.retire()
        with pytest.raises(Withheld):
            await stopping
    assert requests == []

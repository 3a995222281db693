"""Lookups of names in threads of our own: shared, bounded, cancelled at once."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from reaper.api.http import resolver
from reaper.api.http.resolver import MAX_THREADS, look_up, resolve
from reaper.app.event_loop import loop_factory

pytestmark = pytest.mark.anyio


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names are looked up for ever, until the end of the test."""
    over, asked = threading.Event(), list[str]()

    def never(host: str, *_: object, flags: int = 0, **__: object) -> list[Any]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        asked.append(host)
        over.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "over")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    yield asked
    over.set()
    while any(thread.name == "lookup" for thread in threading.enumerate()):
        time.sleep(0.01)


async def test_a_cancelled_lookup_ends_at_once(silent: list[str]) -> None:
    with anyio.move_on_after(0.05) as scope:
        await look_up("one.test", 80)
    assert scope.cancelled_caught


async def test_lookups_of_one_name_share_a_thread_and_all_are_bounded(silent: list[str]) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(look_up, "one.test", 80)
        await anyio.sleep(0.05)
        assert silent == ["one.test"]
        for number in range(MAX_THREADS - 1):
            group.start_soon(look_up, f"{number}.test", 80)
        await anyio.sleep(0.05)
        with pytest.raises(OSError, match="wait for an answer already"):
            await look_up("another.test", 80)
        group.cancel_scope.cancel()


async def test_a_lookup_that_hangs_is_not_shared_for_ever(silent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "SHARE_S", 0.05)
    for _ in range(3):
        with anyio.move_on_after(0.1):
            await look_up("one.test", 80)
    assert silent == ["one.test"] * 3


async def test_names_and_numbers_are_found() -> None:
    assert {address[4][0] for address in await resolve("localhost", 80)} <= {"127.0.0.1", "::1"}
    ((*_, address),) = await resolve("127.0.0.1", 80)
    assert address == ("127.0.0.1", 80)
    with pytest.raises(OSError, match=r"[Nn]ame|resolution"):
        await resolve("no-such-name.invalid", 80)


async def test_a_lack_of_descriptors_is_not_blamed_on_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limit[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            await look_up("no-such-name.invalid", 80)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


@pytest.mark.parametrize("fast", [False, True])
def test_every_library_that_asks_the_loop_gets_such_a_lookup(fast: bool, silent: list[str]) -> None:
    async def connect() -> None:
        for name in ("one.test", "two.test"):
            with anyio.move_on_after(0.1):
                await asyncio.open_connection(name, 80)

    begun = time.monotonic()
    with asyncio.Runner(loop_factory=loop_factory(fast=fast)) as runner:
        runner.run(connect())
    assert time.monotonic() - begun < 2, "the end waited for lookups"
    assert {"one.test", "two.test"} <= set(silent)


@pytest.mark.parametrize("fast", [False, True])
def test_a_connection_by_name_is_made(fast: bool) -> None:
    async def connect() -> bytes:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port)
            text = await reader.read()
            writer.close()
            await writer.wait_closed()
            return text

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()

    with asyncio.Runner(loop_factory=loop_factory(fast=fast)) as runner:
        assert runner.run(connect()) == b"here"

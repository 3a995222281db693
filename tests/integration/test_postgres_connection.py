"""One lane under the magnifying glass, over a connection that does as it is told: what is undone, lost or given up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.postgres import connection as postgres_lane
from reaper.queues.postgres.connection import TRIES, BatchedConnection, Connector
from reaper.queues.postgres.errors import parameters
from tests.support.queues.postgres_server import free_port

pytestmark = pytest.mark.anyio

BAD = "bad"


class Line:
    """An open connection that nobody speaks on."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self.closed = False

    def fileno(self) -> int:
        return self._ours.fileno()

    async def close(self) -> None:
        self.closed = True
        self._ours.close()
        self._theirs.close()


class Lines(Connector):
    """The way to such connections; `made` are all of them."""

    def __init__(self) -> None:
        super().__init__({"host": "db"})
        self.made: list[Line] = []

    async def connect(self) -> Any:
        self.made.append(Line())
        return self.made[-1]


@dataclass(slots=True)
class Server:
    """Carries out what is asked, or fails in turn with `failures`; `busy` holds it up while it is clear."""

    failures: list[Exception] = field(default_factory=list)
    turns: list[list[str]] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    at_end: Callable[[], object] = lambda: None

    async def carry_out(self, connection: Any, asks: Sequence[str]) -> list[str]:
        self.turns.append(list(asks))
        self.begun.set()
        await self.free.wait()
        if self.failures:
            raise self.failures.pop(0)
        if BAD in asks:
            raise psycopg.errors.CheckViolation("no such thing")
        self.at_end()
        return [one.upper() for one in asks]

    async def undo(self, result: str) -> None:
        self.undone.append(result)


@pytest.fixture
def server() -> Server:
    server = Server()
    server.free.set()
    return server


@pytest.fixture
def road() -> Lines:
    return Lines()


@pytest.fixture
async def lane(server: Server, road: Lines, anyio_backend: str) -> AsyncIterator[BatchedConnection[str]]:
    lane = BatchedConnection(road, server.carry_out, 30.0, most=10)
    yield lane
    await lane.close()


async def begin(lane: BatchedConnection[str], server: Server, ask: str, undo: Any = None) -> asyncio.Task[str]:
    """Ask, and return while the server is at it."""
    server.free.clear()
    server.begun.clear()
    asked = asyncio.create_task(lane.ask(ask, undo))
    await server.begun.wait()
    return asked


async def test_what_the_engine_undid_is_carried_out_again(
    lane: BatchedConnection[str], server: Server, road: Lines
) -> None:
    server.failures = [psycopg.errors.SerializationFailure(), psycopg.errors.DeadlockDetected()]
    assert await lane.ask("a") == "A"
    assert len(server.turns) == 3
    assert len(road.made) == 1, "the connection is good"


async def test_what_the_engine_undoes_for_ever_is_told(lane: BatchedConnection[str], server: Server) -> None:
    server.failures = [psycopg.errors.DeadlockDetected("again") for _ in range(TRIES)]
    with pytest.raises(QueueUnavailableError):
        await lane.ask("a")
    assert len(server.turns) == TRIES
    assert await lane.ask("b") == "B"


@pytest.mark.parametrize("rereads", [True, False])
async def test_only_what_may_be_done_twice_is_asked_again_over_a_new_connection(
    server: Server, road: Lines, rereads: bool
) -> None:
    doubts: list[str] = []
    lane = BatchedConnection(road, server.carry_out, 30.0, rereads=rereads, in_doubt=doubts.extend)
    server.failures = [psycopg.errors.AdminShutdown("going")]
    if rereads:
        assert await lane.ask("a") == "A"
    else:
        with pytest.raises(QueueUnavailableError):
            await lane.ask("a")
        assert await lane.ask("b") == "B"
    assert doubts == ["a"]
    assert [line.closed for line in road.made] == [True, False]
    await lane.close()


async def test_only_the_guilty_of_those_who_go_together_fails(lane: BatchedConnection[str], server: Server) -> None:
    asked = [asyncio.create_task(lane.ask(one)) for one in ("a", BAD, "c")]
    one, failed, three = await asyncio.gather(*asked, return_exceptions=True)
    assert (one, three) == ("A", "C")
    assert isinstance(failed, QueueError)
    assert server.turns == [["a", BAD, "c"], ["a"], [BAD], ["c"]]


async def test_what_fails_on_our_side_ends_the_connection_and_is_told(
    lane: BatchedConnection[str], server: Server, road: Lines
) -> None:
    server.failures = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await lane.ask("a")
    assert road.made[0].closed
    assert await lane.ask("b") == "B"


async def test_an_idle_connection_that_was_closed_is_replaced(lane: BatchedConnection[str], road: Lines) -> None:
    await lane.ask("a")
    await road.made[0].close()
    assert await lane.ask("b") == "B"
    assert len(road.made) == 2


async def test_a_result_that_comes_with_the_cancellation_is_taken_back(
    lane: BatchedConnection[str], server: Server
) -> None:
    asked = await begin(lane, server, "a", server.undo)
    server.at_end = lambda: asyncio.get_running_loop().call_soon(asked.cancel)
    server.free.set()
    await asyncio.wait({asked})
    assert asked.cancelled()
    await lane.close()
    assert server.undone == ["A"]


@pytest.mark.parametrize("fails", [True, False])
async def test_what_nobody_waits_for_is_taken_back_if_it_happened(
    lane: BatchedConnection[str], server: Server, fails: bool
) -> None:
    asked = await begin(lane, server, "a", server.undo)
    asked.cancel()
    await asyncio.wait({asked})
    server.failures = [psycopg.errors.DiskFull()] if fails else []
    server.free.set()
    await lane.close()
    assert server.undone == ([] if fails else ["A"])


async def test_what_nobody_waits_for_and_cannot_be_taken_back_stays(
    lane: BatchedConnection[str], server: Server
) -> None:
    asked = await begin(lane, server, "a")
    asked.cancel()
    await asyncio.wait({asked})
    server.free.set()
    assert await lane.ask("b") == "B"


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_taking_back_that_fails_or_is_cancelled_is_the_end_of_it(
    lane: BatchedConnection[str], server: Server, cancelled: bool
) -> None:
    undoing = asyncio.Event()

    async def undo(result: str) -> None:
        undoing.set()
        if cancelled:
            await asyncio.sleep(60)
        raise QueueError("away")

    asked = await begin(lane, server, "a", undo)
    asked.cancel()
    await asyncio.wait({asked})
    server.free.set()
    await undoing.wait()
    for one in set(lane._undoing):
        one.cancel()
    await lane.close()
    assert not lane._undoing
    with pytest.raises(QueueError, match="was closed"):
        await lane.ask("b")


async def test_a_close_waits_for_what_was_begun(lane: BatchedConnection[str], server: Server, road: Lines) -> None:
    asked = await begin(lane, server, "a")
    closing = asyncio.create_task(lane.close())
    await asyncio.sleep(0)
    assert not closing.done()
    server.free.set()
    await closing
    assert await asked == "A"
    assert road.made[0].closed


@pytest.mark.parametrize("busy", [True, False])
async def test_what_dies_leaves_without_a_word(
    lane: BatchedConnection[str], server: Server, road: Lines, busy: bool
) -> None:
    if busy:
        asked = await begin(lane, server, "a")
        await lane.abandon()
        await asyncio.wait({asked})
        assert asked.cancelled()
    else:
        await lane.ask("a")
        await lane.abandon()
    assert road.made[0].closed


async def listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> asyncio.Server:
    return await asyncio.start_server(serve, "127.0.0.1", free_port())


async def test_a_server_that_takes_the_call_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_lane, "connect_s", lambda params: 0.2)
    held: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    async with await listening(hold) as silent:
        road = Connector(parameters(f"postgresql://u@127.0.0.1:{silent.sockets[0].getsockname()[1]}/d"))
        with pytest.raises(QueueUnavailableError, match=r"did not answer within 0\.2 s"):
            await road.connect()
        assert road.blocked
        for writer in held:
            writer.transport.abort()

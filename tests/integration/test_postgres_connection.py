"""One connection over a stand-in: what is rolled back, lost, undone or abandoned."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.postgres import connection
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
    """Opens such connections; `made` are all of them."""

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
    free: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    at_end: Callable[[], object] = lambda: None

    async def execute(self, connection: Any, operations: Sequence[str]) -> list[str]:
        self.turns.append(list(operations))
        self.begun.set()
        await self.free.wait()
        if self.failures:
            raise self.failures.pop(0)
        if BAD in operations:
            raise psycopg.errors.CheckViolation("no such thing")
        self.at_end()
        return [one.upper() for one in operations]


def undo(result: str) -> str:
    return f"undo {result}"


@pytest.fixture
def server() -> Server:
    server = Server()
    server.free.set()
    return server


@pytest.fixture
def connector() -> Lines:
    return Lines()


@pytest.fixture
async def pg(server: Server, connector: Lines, anyio_backend: str) -> AsyncIterator[BatchedConnection[str]]:
    pg = BatchedConnection(connector, server.execute, 30.0, limit=10)
    yield pg
    await pg.close()


async def begin(pg: BatchedConnection[str], server: Server, operation: str, undo: Any = None) -> asyncio.Task[str]:
    """Ask, and return while the server is at it."""
    server.free.clear()
    server.begun.clear()
    asked = asyncio.create_task(pg.run(operation, undo))
    await server.begun.wait()
    return asked


async def test_what_the_engine_undid_is_carried_out_again(
    pg: BatchedConnection[str], server: Server, connector: Lines
) -> None:
    server.failures = [psycopg.errors.SerializationFailure(), psycopg.errors.DeadlockDetected()]
    assert await pg.run("a") == "A"
    assert len(server.turns) == 3
    assert len(connector.made) == 1, "the connection is good"


async def test_a_batch_rolled_back_for_ever_fails(pg: BatchedConnection[str], server: Server) -> None:
    server.failures = [psycopg.errors.DeadlockDetected("again") for _ in range(TRIES)]
    with pytest.raises(QueueUnavailableError):
        await pg.run("a")
    assert len(server.turns) == TRIES
    assert await pg.run("b") == "B"


@pytest.mark.parametrize("idempotent", [True, False])
async def test_only_what_may_be_done_twice_is_asked_again_over_a_new_connection(
    server: Server, connector: Lines, idempotent: bool
) -> None:
    unknown: list[str] = []
    pg = BatchedConnection(connector, server.execute, 30.0, idempotent=idempotent, on_unknown_outcome=unknown.extend)
    server.failures = [psycopg.errors.AdminShutdown("going")]
    if idempotent:
        assert await pg.run("a") == "A"
    else:
        with pytest.raises(QueueUnavailableError):
            await pg.run("a")
        assert await pg.run("b") == "B"
    assert unknown == ["a"]
    assert [line.closed for line in connector.made] == [True, False]
    await pg.close()


async def test_only_the_guilty_of_those_who_go_together_fails(pg: BatchedConnection[str], server: Server) -> None:
    asked = [asyncio.create_task(pg.run(one)) for one in ("a", BAD, "c")]
    one, failed, three = await asyncio.gather(*asked, return_exceptions=True)
    assert (one, three) == ("A", "C")
    assert isinstance(failed, QueueError)
    assert server.turns == [["a", BAD, "c"], ["a"], [BAD], ["c"]]


async def test_an_error_on_our_side_ends_the_connection_and_is_raised(
    pg: BatchedConnection[str], server: Server, connector: Lines
) -> None:
    server.failures = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await pg.run("a")
    assert connector.made[0].closed
    assert await pg.run("b") == "B"


async def test_an_idle_connection_that_was_closed_is_replaced(pg: BatchedConnection[str], connector: Lines) -> None:
    await pg.run("a")
    await connector.made[0].close()
    assert await pg.run("b") == "B"
    assert len(connector.made) == 2


async def test_a_result_that_comes_with_the_cancellation_is_undone(pg: BatchedConnection[str], server: Server) -> None:
    asked = await begin(pg, server, "a", undo)
    server.at_end = lambda: asyncio.get_running_loop().call_soon(asked.cancel)
    server.free.set()
    await asyncio.wait({asked})
    assert asked.cancelled()
    await pg.close()
    assert server.turns == [["a"], ["undo A"]]


@pytest.mark.parametrize("fails", [True, False])
async def test_what_nobody_waits_for_is_taken_back_if_it_happened(
    pg: BatchedConnection[str], server: Server, fails: bool
) -> None:
    asked = await begin(pg, server, "a", undo)
    asked.cancel()
    await asyncio.wait({asked})
    server.failures = [psycopg.errors.DiskFull()] if fails else []
    server.free.set()
    await pg.close()
    assert server.turns == ([["a"]] if fails else [["a"], ["undo A"]])


async def test_what_nobody_waits_for_and_cannot_be_taken_back_stays(pg: BatchedConnection[str], server: Server) -> None:
    asked = await begin(pg, server, "a")
    asked.cancel()
    await asyncio.wait({asked})
    server.free.set()
    assert await pg.run("b") == "B"


async def test_an_undo_that_fails_is_the_end_of_it(pg: BatchedConnection[str], server: Server) -> None:
    asked = await begin(pg, server, "a", lambda result: BAD)
    asked.cancel()
    await asyncio.wait({asked})
    server.free.set()
    await pg.close()
    assert server.turns == [["a"], [BAD]]
    with pytest.raises(QueueError, match="was closed"):
        await pg.run("b")


async def test_a_close_waits_for_what_was_begun(pg: BatchedConnection[str], server: Server, connector: Lines) -> None:
    asked = await begin(pg, server, "a")
    closing = asyncio.create_task(pg.close())
    await asyncio.sleep(0)
    assert not closing.done()
    server.free.set()
    await closing
    assert await asked == "A"
    assert connector.made[0].closed


@pytest.mark.parametrize("busy", [True, False])
async def test_what_dies_leaves_without_a_word(
    pg: BatchedConnection[str], server: Server, connector: Lines, busy: bool
) -> None:
    if busy:
        asked = await begin(pg, server, "a")
        await pg.abandon()
        await asyncio.wait({asked})
        assert asked.cancelled()
    else:
        await pg.run("a")
        await pg.abandon()
    assert connector.made[0].closed


async def listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> asyncio.Server:
    return await asyncio.start_server(serve, "127.0.0.1", free_port())


async def test_a_server_that_takes_the_call_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "connect_s", lambda params: 0.2)
    held: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    async with await listening(hold) as silent:
        connector = Connector(parameters(f"postgresql://u@127.0.0.1:{silent.sockets[0].getsockname()[1]}/d"))
        with pytest.raises(QueueUnavailableError, match=r"did not answer within 0\.2 s"):
            await connector.connect()
        assert connector.blocked
        for writer in held:
            writer.transport.abort()

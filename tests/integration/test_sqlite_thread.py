"""Group commit: what comes together commits together, and only the guilty call fails."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from reaper.core.errors import QueueError, RefusedError
from reaper.queues.batching import Call
from reaper.queues.sqlite.thread import LedgerThread
from tests.support.eventually import eventually_async

pytestmark = pytest.mark.anyio


class Spy(sqlite3.Connection):
    """A connection that notes its transactions and fails on demand."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.commits = 0
        self.fail_next_commit = False
        self.fail_rollbacks = False

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.commits += 1
            if self.fail_next_commit:
                self.fail_next_commit = False
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                raise error
        if sql == "ROLLBACK" and self.fail_rollbacks:
            raise sqlite3.OperationalError("cannot roll back")
        return super().execute(sql, *values)  # type: ignore[arg-type]


class Store:
    """A thread over a spied connection with one table, and a gate that lets calls pile up."""

    def __init__(self) -> None:
        self.thread = LedgerThread("the.db")
        self.gate = threading.Event()
        self.spy: Spy

    async def open(self) -> None:
        def connect() -> sqlite3.Connection:
            self.spy = sqlite3.connect(":memory:", factory=Spy, isolation_level=None, check_same_thread=False)
            self.spy.execute("CREATE TABLE t (x INTEGER UNIQUE)")
            return self.spy

        await self.thread.start(connect, lambda: None)

    async def put(self, number: int) -> int:
        def work(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT INTO t VALUES (?)", (number,))
            return number

        return await self.thread.write(work)

    async def refuse(self) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO t VALUES (-1)")
            raise RefusedError("no")

        await self.thread.write(work)

    async def hold(self) -> None:
        await self.thread.read(lambda _: self.gate.wait(5))

    async def all(self) -> list[int]:
        return await self.thread.read(lambda c: [row[0] for row in c.execute("SELECT x FROM t ORDER BY x")])


@pytest.fixture
async def store(anyio_backend: str) -> Store:
    store = Store()
    await store.open()
    return store


async def pile_up(store: Store, *calls: object) -> list[object]:
    """Post calls while the thread is busy; return their results or errors."""
    holding = asyncio.ensure_future(store.hold())
    await anyio.lowlevel.checkpoint()
    waiting = [asyncio.ensure_future(call) for call in calls]  # type: ignore[call-overload]
    await anyio.lowlevel.checkpoint()
    store.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    await holding
    return list(results)


async def test_what_waits_together_is_one_commit(store: Store) -> None:
    results = await pile_up(store, *(store.put(number) for number in range(50)))
    assert results == list(range(50))
    assert store.spy.commits == 2, "the reader's snapshot and one for all writes"
    assert await store.all() == list(range(50))
    await store.thread.stop()


async def test_only_the_guilty_fails(store: Store) -> None:
    await store.put(7)
    first, refused, twice, last = await pile_up(store, store.put(1), store.refuse(), store.put(7), store.put(2))
    assert (first, last) == (1, 2)
    assert isinstance(refused, RefusedError)
    assert isinstance(twice, QueueError)
    assert await store.all() == [1, 2, 7]
    await store.thread.stop()


async def test_after_a_failed_sync_everything_is_refused(store: Store) -> None:
    await store.put(1)
    store.spy.fail_next_commit = True
    with pytest.raises(QueueError, match=r"the disk failed under the ledger the\.db"):
        await store.put(2)
    with pytest.raises(QueueError, match="the disk failed"):
        await store.put(3)
    with pytest.raises(QueueError, match="the disk failed"):
        await store.all()
    await store.thread.stop()


async def test_cancelled_before_it_began_a_call_has_not_happened(store: Store) -> None:
    holding = asyncio.ensure_future(store.hold())
    await anyio.lowlevel.checkpoint()
    doomed = asyncio.ensure_future(store.put(1))
    await anyio.lowlevel.checkpoint()
    doomed.cancel()
    await anyio.lowlevel.checkpoint()
    store.gate.set()
    await holding
    await store.put(2)
    assert await store.all() == [2]
    await store.thread.stop()


async def test_a_result_that_no_caller_received_is_undone(store: Store) -> None:
    started = threading.Event()

    def slow(connection: sqlite3.Connection) -> int:
        started.set()
        store.gate.wait(5)
        connection.execute("INSERT INTO t VALUES (9)")
        return 9

    doomed = asyncio.ensure_future(
        store.thread.write(slow, undo=lambda got: lambda c: c.execute("DELETE FROM t WHERE x = ?", (got,)))
    )
    await asyncio.to_thread(started.wait, 5)
    doomed.cancel()
    await anyio.lowlevel.checkpoint()
    store.gate.set()
    await store.put(1)

    async def is_taken_back() -> bool:
        return await store.all() == [1]

    await eventually_async(is_taken_back)
    await store.thread.stop()


async def test_what_was_posted_before_the_end_is_carried_out(store: Store) -> None:
    calls = [asyncio.ensure_future(store.put(number)) for number in range(5)]
    await anyio.lowlevel.checkpoint()
    await store.thread.stop()
    assert await asyncio.gather(*calls) == [0, 1, 2, 3, 4]
    with pytest.raises(QueueError, match="was closed"):
        await store.put(9)


async def test_what_goes_wrong_at_the_start_reaches_the_opener() -> None:
    ended = threading.Event()

    def connect() -> sqlite3.Connection:
        raise QueueError("no such thing")

    thread = LedgerThread("the.db")
    with pytest.raises(QueueError, match="no such thing"):
        await thread.start(connect, ended.set)
    await thread.stop()
    assert ended.is_set()


@pytest.mark.parametrize("undoes", [True, False])
async def test_a_result_that_comes_with_the_cancellation_is_undone(
    store: Store, monkeypatch: pytest.MonkeyPatch, undoes: bool
) -> None:
    deliver = Call.deliver

    def deliver_and_cancel(call: Call[Any], result: object) -> None:
        deliver(call, result)
        doomed.cancel()

    monkeypatch.setattr(Call, "deliver", deliver_and_cancel)
    doomed = asyncio.ensure_future(
        store.thread.write(
            lambda c: c.execute("INSERT INTO t VALUES (9)").rowcount,
            undo=(lambda got: lambda c: c.execute("DELETE FROM t WHERE x = 9")) if undoes else None,
        )
    )
    with pytest.raises(asyncio.CancelledError):
        await doomed
    monkeypatch.undo()
    await store.put(1)
    assert await store.all() == ([1] if undoes else [1, 9])
    await store.thread.stop()


async def test_a_failure_that_no_caller_received_is_not_undone(store: Store) -> None:
    started, undone = threading.Event(), []

    def slow(connection: sqlite3.Connection) -> int:
        started.set()
        store.gate.wait(5)
        raise RefusedError("no")

    def undo(got: int) -> Callable[[sqlite3.Connection], object]:
        undone.append(got)
        return lambda c: None

    doomed = asyncio.ensure_future(store.thread.write(slow, undo=undo))
    await asyncio.to_thread(started.wait, 5)
    doomed.cancel()
    await anyio.lowlevel.checkpoint()
    store.gate.set()
    await store.put(1)
    assert (undone, await store.all()) == ([], [1])
    await store.thread.stop()


async def test_a_rollback_that_fails_ends_all_use(store: Store) -> None:
    await store.put(1)
    store.spy.fail_rollbacks = True
    with pytest.raises(RefusedError):
        await store.refuse()
    for _ in range(2):
        with pytest.raises(QueueError, match="cannot roll back"):
            await store.put(2)
    store.spy.fail_rollbacks = False
    await store.thread.stop()

"""The queues of a simulation: the one in memory behind faults of an engine, and SQLite with its thread run inline."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from random import Random
from typing import Any

import anyio

from reaper.core.errors import QueueUnavailableError
from reaper.queues.base import Queue
from reaper.queues.sqlite import open as sqlite_open
from reaper.queues.sqlite import thread as sqlite_thread
from reaper.queues.sqlite.transactions import begin_read, begin_write
from tests.support.queues.memory import MemoryQueue
from tests.support.simulation.plan import Fault
from tests.support.simulation.virtual_time import CLOCK

_CHANGES = frozenset(
    (
        *("add", "apply", "claim", "maintain", "heartbeat", "postpone", "make_due", "cancel", "reopen", "purge"),
        *("pause", "compare_and_set"),
    )
)


class EngineAway:
    """The faults of an engine, before and after each call of one process's queue."""

    def __init__(self, queue: Any, chance: Random, active: Callable[[str], Fault | None], met: Callable[[str], object]):
        self._queue, self._chance, self._active, self._met = queue, chance, active, met

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._queue, name)
        if isinstance(getattr(type(self._queue), name, None), property):
            return found
        call = self._faulty(name, found) if asyncio.iscoroutinefunction(found) and name != "close" else found
        self.__dict__[name] = call  # the next time it is found without asking
        return call

    def _faulty(self, name: str, found: Any) -> Any:
        """Return a call that suffers from the engine's faults."""

        async def call(*args: Any, **more: Any) -> Any:
            slow = self._active("queue_slow")
            if slow is not None:
                self._met("queue_slow")
                await anyio.sleep(slow.share * self._chance.random())
            if self._active("queue_away"):
                self._met("queue_away")
                raise QueueUnavailableError("the engine cannot be reached")
            result = await found(*args, **more)
            lost = self._active("queue_lost_ack")
            if lost is not None and name in _CHANGES and self._chance.random() < lost.share:
                self._met("queue_lost_ack")
                raise QueueUnavailableError("the connection ended before the engine answered")
            return result

        return call


def faulty_memory(
    store: Any, chance: Random, active: Callable[[str], Fault | None], met: Callable[[str], object]
) -> tuple[Queue, Callable[[], object]]:
    """Return one process's use of a server with a clock of its own, and what the process's death does to it.

    The server notices it when the lease ends, as for a process on another machine.
    """
    queue = MemoryQueue(store, CLOCK.true, CLOCK.steady)
    return EngineAway(queue, chance, active, met), lambda: None


class InlineThread(sqlite_thread.LedgerThread):
    """The ledger's thread without the thread: its work is one step of the loop, that a crash can cut short."""

    crash: Callable[[str], bool] = staticmethod(lambda when: False)
    """Asked `before` and `after` each commit of changes; True when the process died there."""

    def __init__(self, path: str, **more: Any) -> None:
        super().__init__(path, **more)
        self._connection: sqlite3.Connection | None = None
        self._at_end: Callable[[], None] = lambda: None

    async def start(self, connect: Callable[[], sqlite3.Connection], at_end: Callable[[], None]) -> None:
        self._stopped = asyncio.get_running_loop().create_future()
        self._at_end = at_end
        await asyncio.sleep(0)
        self._connection = connect()

    def _submit(self) -> None:
        calls, self._posted = self._posted, []
        connection = self._connection
        if not calls or connection is None:
            return
        for writes, begin in ((True, begin_write), (False, begin_read)):
            chosen = [c for c in calls if c.operation.writes is writes and not c.future.cancelled()]
            if not chosen:
                continue
            if writes and self.crash("before"):
                return
            results = self._transact(connection, begin, chosen)
            if writes and self.crash("after"):
                return
            loop = asyncio.get_running_loop()
            loop.call_soon(sqlite_thread.resolve, [*zip(chosen, results, strict=True)])

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._submit()
        if self._connection is not None:
            self._connection.close()
        self._at_end()
        assert self._stopped is not None
        if not self._stopped.done():
            self._stopped.set_result(None)


async def open_ledger(path: str) -> tuple[Queue, Callable[[], object]]:
    """Open a ledger in a file, and return what the process's death does to it: the kernel frees its locks."""
    ledger = sqlite_open.Ledger(path, clock=time.time, monotonic=CLOCK.steady)
    await ledger.start(create=True, worker=True)
    return ledger.queue(), ledger.locks.drop

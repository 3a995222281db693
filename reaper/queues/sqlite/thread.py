"""The one thread that owns the connection, and group commit.

Callers post work and wait. The thread takes everything that waits: first the writes, all in one transaction, so that
one fsync makes them durable together; then the reads, all in one snapshot. One hop wakes each loop's callers.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TypeVar, cast

from reaper.core.errors import QueueError
from reaper.queues.sqlite.errors import is_fatal, translated

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MAX_BATCH = 256
"""Calls after which no more are waited for, so that the first of them does not wait for ever."""


@dataclass(slots=True, eq=False)
class _Call:
    work: Work[object]
    future: asyncio.Future[object] | None
    undo: Callable[[object], Work[object]] | None = None
    writes: bool = True
    result: object = None
    error: Exception | None = None


def _nothing(_: sqlite3.Connection) -> None:
    """The work of a call that only wakes somebody."""


class LedgerThread:
    """Runs work on a connection that nobody else touches. Made for one asyncio loop at a time."""

    __slots__ = ("_broken", "_calls", "_closed", "_path", "_posted", "_soon", "_stopped")

    def __init__(self, path: str) -> None:
        self._path = path
        self._calls: SimpleQueue[list[_Call] | None] = SimpleQueue()
        self._posted: list[_Call] = []
        self._soon = False
        self._closed = False
        self._broken: sqlite3.Error | None = None
        self._stopped: _Call | None = None

    async def start(self, connect: Callable[[], sqlite3.Connection], at_end: Callable[[], None]) -> None:
        """Open the connection in the thread; `at_end` runs there after it was closed. Raises what `connect` does."""
        loop = asyncio.get_running_loop()
        opened, self._stopped = loop.create_future(), _Call(work=_nothing, future=loop.create_future())
        ends = (_Call(work=_nothing, future=opened), self._stopped)
        # A daemon: an interpreter that ends without `stop` must not hang, and what was promised is committed.
        threading.Thread(target=self._main, args=(connect, at_end, *ends), name="reaper-ledger", daemon=True).start()
        try:
            await opened
        except BaseException:
            self._end()
            raise

    async def read(self, work: Work[T]) -> T:
        """Run `work` in a read snapshot and return its result. Cancelled, nothing has happened."""
        return cast(T, await self._ask(_Call(work=work, future=None, writes=False)))

    async def write(self, work: Work[T], *, undo: Callable[[T], Work[object]] | None = None) -> T:
        """Run `work` in a transaction; return when it is durable.

        Cancelled, it has happened wholly or not at all; if it has and nobody got the result, `undo(result)` is run.
        """
        undo_any = cast("Callable[[object], Work[object]] | None", undo)
        return cast(T, await self._ask(_Call(work=work, future=None, undo=undo_any)))

    async def stop(self) -> None:
        """Finish what was posted, close the connection, end the thread. Idempotent."""
        self._end()
        assert self._stopped is not None, "what ends was started"
        assert self._stopped.future is not None
        await asyncio.shield(self._stopped.future)

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._calls.put(None)

    def _hand_over(self) -> None:
        """Give the thread what was asked in this turn of the loop, at once: it would wake for each and find one."""
        self._soon = False
        if self._posted:
            self._calls.put(self._posted)
            self._posted = []

    async def _ask(self, call: _Call) -> object:
        if self._closed:
            raise QueueError(f"the ledger {self._path} was closed")
        loop = asyncio.get_running_loop()
        call.future = future = loop.create_future()
        self._posted.append(call)
        if not self._soon:
            self._soon = True
            loop.call_soon(self._hand_over)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._take_back(call)
            raise

    def _take_back(self, call: _Call) -> None:
        if call.undo is not None and not self._closed:
            self._calls.put([_Call(work=call.undo(call.result), future=None)])

    # --- in the thread --------------------------------------------------------------------------------------------

    def _main(
        self, connect: Callable[[], sqlite3.Connection], at_end: Callable[[], None], opened: _Call, stopped: _Call
    ) -> None:
        try:
            connection = connect()
            self._deliver([opened])
            self._serve(connection)
            # Every promise was committed before; the checkpoint that comes with a close is a courtesy.
            with suppress(sqlite3.Error):
                connection.close()
        except Exception as error:  # noqa: BLE001 - the top of a thread: the opener gets it
            opened.error = translated(error, self._path) if isinstance(error, sqlite3.Error) else error
            self._deliver([opened])
        finally:
            at_end()
            self._deliver([stopped])

    def _serve(self, connection: sqlite3.Connection) -> None:
        last = False
        while not last:
            calls: list[_Call] = []
            some = self._calls.get()
            try:
                while some is not None:
                    calls += some
                    if len(calls) >= MAX_BATCH:
                        break
                    some = self._calls.get_nowait()
                last = some is None
            except Empty:
                pass
            for writes, begin in ((True, "BEGIN IMMEDIATE"), (False, "BEGIN")):
                # Cancelled before it began: then it has not happened at all.
                chosen = [
                    c for c in calls if c.writes is writes and not (c.future is not None and c.future.cancelled())
                ]
                if chosen:
                    self._transact(connection, begin, chosen)
                    self._deliver(chosen)

    def _transact(self, connection: sqlite3.Connection, begin: str, calls: Sequence[_Call]) -> None:
        if not self._together(connection, begin, calls):
            for call in calls:
                self._together(connection, begin, [call])

    def _together(self, connection: sqlite3.Connection, begin: str, calls: Sequence[_Call]) -> bool:
        """Run calls in one transaction. False: one of several raised, nothing happened, run them one by one."""
        working = False
        try:
            if self._broken is not None:
                raise self._broken
            connection.execute(begin)
            working = True
            for call in calls:
                call.result = call.work(connection)
            working = False
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - each caller gets its own
            if is_fatal(error) and isinstance(error, sqlite3.Error):
                self._broken = error
            if connection.in_transaction:
                self._roll_back(connection)
            if working and len(calls) > 1:
                return False
            for call in calls:
                call.error = translated(error, self._path) if isinstance(error, sqlite3.Error) else error
        return True

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._broken = error

    def _deliver(self, calls: Sequence[_Call]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Call]] = {}
        for call in calls:
            if call.future is not None:
                by_loop.setdefault(call.future.get_loop(), []).append(call)
        for loop, its in by_loop.items():
            with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                loop.call_soon_threadsafe(self._wake, its)

    def _wake(self, calls: Sequence[_Call]) -> None:
        for call in calls:
            assert call.future is not None
            if call.future.cancelled():
                if call.error is None:
                    self._take_back(call)
            elif call.error is not None:
                call.future.set_exception(call.error)
            else:
                call.future.set_result(call.result)

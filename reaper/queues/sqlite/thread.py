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
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from reaper.core.errors import QueueError
from reaper.queues.batching import Call
from reaper.queues.sqlite.errors import is_fatal, translated
from reaper.queues.sqlite.transactions import Begin, begin_read, begin_write

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MAX_BATCH = 256
"""A batch of so many calls is begun without waiting for more, so that its first call does not wait for ever."""


class _Operation(NamedTuple):
    work: Work[object]
    writes: bool


Calls = Sequence[Call[_Operation]]


class Files(Protocol):
    """The files behind a connection, which others may delete or replace."""

    def finding(self) -> str | None:
        """Return a sentence when the files are not those any more that were opened. Raises QueueError."""

    def rescue(self, connection: sqlite3.Connection) -> str:
        """Save what only this connection can read; return the end of the sentence."""


class LedgerThread:
    """Runs work on a connection that no other thread uses. Made for one asyncio loop at a time.

    With `read_only` every write is refused. Once `files` are not what was opened, every call is.
    """

    __slots__ = ("_broken", "_closed", "_files", "_inbox", "_lost", "_path", "_posted", "_stopped", "read_only")

    def __init__(self, path: str, *, read_only: bool = False, files: Files | None = None) -> None:
        self._path = path
        self._files = files
        self._lost = ""
        self.read_only = read_only
        self._inbox: SimpleQueue[Calls | None] = SimpleQueue()
        self._posted: list[Call[_Operation]] = []
        self._closed = False
        self._broken: sqlite3.Error | None = None
        self._stopped: asyncio.Future[None] | None = None

    async def start(self, connect: Callable[[], sqlite3.Connection], at_end: Callable[[], None]) -> None:
        """Open the connection in the thread; `at_end` runs there after it was closed. Raises what `connect` does."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._stopped = loop.create_future()
        # A daemon: an interpreter that ends without `stop` must not hang, and what was promised is committed.
        threading.Thread(
            target=self._main, args=(connect, at_end, opened, self._stopped), name="reaper-ledger", daemon=True
        ).start()
        try:
            await opened
        except BaseException:
            self._end()
            raise

    async def read(self, work: Work[T]) -> T:
        """Run `work` in a read snapshot and return its result. Cancelled, nothing has happened."""
        return cast(T, await self._post(_Operation(work, writes=False), None).wait())

    async def write(self, work: Work[T], *, undo: Callable[[T], Work[object]] | None = None) -> T:
        """Run `work` in a transaction; return when it is durable. Raises QueueError when opened for reading only.

        Cancelled, it has happened wholly or not at all; if it has and its caller is gone, `undo(result)` is run.
        """
        if self.read_only:
            raise QueueError(f"the ledger {self._path} is open for reading only")

        undo_call = None if undo is None else partial(self._undo, undo)
        return cast(T, await self._post(_Operation(work, writes=True), undo_call).wait())

    async def stop(self) -> None:
        """Finish what was posted, close the connection, end the thread. Idempotent."""
        self._end()
        assert self._stopped is not None, "only what was started is stopped"
        await asyncio.shield(self._stopped)

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            self._submit()
            self._inbox.put(None)

    def _post(self, operation: _Operation, undo: Callable[[T], object] | None) -> Call[_Operation]:
        """Queue an operation. Those of one turn of the loop go to the thread together: it wakes once for all."""
        if self._closed:
            raise QueueError(f"the ledger {self._path} was closed")
        loop = asyncio.get_running_loop()
        call = Call(operation, loop.create_future(), undo)
        if not self._posted:
            loop.call_soon(self._submit)
        self._posted.append(call)
        return call

    def _undo(self, undo: Callable[[T], Work[object]], result: T) -> None:
        with suppress(QueueError):  # a closed ledger has released everything
            call = self._post(_Operation(undo(result), writes=True), None)
            call.future.add_done_callback(asyncio.Future.exception)  # no caller is left to raise it to

    def _submit(self) -> None:
        if self._posted:
            self._inbox.put(self._posted)
            self._posted = []

    # --- in the thread --------------------------------------------------------------------------------------------

    def _main(
        self,
        connect: Callable[[], sqlite3.Connection],
        at_end: Callable[[], None],
        opened: asyncio.Future[None],
        stopped: asyncio.Future[None],
    ) -> None:
        try:
            connection = connect()
            _deliver([(Call(None, opened), None)])
            self._serve(connection)
            with suppress(QueueError):
                self._check_files(connection)
            # Every promise was committed before; the checkpoint that comes with a close is a courtesy.
            if not self._lost:
                with suppress(sqlite3.Error):
                    connection.close()
        except Exception as error:  # noqa: BLE001 - the top of a thread: the opener gets it
            _deliver([(Call(None, opened), self._translated(error))])
        finally:
            at_end()
            _deliver([(Call(None, stopped), None)])
        if self._lost:
            # The close of a connection copies its log into the ledger and deletes the log by name: by now that may be
            # the log of another ledger. So this one is never closed; it ends with the process.
            threading.Event().wait()

    def _serve(self, connection: sqlite3.Connection) -> None:
        last = False
        while not last:
            calls: list[Call[_Operation]] = []
            posted = self._inbox.get()
            try:
                while posted is not None:
                    calls += posted
                    if len(calls) >= MAX_BATCH:
                        break
                    posted = self._inbox.get_nowait()
                last = posted is None
            except Empty:
                pass
            for writes, begin in ((True, begin_write), (False, begin_read)):
                # Cancelled before it began: then it has not happened at all.
                chosen = [c for c in calls if c.operation.writes is writes and not c.future.cancelled()]
                if chosen:
                    _deliver(list(zip(chosen, self._transact(connection, begin, chosen), strict=True)))

    def _transact(self, connection: sqlite3.Connection, begin: Begin, calls: Calls) -> Sequence[object]:
        """Return the result or the error of each call: run together, one by one where one of them raises."""
        results = self._together(connection, begin, calls)
        if results is not None:
            return results
        return [result for call in calls for result in self._together(connection, begin, [call]) or ()]

    def _together(self, connection: sqlite3.Connection, begin: Begin, calls: Calls) -> Sequence[object] | None:
        """Run calls in one transaction. Returns None when one of several raised: then nothing has happened."""
        working = False
        try:
            if self._broken is not None:
                raise self._broken
            self._check_files(connection)
            begin(connection)
            working = True
            results = [call.operation.work(connection) for call in calls]
            working = False
            connection.execute("COMMIT")
            self._check_files(connection)  # what went into a deleted file is not durable
        except Exception as error:  # noqa: BLE001 - each caller gets its own
            if is_fatal(error) and isinstance(error, sqlite3.Error):
                self._broken = error
            if connection.in_transaction:
                self._roll_back(connection)
            return None if working and len(calls) > 1 else [self._translated(error) for _ in calls]
        return results

    def _check_files(self, connection: sqlite3.Connection) -> None:
        """Raise QueueError, from then on always, once the files are not those that were opened."""
        if not self._lost and self._files is not None and (finding := self._files.finding()):
            self._lost = finding + ("" if self.read_only else self._files.rescue(connection))
        if self._lost:
            raise QueueError(self._lost)

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._broken = error

    def _translated(self, error: Exception) -> Exception:
        return translated(error, self._path) if isinstance(error, sqlite3.Error) else error


def _deliver(results: Sequence[tuple[Call[Any], object]]) -> None:
    """Resolve calls from the thread: one hop to each event loop that waits."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Call[Any], object]]] = {}
    for call, result in results:
        by_loop.setdefault(call.future.get_loop(), []).append((call, result))
    for loop, its in by_loop.items():
        with suppress(RuntimeError):  # the loop is gone, and its callers with it
            loop.call_soon_threadsafe(resolve, its)


def resolve(results: Sequence[tuple[Call[Any], object]]) -> None:
    """Hand each call its result; in the event loop of the callers."""
    for call, result in results:
        call.deliver(result)

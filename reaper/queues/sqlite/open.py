"""Opening of a ledger, the queue in one SQLite file: the default. Keeps all promises of `queues.base`."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from os.path import abspath, realpath

from reaper.core.errors import QueueError
from reaper.queues.base import Queue
from reaper.queues.composed import ComposedQueue
from reaper.queues.process_name import new_owner
from reaper.queues.sqlite.claims import SqliteWork
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.errors import refused_for_good
from reaper.queues.sqlite.file import prepare_file
from reaper.queues.sqlite.intake import SqliteIntake
from reaper.queues.sqlite.maintenance import release_dead_at_start
from reaper.queues.sqlite.operators import SqliteOperators
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.reader import SqliteReader
from reaper.queues.sqlite.rescue import rescue
from reaper.queues.sqlite.schema import connect, connect_in_memory, set_checkpointing
from reaper.queues.sqlite.shared_values import SqliteValues
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.sqlite.watch import FileWatch


async def open_ledger(
    path: str, *, create: bool, read_only: bool, worker: bool, clock: Callable[[], float] = time.time
) -> tuple[Queue, bool]:
    """Open the ledger at `path`; return it and whether it was created now.

    `create` allows that, unless `read_only`. A `worker` registers as alive at once, others with their first claim. A
    writer releases the leases of dead processes. Raises QueueError.
    """
    ledger = Ledger(path, read_only=read_only, clock=clock)
    created = await ledger.start(create=create, worker=worker)
    return ledger.queue(), created


async def open_empty() -> Queue:
    """Open an empty ledger in memory; nothing is written to disk."""
    ledger = Ledger(":memory:")
    await ledger.thread.start(connect_in_memory, ledger.locks.release)
    return ledger.queue()


class Ledger:
    """The parts that the ports of one open ledger share.

    Log, locks and all else beside a ledger are named after its file, with links resolved: two names that lead to one
    file have them in common.
    """

    def __init__(
        self,
        path: str,
        *,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.path = realpath(path)
        self.locks = Locks(f"{self.path}.owners", new_owner())
        self.watch = FileWatch(abspath(path), self.path)
        self.thread = LedgerThread(self.path, read_only=read_only, files=self)
        self.clock = LedgerClock(clock, monotonic)

    async def start(self, *, create: bool, worker: bool) -> bool:
        """Connect the thread to the file; return whether that was created now. Raises QueueError."""
        created = False
        writes = not self.thread.read_only

        def begin() -> sqlite3.Connection:
            with refused_for_good(self.path):
                return prepare_and_connect()

        def prepare_and_connect() -> sqlite3.Connection:
            nonlocal created
            self.clock.calibrate()
            created = prepare_file(self.path, create=create and writes)
            connection = connect(self.path, read_only=not writes)
            try:
                if not self.watch.opened():
                    raise QueueError(f"the ledger {self.path} was replaced while it was opened: try again")
                if finding := self.watch.finding():
                    raise QueueError(finding)
                self.clock.agree(connection, writes=writes)
                if writes:
                    set_checkpointing(connection, self.locks.try_become_checkpointer())
                    if worker:
                        self.locks.register()
                    release_dead_at_start(connection, self.locks, self.clock)
            except BaseException:
                connection.close()
                raise
            return connection

        await self.thread.start(begin, self.locks.release)
        return created

    def finding(self) -> str | None:
        """Return a sentence when the files are not those any more that were opened; make lost lock files anew."""
        if not self.watch.ids:
            return None  # in memory
        finding = self.watch.finding()
        if finding is None:
            self.locks.restore()
        return finding

    def rescue(self, connection: sqlite3.Connection) -> str:
        """Save what only this connection can read."""
        return rescue(connection, self.watch)

    def queue(self) -> Queue:
        """Return the queue on the started ledger; its `close` ends the thread and releases the locks."""
        work = SqliteWork(self.thread, self.locks, self.clock)
        return ComposedQueue(
            intake=SqliteIntake(self.thread, self.clock),
            work=work,
            operators=SqliteOperators(self.thread, self.clock),
            values=SqliteValues(self.thread, self.clock.now),
            ledger=SqliteReader(self.path, self.thread, self.locks, self.clock),
            close=work.close,
        )

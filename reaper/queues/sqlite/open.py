"""Opening of a ledger, the queue in one SQLite file: the default. Keeps all promises of `queues.base`."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable
from os.path import abspath

from reaper.queues.base import Queue
from reaper.queues.composed import ComposedQueue
from reaper.queues.sqlite.claims import SqliteWork
from reaper.queues.sqlite.intake import SqliteIntake
from reaper.queues.sqlite.maintenance import release_dead_at_start
from reaper.queues.sqlite.operators import SqliteOperators
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.reader import SqliteReader
from reaper.queues.sqlite.schema import connect, connect_in_memory, prepare_file, set_checkpointing
from reaper.queues.sqlite.shared_values import SqliteValues
from reaper.queues.sqlite.thread import LedgerThread


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
    """The parts that the ports of one open ledger share."""

    def __init__(self, path: str, *, read_only: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.path = abspath(path)
        self.locks = Locks(f"{self.path}.owners", secrets.token_hex(8))
        self.thread = LedgerThread(self.path, read_only=read_only)
        self.clock = clock

    async def start(self, *, create: bool, worker: bool) -> bool:
        """Connect the thread to the file; return whether that was created now. Raises QueueError."""
        created = False
        writes = not self.thread.read_only

        def begin() -> sqlite3.Connection:
            nonlocal created
            created = prepare_file(self.path, create=create and writes)
            connection = connect(self.path, read_only=not writes)
            try:
                if writes:
                    set_checkpointing(connection, self.locks.try_become_checkpointer())
                    if worker:
                        self.locks.register()
                    release_dead_at_start(connection, self.locks, self.clock())
            except BaseException:
                connection.close()
                raise
            return connection

        await self.thread.start(begin, self.locks.release)
        return created

    def queue(self) -> Queue:
        """Return the queue on the started ledger; its `close` ends the thread and releases the locks."""
        work = SqliteWork(self.thread, self.locks, self.clock)
        return ComposedQueue(
            intake=SqliteIntake(self.thread, self.clock),
            work=work,
            operators=SqliteOperators(self.thread, self.clock),
            values=SqliteValues(self.thread, self.clock),
            ledger=SqliteReader(self.path, self.thread, self.locks, self.clock),
            close=work.close,
        )

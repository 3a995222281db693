"""The queue in one SQLite file: the default. Its promises are those of `reaper.queues.base`, all ten of them."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from os.path import abspath
from typing import TypeVar

import anyio.to_thread

from reaper.core.errors import QueueError
from reaper.core.model import (
    Audit,
    Item,
    Lease,
    LeaseResult,
    Outcome,
    Pause,
    Release,
    SessionId,
    Stats,
    WorkerHeartbeat,
)
from reaper.queues.base import RunSet
from reaper.queues.sqlite import audit as sqlite_audit
from reaper.queues.sqlite import claims as sqlite_work
from reaper.queues.sqlite import intake as sqlite_add
from reaper.queues.sqlite import rows as sqlite_rows
from reaper.queues.sqlite.backup import back_up
from reaper.queues.sqlite.bulk_settle import apply_all
from reaper.queues.sqlite.claims import next_at
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.run_sets import SqliteRunSet, is_small
from reaper.queues.sqlite.schema import connect, let_checkpoint, prepare_file
from reaper.queues.sqlite.thread import LedgerThread, Work
from reaper.queues.values import Added, Batch, CancelResult, Position, PostponeResult

T = TypeVar("T")

LIBRARY_VERSION = sqlite3.sqlite_version
"""Of the SQLite library in use."""

_NO_PLACE = (float("-inf"), -1)


async def open_ledger(
    path: str, *, create: bool, read_only: bool, worker: bool, clock: Callable[[], float] = time.time
) -> tuple[SqliteQueue, bool]:
    """Open the ledger at `path`; return it and whether it was created now.

    `create` allows that, unless `read_only`. A `worker` says from the start that it lives, others with their first
    claim. A writer frees the leases of dead processes. Raises QueueError.
    """
    path = abspath(path)  # noqa: ASYNC240 - it asks nothing of the disk
    locks = Locks(f"{path}.owners", secrets.token_hex(8))
    created = False

    def begin() -> sqlite3.Connection:
        nonlocal created
        created = prepare_file(path, create=create and not read_only)
        connection = connect(path, read_only=read_only)
        try:
            if not read_only:
                let_checkpoint(connection, locks.lead())
                if worker:
                    locks.hold()
                sqlite_work.release_dead_at_start(connection, locks, clock())
        except BaseException:
            connection.close()
            raise
        return connection

    thread = LedgerThread(path)
    await thread.start(begin, locks.release)
    return SqliteQueue(path, thread, locks, clock, read_only=read_only), created


class SqliteQueue:
    """One open ledger; made by `open_ledger`."""

    def __init__(
        self, path: str, thread: LedgerThread, locks: Locks, clock: Callable[[], float], *, read_only: bool
    ) -> None:
        self._path = path
        self._thread = thread
        self._locks = locks
        self._clock = clock
        self._read_only = read_only
        self._started_at = clock()
        self._told = False
        self._claimed = 0
        self._sets = 0

    @property
    def owner(self) -> str:
        return self._locks.owner

    def now(self) -> float:
        return self._clock()

    # intake
    async def add(
        self,
        batch: Batch,
        *,
        again: bool = False,
        by: str | None = None,
        default_after_s: float = 0.0,
        into: RunSet | None = None,
    ) -> Added:
        set_id = None if into is None else self._own_set(into).set_id
        return await self._write(
            lambda connection: sqlite_add.add(
                connection,
                batch,
                now=self._clock(),
                again=again,
                by=by,
                default_after_s=default_after_s,
                set_id=set_id,
            )
        )

    async def positions(self) -> list[Position]:
        return await self._thread.read(sqlite_rows.positions)

    # work
    def new_set(self) -> RunSet:
        self._sets += 1
        return SqliteRunSet(self._thread, self._clock, self._sets)

    async def claim(self, limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        set_id = None if within is None else self._own_set(within).set_id

        def claim(connection: sqlite3.Connection) -> list[Lease]:
            self._locks.hold()
            leases = sqlite_work.claim(
                connection,
                limit,
                now=self._clock(),
                lease_s=lease_s,
                owner=self.owner,
                turn=self._claimed,
                set_id=set_id,
                small_set=set_id is not None and is_small(connection, set_id),
            )
            self._claimed += len(leases)
            return leases

        def hand_back(leases: list[Lease]) -> Work[object]:
            def work(connection: sqlite3.Connection) -> None:
                for lease in leases:
                    sqlite_work.apply(connection, LeaseResult(lease, Release(0.0), None), self._clock())

            return work

        self._refuse_read_only()
        return await self._thread.write(claim, undo=hand_back)

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        return await self._write(lambda connection: apply_all(connection, results, self._clock()))

    async def next_at(self) -> float | None:
        return await self._thread.read(next_at)

    async def maintain(self, keep_settled_s: float) -> int:
        def maintain(connection: sqlite3.Connection) -> int:
            let_checkpoint(connection, self._locks.lead())
            now = self._clock()
            freed = sqlite_work.release(connection, sqlite_work.dead_owners(connection, self._locks), self._locks, now)
            sqlite_audit.prune(connection, now - keep_settled_s)
            return freed

        return await self._write(maintain)

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            self._locks.hold()
            sqlite_rows.write_heartbeat(connection, self.owner, self._started_at, self._clock(), limit, pauses)
            self._told = True

        await self._write(write)

    async def live_workers(self) -> list[WorkerHeartbeat]:
        told = await self._thread.read(sqlite_rows.live_workers)
        return [reaper for reaper in told if self._locks.lives(reaper.owner)]

    # operators
    async def postpone(self, session_id: SessionId, after_s: float) -> PostponeResult:
        return await self._write(
            lambda connection: sqlite_work.postpone(connection, session_id, after_s, self._clock())
        )

    async def make_due(self, *, retries: bool) -> int:
        return await self._write(lambda connection: sqlite_work.make_due(connection, retries, self._clock()))

    async def cancel(self, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
        return await self._write(
            lambda connection: sqlite_work.cancel(connection, session_id, reason, by, self._clock())
        )

    async def reopen(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> int:
        return await self._write(
            lambda connection: sqlite_add.reopen(connection, session_ids, now=self._clock(), reason=reason, by=by)
        )

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        return await self._write(lambda connection: sqlite_add.purge(connection, session_ids))

    async def pause(self, pause: Pause | None) -> None:
        await self._write(lambda connection: sqlite_rows.set_pause(connection, pause))

    async def paused(self) -> Pause | None:
        pause = await self._thread.read(sqlite_rows.paused)
        return None if pause is None or (pause.until is not None and pause.until <= self._clock()) else pause

    # notes
    async def read_value(self, name: str) -> str | None:
        return await self._thread.read(partial(sqlite_rows.read_value, name=name))

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        return await self._write(partial(sqlite_rows.compare_and_set, name=name, text=text, was=was))

    # reading
    async def show(self, session_id: SessionId) -> Item | None:
        return await self._thread.read(lambda connection: sqlite_rows.show(connection, session_id, self._clock()))

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        return await self._thread.read(partial(sqlite_rows.outcomes_of, session_ids=session_ids))

    async def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]:
        chosen = frozenset(Outcome) if only is None else only
        place = _NO_PLACE if since is None else (since, -1)
        while True:
            page = await self._thread.read(
                partial(sqlite_rows.settled_page, after=place, only=chosen, now=self._clock())
            )
            for _, item in page:
                yield item
            if len(page) < sqlite_rows.PAGE:
                return
            place = page[-1][0]

    async def retrying(self, limit: int) -> list[Item]:
        return await self._thread.read(lambda connection: sqlite_rows.retrying(connection, limit, self._clock()))

    async def stats(self) -> Stats:
        return await self._thread.read(lambda connection: sqlite_audit.stats(connection, self._clock()))

    async def audit(self) -> Audit:
        return await self._thread.read(lambda connection: sqlite_audit.audit(connection, self._clock()))

    async def backup(self, path: str) -> None:
        await anyio.to_thread.run_sync(back_up, self._path, path)

    async def close(self) -> None:
        if self._told:
            self._told = False
            with suppress(QueueError):  # the lock file says it too
                await self._write(partial(sqlite_rows.deregister, owner=self.owner))
        await self._thread.stop()

    async def _write(self, work: Work[T]) -> T:
        self._refuse_read_only()
        return await self._thread.write(work)

    def _refuse_read_only(self) -> None:
        if self._read_only:
            raise QueueError(f"the ledger {self._path} is open for reading only")

    def _own_set(self, run_set: RunSet) -> SqliteRunSet:
        if not isinstance(run_set, SqliteRunSet) or run_set.thread is not self._thread:
            raise TypeError("a run set belongs to the queue that made it")
        return run_set

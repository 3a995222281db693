"""The queue in a PostgreSQL database, shared by any number of reapers on any number of machines.

Its promises are those of `reaper.queues.base`, but one: what a dead process held is free when its lease is over, not
at once, as nobody elsewhere can see that it died. Every statement is a transaction of its own, and nothing is kept in
a session of the server, so a pooler in transaction mode may stand between. Times are the server's.

The file is as long as the protocol: a method is mostly one line, which says on which connection the work is done.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

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
from reaper.queues.base import PositionStore, RunSet
from reaper.queues.postgres import audit as postgres_audit
from reaper.queues.postgres import intake as postgres_add
from reaper.queues.postgres import maintenance as postgres_tend
from reaper.queues.postgres import rows as postgres_rows
from reaper.queues.postgres.claims import SMALL_SET, Apply, BatchExecutor, Claim
from reaper.queues.postgres.connection import BatchedConnection, Connection, Connector, Work, run_each
from reaper.queues.postgres.errors import parameters
from reaper.queues.postgres.run_sets import PostgresRunSet
from reaper.queues.postgres.schema import Facts, facts, prepare
from reaper.queues.server_time import ServerTime
from reaper.queues.values import Added, Batch, CancelResult, Position, PostponeResult

T = TypeVar("T")

WORK_S = 5.0
"""How long a claim or an apply may take: with the time to cancel it, less than the 15 s that a worker waits."""
OTHER_S = 120.0
"""How long anything else may take: an audit reads every row."""
TOGETHER = 512
"""Claims and applies carried out in one transaction at most."""
REGISTER_S = 86_400.0
TIDY_S = 60.0


async def open_postgres(
    url: str,
    *,
    create: bool,
    read_only: bool,
    worker: bool,
    positions: Callable[[str], PositionStore],
    inbox_after_s: float = 0.0,
    clock: Callable[[], float] | None = None,
) -> tuple[PostgresQueue, bool, tuple[str, ...]]:
    """Open the queue at `url`; return it, whether its tables were made now, and warnings for the operator.

    `create` allows that and newer versions of them, unless `read_only`. A `worker` says from the start that it lives,
    others with their first claim. `positions` gets the queue's identity, the same as long as its tables live, and
    gives the store of this machine's files. `clock`, for tests, gives Unix seconds in the server's stead.
    `inbox_after_s` has no meaning here: what other programs insert tells its own due time. Raises ConfigError for a
    URL that cannot be read, QueueError when the queue cannot be used.
    """
    queue = PostgresQueue(Connector(parameters(url)), clock, read_only=read_only)
    try:
        created, warnings = await queue.begin(positions, create=create and not read_only, worker=worker)
    except BaseException:
        await queue.close()
        raise
    return queue, created, warnings


class PostgresQueue:
    """One process's use of the queue; made by `open_postgres`. It has up to three connections, each when needed."""

    def __init__(self, road: Connector, clock: Callable[[], float] | None, *, read_only: bool) -> None:
        self._road = road
        self._clock = clock
        self._time = ServerTime(clock)
        self._read_only = read_only
        self._started_at: float | None = None
        self._registered_at: float | None = None
        self._tidied_at = float("-inf")
        self._positions: PositionStore | None = None
        self._sets = 0
        self._doubtful = frozenset[str]()
        self._bench = BatchExecutor(secrets.token_hex(8))
        self._reads: BatchedConnection[Work] = BatchedConnection(road, run_each, OTHER_S, rereads=True)
        self._writes: BatchedConnection[Work] = BatchedConnection(road, run_each, OTHER_S)
        self._work: BatchedConnection[Apply | Claim] = BatchedConnection(
            road, self._carry_out, WORK_S, most=TOGETHER, in_doubt=self._note_doubt
        )

    @property
    def owner(self) -> str:
        return self._bench.owner

    async def begin(
        self, positions: Callable[[str], PositionStore], *, create: bool, worker: bool
    ) -> tuple[bool, tuple[str, ...]]:
        """Check the tables, or make them; return whether they were made now, and warnings."""

        async def check(connection: Connection) -> tuple[bool, Facts]:
            made = await prepare(connection, self._road.where, create=create)
            return made, await facts(connection, self._road.where, self._now())

        made, found = await (self._writes if create else self._reads).ask(check)
        self._started_at = found.now
        self._time.measured(found.now)
        self._positions = positions(found.identity)
        if worker and not self._read_only:
            await self._register()
        return made, found.warnings

    def now(self) -> float:
        return self._time.now()

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
        chosen = None if into is None else self._own_set(into)
        if chosen is not None:
            await self._register_set(chosen)

        async def add(connection: Connection) -> Added:
            added, members = await postgres_add.add(
                connection,
                batch,
                now=self._now(),
                again=again,
                by=by,
                default_after_s=default_after_s,
                set_id=None if chosen is None else chosen.set_id,
            )
            if chosen is not None:
                chosen.size += members
            return added

        added = await self._write(add)
        if batch.position is not None:
            await self._store().save(batch.position)
        return added

    async def positions(self) -> list[Position]:
        return await self._store().positions()

    # work
    def new_set(self) -> RunSet:
        self._sets += 1
        return PostgresRunSet(
            f"{self.owner}.{self._sets}", self._reads, self._write_for_set, self._now, read_only=self._read_only
        )

    async def claim(self, most: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        chosen = None if within is None else self._own_set(within)
        self._refuse_read_only()
        if most <= 0:
            return []
        await self._register()
        size = 0 if chosen is None else chosen.size
        claim = Claim(most, lease_s, None if chosen is None else chosen.set_id, small_set=size < SMALL_SET)

        async def hand_back(leases: list[Lease]) -> None:
            await self._work.repeat(Apply([LeaseResult(lease, Release(0.0), None) for lease in leases]))

        leases: list[Lease] = await self._work.ask(claim, undo=hand_back)
        return leases

    async def apply(self, ends: Sequence[LeaseResult]) -> list[bool]:
        self._refuse_read_only()
        receipts = {end.lease.receipt for end in ends}
        held: list[bool] = await self._work.ask(Apply(ends, self._doubtful & receipts))
        self._doubtful -= receipts
        return held

    async def _carry_out(self, connection: Connection, asks: Sequence[Apply | Claim]) -> Sequence[object]:
        return await self._bench.carry_out(connection, asks, self._now())

    def _note_doubt(self, asks: Sequence[Apply | Claim]) -> None:
        """Remember whose end may be written already: asked again, it is not to be taken for a lost lease."""
        self._doubtful |= {end.lease.receipt for ask in asks if isinstance(ask, Apply) for end in ask.ends}

    async def next_at(self) -> float | None:
        return await self._read(postgres_rows.next_at)

    async def maintain(self, keep_settled_s: float) -> int:
        async def maintain(connection: Connection) -> int:
            freed = await postgres_tend.release(connection, self._now())
            await postgres_tend.prune(connection, keep_settled_s, self._now())
            if time.monotonic() - self._tidied_at > TIDY_S:
                self._tidied_at = time.monotonic()
                await postgres_tend.tidy(connection, self._now())
            self._time.measured(await postgres_rows.server_now(connection))
            return freed

        return await self._write(maintain)

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        async def write(connection: Connection) -> None:
            await postgres_rows.write_heartbeat(
                connection, self.owner, started=self._started_at, now=self._now(), limit=limit, pauses=pauses
            )
            self._registered_at = time.monotonic()

        await self._write(write)

    async def live_workers(self) -> list[WorkerHeartbeat]:
        return await self._read(lambda connection: postgres_rows.live_workers(connection, self._now()))

    # operators
    async def postpone(self, session_id: SessionId, after_s: float) -> PostponeResult:
        return await self._write(
            lambda connection: postgres_tend.postpone(connection, session_id, after_s, self._now())
        )

    async def make_due(self, *, retries: bool) -> int:
        return await self._write(lambda connection: postgres_tend.make_due(connection, retries, self._now()))

    async def cancel(self, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
        return await self._write(
            lambda connection: postgres_tend.cancel(connection, session_id, reason, by, self._now())
        )

    async def reopen(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> int:
        return await self._write(
            lambda connection: postgres_add.reopen(connection, session_ids, now=self._now(), reason=reason, by=by)
        )

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        return await self._write(lambda connection: postgres_add.purge(connection, session_ids))

    async def pause(self, pause: Pause | None) -> None:
        await self._write(lambda connection: postgres_rows.set_pause(connection, pause))

    async def paused(self) -> Pause | None:
        return await self._read(lambda connection: postgres_rows.paused(connection, self._now()))

    # notes
    async def read_value(self, name: str) -> str | None:
        return await self._read(partial(postgres_rows.read_value, name=name))

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        return await self._write(partial(postgres_rows.compare_and_set, name=name, text=text, was=was))

    # reading
    async def show(self, session_id: SessionId) -> Item | None:
        return await self._read(lambda connection: postgres_rows.show(connection, session_id, self._now()))

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        return await self._read(partial(postgres_rows.outcomes_of, session_ids=session_ids))

    async def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]:
        chosen = frozenset(Outcome) if only is None else only
        place: tuple[float | None, int] = (since, -1)
        while True:
            page = await self._read(partial(postgres_rows.settled_page, after=place, only=chosen, now=self._now()))
            for _, item in page:
                yield item
            if len(page) < postgres_rows.PAGE:
                return
            place = page[-1][0]

    async def retrying(self, most: int) -> list[Item]:
        return await self._read(lambda connection: postgres_rows.retrying(connection, most, self._now()))

    async def stats(self) -> Stats:
        return await self._read(lambda connection: postgres_audit.stats(connection, self._now()))

    async def audit(self) -> Audit:
        return await self._read(lambda connection: postgres_audit.audit(connection, self._now()))

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in PostgreSQL cannot be copied to a file from here: use pg_dump")

    async def close(self) -> None:
        if self._registered_at is not None and not self._road.blocked:
            self._registered_at = None
            await self._work.close()  # what is handed back still is, before the goodbye frees the rest
            with suppress(QueueError):
                await self._write(partial(postgres_tend.deregister, owner=self.owner))
        for lane in (self._work, self._writes, self._reads):
            await lane.close()
        if self._positions is not None:
            await self._positions.close()

    async def abandon(self) -> None:
        """Drop everything without a word, as the death of the process would; for tests."""
        for lane in (self._work, self._writes, self._reads):
            await lane.abandon()

    def _store(self) -> PositionStore:
        assert self._positions is not None, "nobody gets a queue that was not begun"
        return self._positions

    def _now(self) -> float | None:
        return None if self._clock is None else self._clock()

    async def _register(self) -> None:
        """Say that this process lives, before it holds anything."""
        if self._registered_at is not None and time.monotonic() - self._registered_at < REGISTER_S:
            return

        async def register(connection: Connection) -> None:
            await postgres_rows.write_heartbeat(connection, self.owner, started=self._started_at, now=self._now())
            self._registered_at = time.monotonic()

        await self._write(register)

    async def _register_set(self, chosen: PostgresRunSet) -> None:
        self._refuse_read_only()
        await self._register()
        if not chosen.registered:
            await self._write(partial(chosen.register, owner=self.owner))

    async def _write_for_set(self, chosen: PostgresRunSet, work: Work) -> Any:
        await self._register_set(chosen)
        return await self._writes.ask(work)

    async def _read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        result: T = await self._reads.ask(work)
        return result

    async def _write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        self._refuse_read_only()
        result: T = await self._writes.ask(work)
        return result

    def _refuse_read_only(self) -> None:
        if self._read_only:
            raise QueueError(f"the queue in {self._road.where} is open for reading only")

    def _own_set(self, run_set: RunSet) -> PostgresRunSet:
        if not isinstance(run_set, PostgresRunSet) or run_set.reads is not self._reads:
            raise TypeError("a run set belongs to the queue that made it")
        return run_set

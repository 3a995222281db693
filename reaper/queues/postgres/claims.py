"""Leases out, results in, and the upkeep beside them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from reaper.core.model import Lease, LeaseResult, Pause, Release
from reaper.queues.base import RunSet
from reaper.queues.postgres import maintenance
from reaper.queues.postgres.connection import BatchedConnection
from reaper.queues.postgres.database import Database, fetch
from reaper.queues.postgres.executor import Apply, BatchExecutor, Claim
from reaper.queues.postgres.owners import Owner
from reaper.queues.postgres.run_sets import PostgresRunSet, own_set
from reaper.queues.postgres.schema import refuse_newer
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load
from reaper.queues.server_time import ServerTime
from reaper.queues.values import pause_of

CALL_S = 5.0
"""How long a claim or an apply may take: with the time to cancel it, less than the 15 s that a worker waits."""
MAX_BATCH = 512
"""Claims and applies executed in one transaction at most."""
SMALL_SET = 5_000
"""Sets smaller than this are searched row by row; larger ones along the queue, whose head they mostly are."""
TIDY_S = 60.0
"""How often `maintain` also adds up counters and deletes what dead processes left."""
_SQL = load("claims.sql", OF_SET="")


class PostgresWork:
    """The work port of one open queue."""

    def __init__(self, database: Database, owner: Owner, time: ServerTime) -> None:
        self.owner, self.now = owner.name, time.now
        self._database = database
        self._owner = owner
        self._time = time
        self._tidied_at = float("-inf")
        self._sets = 0
        self._maybe_applied = frozenset[str]()
        self._executor = BatchExecutor(owner.name)
        self._connection: BatchedConnection[Apply | Claim] = database.add_connection(
            BatchedConnection(
                database.connector,
                self._execute,
                CALL_S,
                limit=MAX_BATCH,
                on_unknown_outcome=self._remember_maybe_applied,
            )
        )

    def new_set(self) -> RunSet:
        self._sets += 1
        return PostgresRunSet(f"{self.owner}.{self._sets}", self._database, self._owner)

    async def claim(self, limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        run_set = own_set(self._database, within)
        self._database.refuse_read_only()
        if limit <= 0:
            return []
        await self._owner.register()
        if run_set is None:
            claim = Claim(limit, lease_s, None, small_set=True)
        else:
            claim = Claim(limit, lease_s, run_set.set_id, small_set=run_set.size < SMALL_SET)
        leases: list[Lease] = await self._connection.run(claim, undo=_releases)
        return leases

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        self._database.refuse_read_only()
        receipts = {result.lease.receipt for result in results}
        held: list[bool] = await self._connection.run(Apply(results, self._maybe_applied & receipts))
        self._maybe_applied -= receipts
        return held

    async def _execute(self, connection: Session, operations: Sequence[Apply | Claim]) -> Sequence[object]:
        clock = self._database.clock
        return await self._executor.execute(connection, operations, None if clock is None else clock())

    def _remember_maybe_applied(self, operations: Sequence[Apply | Claim]) -> None:
        """Remember the receipts of a lost apply: when it is repeated, a written result is no lost lease."""
        self._maybe_applied |= {
            result.lease.receipt for one in operations if isinstance(one, Apply) for result in one.results
        }

    async def next_at(self) -> float | None:
        ((at,),) = await self._database.fetch_quick(_SQL["next_at"])
        return None if at is None else float(at)

    async def paused(self) -> Pause | None:
        found = await self._database.fetch_quick(_SQL["paused"])
        return pause_of(found[0][0]) if found else None

    async def maintain(self, keep_settled_s: float) -> int:
        self._database.refuse_read_only()
        now = self._database.params()["now"]

        async def maintain(connection: Session) -> int:
            released = await maintenance.maintain(connection, keep_settled_s, now)
            ((server_time, version),) = await fetch(connection, _SQL["time_and_version"], {})
            refuse_newer(version, self._database.where)
            self._time.measured(server_time)
            return released

        async def tidy(connection: Session) -> None:
            if time.monotonic() - self._tidied_at > TIDY_S:
                await maintenance.tidy(connection, now)
                self._tidied_at = time.monotonic()

        released = await self._database.run_quick(maintain)
        if time.monotonic() - self._tidied_at > TIDY_S:
            await self._database.write(tidy)
        return released

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        await self._owner.write(limit, pauses)

    async def close(self) -> None:
        """Finish the claims and applies; then release the rest by deregistering."""
        if self._owner.registered_at is not None:
            await self._connection.close()
            await self._owner.deregister()


def _releases(leases: list[Lease]) -> Apply:
    """Return the apply that releases the leases of a claim whose caller is gone."""
    return Apply([LeaseResult(lease, Release(0.0), None) for lease in leases])

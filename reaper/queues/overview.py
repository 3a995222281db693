"""Reads the whole of a queue for its screens: `status`, its board, the page and `/status` show the same facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from reaper.core import account, target
from reaper.core.allowance import UNPROVEN_KEY, read_unproven
from reaper.core.discovery import ghosts, holds
from reaper.core.discovery.ghosts import Ghosts
from reaper.core.discovery.holds import Holds
from reaper.core.model import LeaseHolder, Pause, PauseReason, Stats, WorkerHeartbeat
from reaper.core.notices import Notice, notices
from reaper.core.owners import random_part
from reaper.core.status import status_json


class OverviewQueue(Protocol):
    """What an overview reads of a queue (`queues.base`)."""

    def now(self) -> float: ...

    async def stats(self) -> Stats: ...

    async def live_workers(self) -> list[WorkerHeartbeat]: ...

    async def lease_holders(self) -> list[LeaseHolder]: ...

    async def paused(self) -> Pause | None: ...

    async def read_value(self, name: str, /) -> str | None: ...


@dataclass(frozen=True)
class Overview:
    """The whole queue at one moment. `now` is on the queue's clock."""

    stats: Stats
    now: float
    live_workers: Sequence[WorkerHeartbeat] = ()
    operator: Pause | None = None
    lease_holders: Sequence[LeaseHolder] = ()
    holds: Holds = ()
    """Held sweeps that wait for a decision."""
    ghosts: Ghosts = field(default_factory=Ghosts)
    unproven_gone: int = 0
    """Answers of 404 in a row that no list was compared with, where they are worth a warning."""
    target: str | None = None
    """The address that is pinned in the queue."""
    account: str | None = None
    """The account that is pinned in the queue, for people."""

    @property
    def pauses(self) -> list[Pause]:
        """One pause for each reason that holds anywhere. The operator's is the queue's: a heartbeat's can be stale."""
        by_reason = {pause.reason: pause for worker in self.live_workers for pause in worker.pauses}
        by_reason.pop(PauseReason.OPERATOR, None)
        return [*([self.operator] if self.operator else []), *by_reason.values()]

    @property
    def limit(self) -> int | None:
        """The DELETEs that all workers together may have in flight; None while none is alive."""
        return sum(worker.limit for worker in self.live_workers) if self.live_workers else None

    @cached_property
    def in_flight_of(self) -> Mapping[str, int]:
        """The leases in force by the random part of their owner's name."""
        return {random_part(holder.owner): holder.in_flight for holder in self.lease_holders}

    @property
    def silent(self) -> list[LeaseHolder]:
        """Those that hold leases and send no heartbeat: dead, or cut off from the queue."""
        alive = {random_part(worker.owner) for worker in self.live_workers}
        return [holder for holder in self.lease_holders if random_part(holder.owner) not in alive]

    def as_json(self, queue_url: str, *, with_ids: bool = True) -> dict[str, object]:
        """Return the document of `status --json` and `/status`; `queue_url` is fit to be shown."""
        return status_json(
            self.stats,
            self.pauses,
            self.limit,
            queue=queue_url,
            target=self.target,
            account=self.account,
            workers=self.live_workers,
            in_flight_of=self.in_flight_of,
            holds=self.holds,
            ghosts=self.ghosts,
            unproven_gone=self.unproven_gone,
            with_ids=with_ids,
        )

    @property
    def notices(self) -> list[Notice]:
        """What an operator should know of the whole queue."""
        return self.notices_of(self.now, self.pauses, has_worker=bool(self.live_workers))

    def notices_of(
        self,
        now: float,
        pauses: Sequence[Pause],
        *,
        has_worker: bool,
        others: Sequence[WorkerHeartbeat] = (),
        stalled_s: float = 0.0,
    ) -> list[Notice]:
        """Return what an operator should know, beginning with these pauses; the arguments are those of `notices`."""
        return notices(
            now,
            pauses,
            stalled_s=stalled_s,
            stats=self.stats,
            others=others,
            has_worker=has_worker,
            silent=self.silent,
            holds=len(self.holds),
            ghosts=len(self.ghosts.proven),
            unproven_gone=self.unproven_gone,
        )


async def read_overview(queue: OverviewQueue) -> Overview:
    """Read an overview. Raises QueueError."""
    stats, workers, held = await queue.stats(), await queue.live_workers(), await queue.lease_holders()
    operator, now = await queue.paused(), queue.now()
    pinned = account.read_account(await queue.read_value(account.KEY))
    return Overview(
        stats,
        now,
        workers,
        operator,
        held,
        await _open_holds(queue),
        ghosts.read_ghosts(await queue.read_value(ghosts.KEY)),
        read_unproven(await queue.read_value(UNPROVEN_KEY)),
        await queue.read_value(target.KEY),
        pinned.shown if pinned else None,
    )


async def _open_holds(queue: OverviewQueue) -> Holds:
    try:
        return holds.open_holds(holds.read_holds(await queue.read_value(holds.KEY)), queue.now())
    except ValueError:
        return ()  # `reaper holds` reports the malformed value

"""Reads what `reaper status` shows from the queue: one snapshot, or one after the other with a rate and a sample."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from reaper.cli.terminal.progress_stats import RateMeter
from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Item, Pause, PauseReason, Stats, WorkerHeartbeat
from reaper.core.notices import Notice, notices
from reaper.intake.discovery.held_sweeps import open_holds_and_ghosts
from reaper.queues.base import Queue

RECENT_S = 120.0
MAX_SAMPLE = 300
"""Items read at each refresh for the sample: so many that wait for another try, so many settled since the last one."""
MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The whole queue at one moment. `now` is on the queue's clock."""

    stats: Stats
    live_workers: list[WorkerHeartbeat]
    pauses: list[Pause]
    """One for each reason that holds anywhere."""
    now: float
    holds: int = 0
    """Held sweeps that wait for a decision."""
    ghosts: int = 0
    """Sessions that live on though the API said they were over."""

    @property
    def limit(self) -> int | None:
        """The DELETEs that all workers together may have in flight; None while none is alive."""
        return sum(worker.limit for worker in self.live_workers) if self.live_workers else None

    @property
    def notices(self) -> list[Notice]:
        """What an operator should know."""
        has_worker = bool(self.live_workers)
        return notices(
            self.now, self.pauses, stats=self.stats, has_worker=has_worker, holds=self.holds, ghosts=self.ghosts
        )


async def read_snapshot(queue: Queue) -> QueueSnapshot:
    """Read a snapshot. Raises QueueError."""
    stats, workers, operator = await queue.stats(), await queue.live_workers(), await queue.paused()
    found = await open_holds_and_ghosts(queue)
    return QueueSnapshot(stats, workers, _merged_pauses(workers, operator), queue.now(), **found)


def _merged_pauses(workers: Sequence[WorkerHeartbeat], operator: Pause | None) -> list[Pause]:
    """Return one pause for each reason. The operator's comes from the queue: a heartbeat's can be stale."""
    by_reason = {pause.reason: pause for worker in workers for pause in worker.pauses}
    by_reason.pop(PauseReason.OPERATOR, None)
    return [*([operator] if operator else []), *by_reason.values()]


@dataclass(slots=True)
class StatusWatcher:
    """Snapshots one after the other, with the rate between them and the items that stand out.

    A queue cannot name its slowest or most often sent items without reading every row. A sample stands for them: the
    items that wait longest for another try, and the first items settled since the last refresh.
    """

    queue_url: str
    """Where the queue is, fit to be shown."""
    rate: RateMeter = field(default_factory=lambda: RateMeter(RECENT_S))
    snapshot: QueueSnapshot | None = None
    """The last one that could be read."""
    unavailable: str | None = None
    """Why the last refresh failed; None when it did not."""
    retried: list[Item] = field(default_factory=list)
    """Waiting for another try, the most often sent first."""
    recent: list[Item] = field(default_factory=list)
    """Settled in the last `RECENT_S`: those with the slowest and with the most sends."""
    _since: float | None = None

    async def refresh(self, queue: Queue) -> None:
        """Read the queue again. While it is unavailable the last snapshot stays, and `unavailable` says why."""
        try:
            self.snapshot = snapshot = await read_snapshot(queue)
            self.retried = sorted(await queue.retrying(MAX_SAMPLE), key=lambda item: -item.sends)[:MAX_NAMED]
            await self._refresh_recent(queue, snapshot.now)
        except QueueUnavailableError as error:
            self.unavailable = str(error)
            return
        self.unavailable = None
        self.rate.note(snapshot.now, sum(snapshot.stats.settled.values()))

    async def _refresh_recent(self, queue: Queue, now: float) -> None:
        since, self._since = self._since or now - RECENT_S, now
        seen: list[Item] = []
        async with aclosing(queue.outcomes(since=since)) as items:  # type: ignore[type-var]
            async for item in items:
                seen.append(item)
                if len(seen) == MAX_SAMPLE:
                    break
        self.recent = [item for item in [*self.recent, *seen] if (item.settled_at or 0) > now - RECENT_S]
        self.recent = list({item.session_id: item for item in [*self.slow, *self.often]}.values())

    @property
    def notices(self) -> list[Notice]:
        """What an operator should know, beginning with a queue that is unavailable now."""
        return [*notices(0.0, unavailable=self.unavailable), *(self.snapshot.notices if self.snapshot else ())]

    @property
    def slow(self) -> list[Item]:
        """Those settled recently that had the slowest sends."""
        return sorted(filter(slowest_s, self.recent), key=lambda item: -slowest_s(item))[:MAX_NAMED]

    @property
    def often(self) -> list[Item]:
        """Those settled recently that took the most sends, where it took more than one."""
        return sorted((item for item in self.recent if item.sends > 1), key=lambda item: -item.sends)[:MAX_NAMED]


def slowest_s(item: Item) -> float:
    """Return how long the slowest of an item's kept sends took, 0 without any."""
    return max((send.duration_s for send in item.history), default=0.0)

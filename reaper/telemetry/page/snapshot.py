"""Collects the facts of the page: those of this process each time, those of the queue from a cache."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import anyio

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.input_facts import InputFacts
from reaper.core.model import Pause, WorkerHeartbeat
from reaper.core.owners import Place, place_of
from reaper.core.text import format_duration
from reaper.core.version import __version__
from reaper.queues.history import HistorySlot
from reaper.queues.overview import Overview, OverviewQueue, read_overview
from reaper.telemetry.logs import redacted
from reaper.telemetry.page.charts import since
from reaper.telemetry.page.view import MINUTES, PageSnapshot, Process, Whose
from reaper.telemetry.settle_rate import SettleRate

QUEUE_TIMEOUT_S = 4.0
"""Time limit of the queue: less than the listener's for the whole response."""
MIN_CACHED_S, MAX_CACHED_S, CACHED_PER_QUERY_S = 1.0, 30.0, 20
"""The queue's facts are cached for 20 times as long as their query took, at least 1 s, at most 30 s."""
STALLED_S = 30.0
"""The claim loop advances at least once a second; after this long it hangs."""


class GateView(Protocol):
    """The gate as the pages use it."""

    in_flight: int

    @property
    def limit(self) -> int: ...

    @property
    def proven(self) -> bool: ...


class QueueHealthView(Protocol):
    """The queue's availability as the pages use it."""

    why: str

    @property
    def unavailable_s(self) -> float: ...

    def mark_unavailable(self, error: QueueUnavailableError) -> None: ...


class WorkerView(Protocol):
    """The worker as the pages use it."""

    @property
    def gate(self) -> GateView: ...

    @property
    def stalled_s(self) -> float: ...

    @property
    def is_draining(self) -> bool: ...

    @property
    def queue_health(self) -> QueueHealthView: ...

    def pauses(self) -> Sequence[Pause]: ...


class QueueView(OverviewQueue, Protocol):
    """The queue as the pages use it."""

    @property
    def owner(self) -> str: ...

    async def history(self, since: float, /) -> list[HistorySlot]: ...


class SnapshotCollector:
    """Collects snapshots of one process and its queue."""

    def __init__(
        self,
        worker: WorkerView,
        queue: QueueView,
        settle_rate: SettleRate,
        whose: Callable[[], Whose],
        inputs: Callable[[], InputFacts] = InputFacts,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._queue = queue
        self._settle_rate = settle_rate
        self._whose = whose
        self._inputs = inputs
        self._now = now
        self._began = now()
        self._cached: Overview | str = ""
        self._history: Sequence[HistorySlot] = ()
        self._cached_until = self._began
        self._lock = anyio.Lock()

    async def collect(self) -> PageSnapshot:
        """Return a snapshot as of now. Never raises for a fault of the queue, which `whole` then names."""
        whole = await self.overview()
        return PageSnapshot(self._queue.now(), self._process(), whole, self._whose(), self._inputs(), self._history)

    def _process(self) -> Process:
        worker = self._worker
        return Process(
            owner=self._queue.owner,
            place=place_of(self._queue.owner) or Place("", os.getpid()),
            version=__version__,
            uptime_s=self._uptime_s,
            in_flight=worker.gate.in_flight,
            limit=worker.gate.limit,
            pauses=_masked(worker.pauses()),
            proven=worker.gate.proven,
            draining=worker.is_draining,
            stalled_s=worker.stalled_s if worker.stalled_s > STALLED_S else 0.0,
            counts=tuple(self._settle_rate.counts),
            per_minute=tuple(map(self._settle_rate.per_minute, MINUTES)),
        )

    async def overview(self) -> Overview | str:
        """Return the queue as of a moment ago, this process as of now; a sentence while the queue is unavailable."""
        health = self._worker.queue_health
        if health.unavailable_s:
            return redacted(f"for {format_duration(health.unavailable_s)}: {health.why}")
        async with self._lock:
            if (began := self._now()) >= self._cached_until:
                self._cached = await self._query()
                ended = self._now()
                self._cached_until = ended + min(max(MIN_CACHED_S, CACHED_PER_QUERY_S * (ended - began)), MAX_CACHED_S)
            found = self._cached
        return found if isinstance(found, str) else replace(found, live_workers=self._as_of_now(found.live_workers))

    def _as_of_now(self, workers: Sequence[WorkerHeartbeat]) -> list[WorkerHeartbeat]:
        """Return the workers with this one's limit and pauses as they are now, not as of its last heartbeat."""
        now, own = self._queue.now(), self._queue.owner
        started_at = next((each.started_at for each in workers if each.owner == own), now - self._uptime_s)
        limit, pauses = self._worker.gate.limit, _masked(self._worker.pauses())
        fresh = WorkerHeartbeat(own, os.getpid(), started_at, now, limit, pauses)
        return sorted(
            [fresh, *(each for each in workers if each.owner != own)], key=lambda each: (each.started_at, each.owner)
        )

    @property
    def _uptime_s(self) -> float:
        return self._now() - self._began

    async def _query(self) -> Overview | str:
        try:
            with anyio.fail_after(QUEUE_TIMEOUT_S):
                found = await read_overview(self._queue)
                self._history = await self._queue.history(since(self._queue.now()))
        except QueueUnavailableError as error:
            self._worker.queue_health.mark_unavailable(error)  # the log then says why
            return redacted(str(error))
        except QueueError as error:
            return redacted(str(error))
        except TimeoutError:
            return f"the queue did not answer within {QUEUE_TIMEOUT_S:g} s"
        workers = [replace(each, pauses=_masked(each.pauses)) for each in found.live_workers]
        operator = None if found.operator is None else _masked([found.operator])[0]
        return replace(found, live_workers=workers, operator=operator)


def _masked(pauses: Sequence[Pause]) -> tuple[Pause, ...]:
    return tuple(replace(pause, detail=redacted(pause.detail)) for pause in pauses)

"""Collects the facts of the page: those of this process each time, those of the queue from a cache."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import anyio

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import Pause, Stats, WorkerHeartbeat
from reaper.core.text import format_duration
from reaper.core.version import __version__
from reaper.telemetry.logs import redacted
from reaper.telemetry.page.view import MINUTES, PageSnapshot, Process, QueueSnapshot
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


class QueueView(Protocol):
    """The queue as the pages use it."""

    @property
    def owner(self) -> str: ...

    def now(self) -> float: ...

    async def stats(self) -> Stats: ...

    async def live_workers(self) -> list[WorkerHeartbeat]: ...


class SnapshotCollector:
    """Collects snapshots of one process and its queue. `open_items` counts open `holds` and `ghosts`."""

    def __init__(
        self,
        worker: WorkerView,
        queue: QueueView,
        settle_rate: SettleRate,
        open_items: Callable[[], Awaitable[Mapping[str, int]]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._queue = queue
        self._settle_rate = settle_rate
        self._open_items = open_items
        self._now = now
        self._began = now()
        self._cached: QueueSnapshot | str = ""
        self._cached_until = self._began
        self._lock = anyio.Lock()

    async def collect(self) -> PageSnapshot:
        """Return a snapshot as of now. Never raises for a fault of the queue, which `whole` then names."""
        whole = await self._queue_snapshot()
        return PageSnapshot(self._queue.now(), self._process(), whole)

    def _process(self) -> Process:
        worker = self._worker
        return Process(
            pid=os.getpid(),
            version=__version__,
            uptime_s=self._now() - self._began,
            in_flight=worker.gate.in_flight,
            limit=worker.gate.limit,
            pauses=_masked(worker.pauses()),
            proven=worker.gate.proven,
            draining=worker.is_draining,
            stalled_s=worker.stalled_s if worker.stalled_s > STALLED_S else 0.0,
            counts=tuple(self._settle_rate.counts),
            per_minute=tuple(map(self._settle_rate.per_minute, MINUTES)),
        )

    async def _queue_snapshot(self) -> QueueSnapshot | str:
        health = self._worker.queue_health
        if health.unavailable_s:
            return redacted(f"for {format_duration(health.unavailable_s)}: {health.why}")
        async with self._lock:
            if (began := self._now()) >= self._cached_until:
                self._cached = await self._query()
                ended = self._now()
                self._cached_until = ended + min(max(MIN_CACHED_S, CACHED_PER_QUERY_S * (ended - began)), MAX_CACHED_S)
            return self._cached

    async def _query(self) -> QueueSnapshot | str:
        try:
            with anyio.fail_after(QUEUE_TIMEOUT_S):
                stats, workers = await self._queue.stats(), await self._queue.live_workers()
                open_items = await self._open_items()
        except QueueError as error:
            return redacted(str(error))
        except TimeoutError:
            return f"the queue did not answer within {QUEUE_TIMEOUT_S:g} s"
        others = (replace(each, pauses=_masked(each.pauses)) for each in workers if each.owner != self._queue.owner)
        return QueueSnapshot(stats, tuple(others), open_items["holds"], open_items["ghosts"])


def _masked(pauses: Sequence[Pause]) -> tuple[Pause, ...]:
    return tuple(replace(pause, detail=redacted(pause.detail)) for pause in pauses)

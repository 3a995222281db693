"""Gathers what the page shows: from this process at every look, from the queue no more often than it can well bear."""

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
"""How long the queue may take: less than the listener gives an answer as a whole."""
KEPT_S, MAX_KEPT_S, SHARE = 1.0, 30.0, 20
"""What was found is kept for a second and for twenty times as long as it took to find, however many look."""
STALLED_S = 30.0
"""The claim loop turns at least every second; this much longer means that it hangs."""


class GateView(Protocol):
    """What the pages ask of the gate."""

    in_flight: int

    @property
    def limit(self) -> int: ...

    @property
    def proven(self) -> bool: ...


class QueueHealthView(Protocol):
    """What the pages ask of the way to the queue."""

    why: str

    @property
    def unavailable_s(self) -> float: ...

    def mark_unavailable(self, error: QueueUnavailableError) -> None: ...


class WorkerView(Protocol):
    """What the pages ask of the worker."""

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
    """What the pages ask of the queue."""

    @property
    def owner(self) -> str: ...

    def now(self) -> float: ...

    async def stats(self) -> Stats: ...

    async def live_workers(self) -> list[WorkerHeartbeat]: ...


class SnapshotCollector:
    """Looks at one process and its queue. `left` counts what discovery left for people, by `holds` and `ghosts`."""

    def __init__(
        self,
        worker: WorkerView,
        queue: QueueView,
        recent: SettleRate,
        left: Callable[[], Awaitable[Mapping[str, int]]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._queue = queue
        self._recent = recent
        self._left = left
        self._now = now
        self._began = now()
        self._found: QueueSnapshot | str = ""
        self._good_until = self._began
        self._asking = anyio.Lock()

    async def look(self) -> PageSnapshot:
        """Look now; never raises for what a queue can do."""
        whole = await self._whole()
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
            counts=tuple(self._recent.counts),
            per_minute=tuple(map(self._recent.per_minute, MINUTES)),
        )

    async def _whole(self) -> QueueSnapshot | str:
        reach = self._worker.queue_health
        if reach.unavailable_s:
            return redacted(f"for {format_duration(reach.unavailable_s)}: {reach.why}")
        async with self._asking:
            if (began := self._now()) >= self._good_until:
                self._found = await self._ask()
                ended = self._now()
                self._good_until = ended + min(max(KEPT_S, SHARE * (ended - began)), MAX_KEPT_S)
            return self._found

    async def _ask(self) -> QueueSnapshot | str:
        try:
            with anyio.fail_after(QUEUE_TIMEOUT_S):
                stats, reapers, left = await self._queue.stats(), await self._queue.live_workers(), await self._left()
        except QueueError as error:
            return redacted(str(error))
        except TimeoutError:
            return f"the queue did not answer within {QUEUE_TIMEOUT_S:g} s"
        others = (replace(each, pauses=_masked(each.pauses)) for each in reapers if each.owner != self._queue.owner)
        return QueueSnapshot(stats, tuple(others), left["holds"], left["ghosts"])


def _masked(pauses: Sequence[Pause]) -> tuple[Pause, ...]:
    return tuple(replace(pause, detail=redacted(pause.detail)) for pause in pauses)

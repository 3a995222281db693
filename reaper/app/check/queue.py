"""The lines about the queue: what is in it, and whether a worker could open and change it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from reaper.app.check.line import WAITS, Hindrance, Line, hindrance_of
from reaper.app.start import waits_for_queue
from reaper.core.errors import ReaperError
from reaper.core.model import Pause, PauseReason, Stats, WorkerHeartbeat
from reaper.core.text import escaped, format_duration
from reaper.core.times import format_time
from reaper.queues.base import Queue
from reaper.queues.open import is_shared, probe_queue
from reaper.settings.load import Loaded
from reaper.settings.schema import Settings
from reaper.settings.state_dir import state_dir


def fault_of_queue(settings: Settings, error: ReaperError) -> Line:
    """Return the line for a queue that cannot be used. A ledger's outage is waited for by `run`, a server's is not."""
    return Line("queue", str(error), hindrance_of(error, waited_for=waits_for_queue(settings.queue.url)))


async def queue_lines(loaded: Loaded, queue: Queue | None, warnings: Iterable[str]) -> list[Line]:
    """Return the lines about a queue that is open for reading; None: there is none yet. Raises ReaperError."""
    settings, lines = loaded.settings, []
    if queue is None:
        lines.append(Line("queue", "there is no queue yet; the first add, once or run creates it"))
    else:
        stats = await queue.stats()
        lines += [Line("queue", _words(stats), warned=stats.imbalance != 0), *_pause_lines(await queue.paused())]
        lines += _worker_pause_lines(await queue.live_workers(), queue.now())
    positions = (
        state_dir(os.environ, loaded.profile) if settings.intake.files and is_shared(settings.queue.url) else None
    )
    probed = await probe_queue(settings.queue.url, positions=positions)
    if probed.outage is not None:
        lines.append(Line("queue", probed.outage, WAITS))
    return [*lines, *(Line("queue", risk, warned=True) for risk in (*warnings, *probed.warnings))]


def _words(stats: Stats) -> str:
    words = f"{stats.ready + stats.delayed} waiting, {stats.dead} dead"
    if stats.imbalance:
        words += f"; {stats.imbalance} accepted and not accounted for; see: reaper audit"
    return words


def _worker_pause_lines(workers: Iterable[WorkerHeartbeat], now: float) -> Iterator[Line]:
    """Yield a warning for each pause of a live reaper: a read alone cannot see why DELETEs are held up.

    Not a fault: `run` would begin without any, and find out by its own first DELETEs. The operator's is the queue's.
    """
    for worker in workers:
        for pause in worker.pauses:
            if pause.reason is not PauseReason.OPERATOR:
                held = f"is paused ({pause.reason.value}) for {format_duration(now - pause.since)}"
                yield Line("pause", f"reaper {worker.place} {held}: {escaped(pause.detail)}", warned=True)


def _pause_lines(pause: Pause | None) -> Iterator[Line]:
    if pause is not None:
        since = format_time(pause.since)
        yield Line(
            "pause", f"paused since {since}: {pause.detail}; to end it: reaper resume", Hindrance(pause=pause.reason)
        )

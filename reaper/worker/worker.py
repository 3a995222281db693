"""The worker: its parts put together, and the ways to end it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup

from reaper.core.errors import QueueUnavailableError
from reaper.core.gate import Gate
from reaper.core.model import Pause
from reaper.queues.base import RunSet
from reaper.worker.attempt import Attempts
from reaper.worker.claims import Claims
from reaper.worker.comparison import Comparison
from reaper.worker.list_reads import ListReads
from reaper.worker.ports import (
    Api,
    CompareTarget,
    Identify,
    IdleWait,
    Journal,
    Preflight,
    TokenWatch,
    WorkerOptions,
    WorkQueue,
)
from reaper.worker.queue_health import QueueHealth
from reaper.worker.settler import Settler
from reaper.worker.shutdown import Shutdown
from reaper.worker.supervisor import Supervisor
from reaper.worker.unconfirmed import TICK_S, Unconfirmed

NOTES_S, HURRIED_NOTES_S = 3.0, 1.0
"""How long the last notes in the queue may take once the end was asked for, and once it is to be at once."""


@dataclass(slots=True)
class Worker:
    """One run of the worker. `idle` decides when it ends by itself; `within` bounds what it claims."""

    queue: WorkQueue
    api: Api
    gate: Gate
    token: TokenWatch
    options: WorkerOptions
    journal: Journal
    idle: IdleWait
    identify: Identify
    compare_target: CompareTarget
    preflight: Preflight | None = None
    within: RunSet | None = None
    should_stop: Callable[[Sequence[Pause], float], bool] = lambda pauses, unavailable_s: False
    clock: Callable[[], float] = time.time
    """Wall clock of the queue's engine, for timestamps that are stored."""
    now: Callable[[], float] = anyio.current_time
    """Monotonic clock, for durations."""
    jitter: Callable[[], float] = random.random
    queue_health: QueueHealth = field(init=False)
    _shutdown: Shutdown = field(default_factory=Shutdown)
    _settler: Settler = field(init=False)
    _attempts: Attempts = field(init=False)
    _claims: Claims = field(init=False)
    _unconfirmed: Unconfirmed = field(init=False)
    _comparison: Comparison = field(init=False)
    _reads: ListReads = field(init=False)
    _supervisor: Supervisor = field(init=False)
    _notes: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def __post_init__(self) -> None:
        self.queue_health = QueueHealth(self.journal, self.now, self.jitter)
        self._settler = Settler(self.queue, self.journal, self.queue_health, self._shutdown, on_settled=self.wake)
        self._attempts = Attempts(
            self.api, self.gate, self.options, self.preflight, self.queue_health, self._shutdown,
            self.clock, self.now, self.jitter,
        )  # fmt: skip
        self._claims = Claims(
            self.queue, self.gate, self.options, self._attempts, self._settler, self.queue_health, self._shutdown,
            self._idle, self.within, self.now,
        )  # fmt: skip
        self._unconfirmed = Unconfirmed(
            self.gate, self.options, self._shutdown, self.journal, self._claims.post_result, self._claims.wake,
            self.clock, self.now, self.jitter,
        )  # fmt: skip
        self._attempts.post_result = self._unconfirmed.post
        self._claims.on_end, self._claims.count_waiting = self._unconfirmed.release_all, self._unconfirmed.count
        self._comparison = Comparison(self.queue, self.journal, self.clock, self.now, self.jitter)
        self._reads = ListReads(
            self.api, self.gate, self.options, self.journal, self.queue_health, self._shutdown, self.identify,
            self._comparison, self._unconfirmed, lambda: self._settler.gone, self.wake, self.now, self.jitter,
        )  # fmt: skip
        self._supervisor = Supervisor(
            self.queue, self.gate, self.token, self.options, self.journal, self.queue_health, self._shutdown,
            self.compare_target, self.should_stop, self.drain, self.wake, self.clock, self.now,
        )  # fmt: skip

    async def run(self) -> None:
        """Work until `idle` ends it or a shutdown is over; then every lease is settled or released."""
        async with anyio.create_task_group() as background:
            background.start_soon(self._supervisor.supervise)
            async with self._settler.open():
                with self._shutdown.scope:
                    await self._claims.run(partial(self._begin, background))
            if not self.gate.verify:  # too short a run had no maintenance after its first proof
                with self._last_notes():
                    await self._supervisor.watch_target()
            self._supervisor.report_pauses()
            background.cancel_scope.cancel()
        with self._last_notes():
            await self._comparison.save()
            await self._reads.note_unproven()
            # An operator's pause says nothing about the API: the next reaper reads the list, and compares.
            could_not_read = self.gate.needs_identity or not self.gate.may_send
            if self.gate.allowance.owes_read and could_not_read and not self.gate.is_held_by_operator:
                await self._comparison.reopen_unproven()

    @contextmanager
    def _last_notes(self) -> Iterator[None]:
        """Give up the block when the queue is unavailable, or hangs at an end asked for: the next reaper compares."""
        with self.end_limit(NOTES_S, HURRIED_NOTES_S), suppress(QueueUnavailableError):
            yield

    @contextmanager
    def end_limit(self, limit_s: float, hurried_s: float) -> Iterator[anyio.CancelScope]:
        """Bound a block to `limit_s` once an end was asked for; to `hurried_s` once it is to be at once.

        Without a shutdown it is not bounded. An `abort` meanwhile leaves it `HURRIED_NOTES_S`.
        """
        with anyio.CancelScope() as self._notes:
            if self._shutdown.has_begun:
                self._end_notes_within(hurried_s if self._shutdown.is_aborted else limit_s)
            yield self._notes

    def _end_notes_within(self, seconds: float) -> None:
        self._notes.deadline = min(self._notes.deadline, anyio.current_time() + seconds)

    async def _begin(self, background: TaskGroup) -> None:
        """Learn what must be known before the first claim and the first read, and start the reads.

        A pause that was set yesterday must not lose a race against them, and no token goes to an address that is not
        the queue's. Raises QueueError.
        """
        await self._supervisor.read_pause()
        await self._supervisor.watch_target()
        background.start_soon(self._reads.run)
        background.start_soon(self._unconfirmed.release_late)

    def drain(self, within_s: float | None = None) -> None:
        """Claim nothing more; let sends end within `within_s` (None: the configured timeout), release the rest."""
        within_s = self.options.drain_timeout_s if within_s is None else within_s
        self._shutdown.drain(within_s)
        self._claims.give_up_claim(within_s)
        self._end_notes_within(NOTES_S)
        self.wake()

    def finish(self) -> None:
        """Go on until `idle` ends it, for at most the drain timeout; then release what still waits."""
        self._shutdown.finish(self.options.drain_timeout_s)
        self.wake()

    def abort(self) -> None:
        """Cancel what is in flight and release everything now."""
        self._shutdown.abort()
        self._claims.give_up_claim(HURRIED_NOTES_S)
        self._end_notes_within(HURRIED_NOTES_S)

    def wake(self) -> None:
        """Make the claim loop turn at once: something was added, or a pause ended."""
        self._claims.wake()

    def reconfigure(self, api: Api, options: WorkerOptions, preflight: Preflight | None) -> None:
        """Use another client, other options and another preflight check from the next item on.

        Sends in flight end as they began.
        """
        self.api = self._attempts.api = self._reads.api = api
        self.preflight = self._attempts.preflight = preflight
        for part in (self, self._attempts, self._claims, self._unconfirmed, self._reads, self._supervisor):
            part.options = options

    async def _idle(self, paused: bool) -> float | None:
        """Ask `idle`, but end only after the list was compared with what was booked as gone."""
        wait_s = await self.idle(paused)
        if wait_s is not None or not self.has_doubts or self._shutdown.is_draining:
            return wait_s
        if self.gate.allowance.owes_read:
            self._unconfirmed.ask_for_read()
        return TICK_S

    @property
    def has_doubts(self) -> bool:
        """Whether an answer of 404 was booked that no list confirmed yet, or denied a moment ago."""
        return self.gate.allowance.owes_read or self.now() <= self._comparison.due_again_at

    @property
    def is_draining(self) -> bool:
        """Whether it was asked to end, be it by `drain`, `finish` or `abort`."""
        return self._shutdown.has_begun

    @property
    def drain_left_s(self) -> float | None:
        """In how long what is in flight is released, once it was asked to end; None before that."""
        return self._shutdown.left_s

    @property
    def is_claiming(self) -> bool:
        """Whether it still claims, if only until nothing is left."""
        return not self._shutdown.is_draining

    @property
    def sends(self) -> int:
        """DELETEs sent so far."""
        return self._attempts.sends

    @property
    def retries(self) -> int:
        """Those of them that were not the first of their ID's round."""
        return self._attempts.retries

    @property
    def gone_after_unanswered(self) -> int:
        """Sessions that were already gone, and that an earlier send without a recorded reply may have stopped."""
        return self._settler.gone_after_unanswered

    @property
    def stalled_s(self) -> float:
        """How long the claim loop has not turned; 0 with a reason not to: it drains, or the queue is unavailable."""
        if self.is_draining or self.queue_health.unavailable_s:
            return 0.0
        return self.now() - self._claims.last_tick_at

    def pauses(self) -> list[Pause]:
        """Return the pauses that hold, in wall-clock time."""
        return self._supervisor.pauses()

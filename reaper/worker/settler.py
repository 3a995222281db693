"""Writes lease results to the queue in batches.

No slot waits for the queue: what is posted together is applied together, each batch in a task of its own, shielded from
cancellation, and logged once it is durable. While the queue is unavailable, results are kept and retried. On shutdown
the settler gives up after 15 s, after 3 s once nothing else is waited for, and reports what was not written; that stays
open in the queue.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import Decision, Lease, LeaseResult, Outcome, Send, Settle
from reaper.queues.base import MAX_RESULTS, WorkPort
from reaper.worker.ports import Journal
from reaper.worker.queue_health import QueueHealth
from reaper.worker.shutdown import Shutdown

SETTLE_TIMEOUT_S = 15.0
"""How long an available queue may take to apply a batch; longer than its own wait for a lock or an answer."""
HURRIED_S = 3.0
"""How long it may take once the worker is to end at once, or its time to drain is over."""
CHECK_S = 0.5
BATCH_WAIT_S, BATCH_SIZE = 0.02, 64
"""A batch is flushed after 20 ms or at 64 results, whichever is first: one commit costs as much as 60 rows."""
MAX_BATCHES_IN_FLIGHT = 2
"""One more than the queue works on, so that it never waits for us. A slow queue gets larger batches, not more."""
BACKPRESSURE_AT = 4 * MAX_RESULTS
"""So many results that wait show that the queue is slower than the API: nothing is claimed then."""


@dataclass(slots=True)
class Settler:
    """Applies lease results. What it keeps is bounded, because nothing is claimed at `BACKPRESSURE_AT`."""

    queue: WorkPort
    journal: Journal
    queue_health: QueueHealth
    shutdown: Shutdown
    """Aborted by the settler when a result cannot be written: then the worker cannot go on."""
    on_settled: Callable[[], None]
    """Called when everything that was posted is applied."""
    gone: int = 0
    """Results `already_gone` that are applied."""
    gone_after_unanswered: int = 0
    """Those of them that were sent before by a process that ended before the reply."""
    _posted: list[LeaseResult] = field(default_factory=list)
    _not_empty: anyio.Event = field(default_factory=anyio.Event)
    _batch_full: anyio.Event = field(default_factory=anyio.Event)
    _batches: TaskGroup = field(init=False)
    _in_flight: int = 0
    """Batches being applied."""
    _flush_again: bool = False
    """Results wait for one of them to end."""
    _applies: dict[anyio.CancelScope, float] = field(default_factory=dict)
    """When the queue was last asked to apply each batch."""
    _aborted: bool = False
    """The block around `open` was cancelled, or failed."""
    _failure: QueueError | None = None
    _unwritten: list[LeaseResult] = field(default_factory=list)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Accept results. However the block ends, all are applied then, or given up: then it raises QueueError."""
        gathering, timing = anyio.CancelScope(), anyio.CancelScope(shield=True)
        try:
            async with anyio.create_task_group() as background:
                background.start_soon(self._gather, gathering)
                background.start_soon(self._enforce_timeouts, timing)
                try:
                    async with anyio.create_task_group() as self._batches:
                        try:
                            yield
                        except BaseException:
                            self._aborted = True
                            raise
                        finally:
                            gathering.cancel()
                            self.flush()
                finally:
                    timing.cancel()
        finally:
            if self._unwritten:
                self.journal.results_unwritten(self._unwritten)
            if self._failure is not None:  # the run ends as that, whatever else happens outside
                raise self._failure

    @property
    def pending(self) -> bool:
        """Whether something that was posted is not applied yet."""
        return bool(self._posted or self._in_flight)

    @property
    def behind(self) -> bool:
        """Whether so much waits that nothing more should be sent."""
        return len(self._posted) >= BACKPRESSURE_AT or self.journal.is_behind

    def post(self, lease: Lease, decision: Decision, send: Send | None) -> None:
        """Take one result. It is applied with others soon, and logged once that is durable."""
        self._posted.append(LeaseResult(lease, decision, send))
        if len(self._posted) == 1:
            self._not_empty.set()
        elif len(self._posted) == BATCH_SIZE:
            self._batch_full.set()

    def flush(self) -> None:
        """Apply what was posted in the next turn of the loop, together with what the queue is asked for now."""
        while self._posted and self._in_flight < MAX_BATCHES_IN_FLIGHT:
            batch, self._posted = self._posted[:MAX_RESULTS], self._posted[MAX_RESULTS:]
            self._in_flight += 1
            self._batches.start_soon(self._apply_batch, batch)
        self._flush_again = bool(self._posted)

    async def _gather(self, scope: anyio.CancelScope) -> None:
        """Flush each batch when it is full or has waited long enough."""
        with scope:
            while True:
                await self._not_empty.wait()
                with anyio.move_on_after(BATCH_WAIT_S):
                    await self._batch_full.wait()
                self._not_empty, self._batch_full = anyio.Event(), anyio.Event()
                self.flush()

    async def _apply_batch(self, results: Sequence[LeaseResult]) -> None:
        try:
            await self._apply_or_split(results)
        finally:
            self._in_flight -= 1
            if self._flush_again:
                self.flush()
            if not self.pending:
                self.on_settled()

    async def _apply_or_split(self, results: Sequence[LeaseResult]) -> None:
        """Apply results; when the queue refuses them, apply each half alone until the one at fault is found."""
        scope = anyio.CancelScope(shield=True)
        try:
            with scope:
                self._report(results, await self._apply_with_retry(scope, results))
                return
        except QueueError as error:
            if len(results) == 1:
                self._fail(error, results)
                return
        finally:
            self._applies.pop(scope, None)
        if scope.cancel_called:
            health = self.queue_health
            why = f": {health.why}" if health.unavailable_s else f" within {self._patience_s:g} s"
            self._fail(QueueError(f"the queue did not take an outcome{why}; it stays open and is sent again"), results)
            return
        half = len(results) // 2  # one of them is at fault, and nothing happened
        await self._apply_or_split(results[:half])
        await self._apply_or_split(results[half:])

    async def _apply_with_retry(self, scope: anyio.CancelScope, results: Sequence[LeaseResult]) -> Sequence[bool]:
        while True:
            self._applies[scope] = self.queue_health.now()
            try:
                applied = await self.queue.apply(results)
            except QueueUnavailableError as error:
                await self.queue_health.wait_before_retry(error)
            else:
                self.queue_health.mark_available()
                return applied

    def _report(self, results: Sequence[LeaseResult], applied: Sequence[bool]) -> None:
        now = self.queue.now()
        for (lease, decision, send), receipt_was_good in zip(results, applied, strict=True):
            if isinstance(decision, Settle) and decision.outcome is Outcome.ALREADY_GONE:
                self.gone += 1
                self.gone_after_unanswered += lease.unanswered > 0
            if not receipt_was_good:
                self.journal.lease_lost(lease)
            elif isinstance(decision, Settle):
                self.journal.settled(lease, decision, send, max(0.0, now - lease.due_at))
            else:
                self.journal.retry_scheduled(lease, decision, send)

    def _fail(self, error: QueueError, results: Sequence[LeaseResult]) -> None:
        self._failure = self._failure or error
        self._unwritten += (result for result in results if result.send is not None)
        self.shutdown.abort()

    @property
    def _is_hurried(self) -> bool:
        return self.shutdown.is_aborted or self._aborted

    @property
    def _patience_s(self) -> float:
        """How long an available queue may take to apply a batch now."""
        return HURRIED_S if self._is_hurried else SETTLE_TIMEOUT_S

    async def _enforce_timeouts(self, scope: anyio.CancelScope) -> None:
        """Cancel each apply that takes too long; one that waits for an unavailable queue only during an abort."""
        with scope:
            while True:
                before = self.queue_health.now()
                await anyio.sleep(CHECK_S)
                stopped_s = self.queue_health.now() - before - CHECK_S
                if stopped_s > CHECK_S:  # this process was stopped: the queue had no time to answer
                    self._applies = {attempt: since + stopped_s for attempt, since in self._applies.items()}
                unavailable = self.queue_health.unavailable_s > 0
                if unavailable and not self._is_hurried:
                    continue
                late = self.queue_health.now() - (0.0 if unavailable else self._patience_s)
                for attempt in [attempt for attempt, since in self._applies.items() if since < late]:
                    attempt.cancel()

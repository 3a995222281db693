"""Ends of leases on their way to the queue: gathered, applied together, kept while it is away, given up at the end.

No slot waits for the queue. What it posts is applied with what else is posted meanwhile: each batch in a task of its
own, shielded from cancellation, and told of once it is durable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import Decision, Lease, LeaseResult, Send, Settle
from reaper.queues.base import MAX_RESULTS, Queue
from reaper.worker.ports import Journal
from reaper.worker.queue_health import QueueHealth

SETTLE_TIMEOUT_S = 15.0
"""How long a queue that is there may take to apply; longer than its own wait for a lock or an answer."""
CHECK_S = 0.5
BATCH_WAIT_S, BATCH_SIZE = 0.02, 64
"""How long an end waits for others, because each transaction costs, and how many are enough."""
MAX_BATCHES_IN_FLIGHT = 2
"""Batches that the queue is asked for at once: one more, so that it never waits for us. What is posted meanwhile waits
here, in a batch that grows: a slow queue gets larger ones, not more of them."""
BACKPRESSURE_AT = 4 * MAX_RESULTS
"""So many ends that wait mean that the queue is too slow for the API: nothing is claimed then."""


@dataclass(slots=True)
class Settler:
    """Applies ends. What is kept while the queue is away or slow is bounded: nothing is claimed then."""

    queue: Queue
    journal: Journal
    queue_health: QueueHealth
    leaving: Callable[[], bool]
    """Whether nothing is waited for any more: what an absent queue does not take then stays unrecorded."""
    leave: Callable[[], None]
    """Called when an end was given up: then the worker cannot go on."""
    settled: Callable[[], None]
    """Called when all that was posted is applied."""
    _posted: list[LeaseResult] = field(default_factory=list)
    _some: anyio.Event = field(default_factory=anyio.Event)
    _enough: anyio.Event = field(default_factory=anyio.Event)
    _batches: TaskGroup = field(init=False)
    _asked: int = 0
    """Batches under way."""
    _late: bool = False
    """What is posted waits for one of them to end."""
    _attempts: dict[anyio.CancelScope, float] = field(default_factory=dict)
    """When the queue was last asked to take each."""
    _cut: bool = False
    """Whoever opened it was cancelled, or failed."""
    _failure: QueueError | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take ends. However it is left, all are applied then, or given up, which raises QueueError."""
        gathering, guarding = anyio.CancelScope(), anyio.CancelScope(shield=True)
        try:
            async with anyio.create_task_group() as around:
                around.start_soon(self._gather, gathering)
                around.start_soon(self._guard, guarding)
                try:
                    async with anyio.create_task_group() as self._batches:
                        try:
                            yield
                        except BaseException:
                            self._cut = True
                            raise
                        finally:
                            gathering.cancel()
                            self.flush()
                finally:
                    guarding.cancel()
        finally:
            if self._failure is not None:  # it is to end as that, whatever else is going on outside
                raise self._failure

    @property
    def pending(self) -> bool:
        """Whether something that was posted is not applied yet."""
        return bool(self._posted or self._asked)

    @property
    def behind(self) -> bool:
        """Whether so much waits that no more should be sent."""
        return len(self._posted) >= BACKPRESSURE_AT

    def post(self, lease: Lease, decision: Decision, send: Send | None) -> None:
        """Have a decision carried out, and told of when that is durable."""
        self._posted.append(LeaseResult(lease, decision, send))
        if len(self._posted) == 1:
            self._some.set()
        elif len(self._posted) == BATCH_SIZE:
            self._enough.set()

    def flush(self) -> None:
        """Ask the queue for what was posted, in the next turn of the loop and together with what it is asked now."""
        while self._posted and self._asked < MAX_BATCHES_IN_FLIGHT:
            batch, self._posted = self._posted[:MAX_RESULTS], self._posted[MAX_RESULTS:]
            self._asked += 1
            self._batches.start_soon(self._carry, batch)
        self._late = bool(self._posted)

    async def _carry(self, ends: Sequence[LeaseResult]) -> None:
        try:
            await self._apply(ends)
        finally:
            self._asked -= 1
            if self._late:
                self.flush()
            if not self.pending:
                self.settled()

    async def _gather(self, until: anyio.CancelScope) -> None:
        with until:
            while True:
                await self._some.wait()
                with anyio.move_on_after(BATCH_WAIT_S):
                    await self._enough.wait()
                self._some, self._enough = anyio.Event(), anyio.Event()
                self.flush()

    async def _apply(self, ends: Sequence[LeaseResult]) -> None:
        scope = anyio.CancelScope(shield=True)
        try:
            with scope:
                self._tell(ends, await self._taken(scope, ends))
                return
        except QueueError as error:
            if len(ends) == 1:
                self._give_up(error)
                return
        finally:
            self._attempts.pop(scope, None)
        if scope.cancel_called:
            why = f": {self.queue_health.why}" if self.queue_health.unavailable_s else f" within {SETTLE_TIMEOUT_S:g} s"
            self._give_up(QueueError(f"the queue did not take an outcome{why}; it stays open and is asked for again"))
            return
        half = len(ends) // 2  # one of them is at fault, and nothing happened
        await self._apply(ends[:half])
        await self._apply(ends[half:])

    async def _taken(self, scope: anyio.CancelScope, ends: Sequence[LeaseResult]) -> Sequence[bool]:
        while True:
            self._attempts[scope] = self.queue_health.now()
            try:
                held = await self.queue.apply(ends)
            except QueueUnavailableError as error:
                await self.queue_health.wait_before_retry(error)
            else:
                self.queue_health.mark_available()
                return held

    def _tell(self, ends: Sequence[LeaseResult], held: Sequence[bool]) -> None:
        for (lease, decision, send), good in zip(ends, held, strict=True):
            if not good:
                self.journal.lease_lost(lease)
            elif isinstance(decision, Settle):
                self.journal.settled(lease, decision, send)
            else:
                self.journal.returned(lease, decision, send)

    def _give_up(self, error: QueueError) -> None:
        self._failure = self._failure or error
        self.leave()

    async def _guard(self, until: anyio.CancelScope) -> None:
        """Give up what the queue does not take."""
        with until:
            while True:
                await anyio.sleep(CHECK_S)
                away = self.queue_health.unavailable_s > 0
                if away and not (self.leaving() or self._cut):
                    continue
                late = self.queue_health.now() - (0.0 if away else SETTLE_TIMEOUT_S)
                for scope in [scope for scope, since in self._attempts.items() if since < late]:
                    scope.cancel()

"""Claims items from the queue and dispatches them to slots, as many at once as the gate admits.

One task claims for all slots, because items that are claimed together commit together. The bound is the gate's; each
attempt asks it once more right before its send. Items that were claimed and not sent are released uncounted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from reaper.core.admission import Admission
from reaper.core.errors import QueueUnavailableError
from reaper.core.gate import Gate
from reaper.core.model import Decision, Lease, Send
from reaper.queues.base import RunSet, WorkPort
from reaper.worker.attempt import RELEASE_NOW, Attempts, Claimed
from reaper.worker.ports import IdleWait, WorkerOptions
from reaper.worker.queue_health import QueueHealth
from reaper.worker.settler import Settler
from reaper.worker.shutdown import Shutdown

PREFETCH_S = 0.05
"""Claims run ahead of the sends by what ends in so many seconds, at most by the limit."""
BUSY_REST_S = 0.1
"""How long the claim loop rests at most while sends are under way: their results wake it."""
MAX_WAITING = 100
"""So many answers that wait for a read of the list take no slot: a slow list does not hold up the other IDs."""


@dataclass(slots=True)
class Claims:
    """The claim loop and its slots. `within` bounds it to one run set; `idle` decides when it ends by itself."""

    queue: WorkPort
    gate: Gate
    options: WorkerOptions
    attempts: Attempts
    settler: Settler
    queue_health: QueueHealth
    shutdown: Shutdown
    idle: IdleWait
    within: RunSet | None
    now: Callable[[], float]
    on_end: Callable[[], None] = field(init=False)
    """Called when nothing is claimed any more: `Unconfirmed.release_all`, set by `Worker`."""
    count_waiting: Callable[[], int] = field(init=False)
    """Returns how many answers wait for a read of the list: `Unconfirmed.count`, set by `Worker`."""
    last_tick_at: float = field(init=False)
    """When the loop last turned, by `now`: `/livez` and the watchdog go by it."""
    _outstanding: int = 0
    """Leases from their claim until their result is posted."""
    _claimed: deque[Claimed] = field(default_factory=deque)
    """Not dispatched yet."""
    _dispatched: deque[Claimed] = field(default_factory=deque)
    """A slot is about to take each."""
    _prefetch: int = 0
    """How many items are claimed beyond the limit."""
    _slots: TaskGroup = field(init=False)
    _idle_slots: list[anyio.Event] = field(default_factory=list)
    _claiming: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Of the claim under way, or the last one."""
    _is_over: bool = False
    _wake: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.last_tick_at = self.now()

    async def run(self, begin: Callable[[], Awaitable[None]]) -> None:
        """Claim until `idle` or the shutdown ends it. Every lease has its result posted afterwards.

        Nothing is claimed before `begin` has returned; while the queue is unavailable to it, it is called again.
        """
        has_begun = False
        try:
            async with anyio.create_task_group() as self._slots:
                while not self.shutdown.is_draining:
                    self._wake = anyio.Event()
                    self.last_tick_at = self.now()
                    try:
                        if has_begun:
                            wait_s = await self._claim_and_dispatch(self.gate.admit(self.last_tick_at))
                        else:
                            await begin()
                            has_begun, wait_s = True, 0.0
                    except QueueUnavailableError as error:
                        self.queue_health.mark_unavailable(error)
                        wait_s = self.queue_health.wait_s
                    if wait_s is None:
                        break
                    if wait_s > 0:
                        with anyio.move_on_after(wait_s):
                            await self._wake.wait()
                self._release_unsent()
                self._is_over = True
                for slot in self._idle_slots:
                    slot.set()
        finally:
            self._release_unsent()

    def wake(self) -> None:
        """Make the loop turn at once: something was added, or a slot is free."""
        self._wake.set()

    def post_result(self, lease: Lease, decision: Decision, send: Send | None) -> None:
        """Post a lease's result. Its slot counts as free: the next claim commits with the result or after it."""
        self._outstanding -= 1
        if send is None or not self._prefetch or len(self._claimed) * 2 <= self._prefetch:
            self._wake.set()
        self.settler.post(lease, decision, send)

    async def _claim_and_dispatch(self, admission: Admission) -> float | None:
        """Claim what may start now and dispatch it; return how long to rest (0: not at all, None: the end)."""
        limit, asked_at = self._claim_size(admission), self.last_tick_at
        leases = await self._claim(limit) if limit > 0 else []
        at, finals = self.now(), self.gate.finals
        self._claimed.extend([Claimed(lease, asked_at, at, finals) for lease in leases])
        self._outstanding += len(leases)
        self._dispatch()
        if len(leases) == limit > 0:
            return 0.0
        busy = self._outstanding or self.settler.pending or self.settler.behind
        wait_s = BUSY_REST_S if busy else await self.idle(admission.allowed == 0)
        if wait_s is not None and admission.until is not None:
            wait_s = min(wait_s, admission.until - self.now())
        return None if wait_s is None else max(wait_s, 0.001)

    def _claim_size(self, admission: Admission) -> int:
        """Return how many to claim: what may start now, and some more where only the limit holds sends up.

        Prefetched items start as others end, in the time that the next claim takes to be durable. They are claimed
        again once half of them is used up, so that claims stay few.
        """
        self._prefetch = 0
        if self.settler.behind:
            return 0
        busy = self._outstanding - min(self.count_waiting(), MAX_WAITING)
        if self.gate.unrestricted and admission.why in (None, "in_flight"):
            self._prefetch = int(self.gate.limit * min(1.0, PREFETCH_S / self.attempts.mean_latency_s))
        if not self._prefetch:
            waiting = len(self._claimed) + len(self._dispatched)
            return min(admission.allowed - waiting, self.gate.limit - busy)
        half_used = len(self._claimed) * 2 <= self._prefetch
        return self.gate.limit + self._prefetch - busy if half_used else 0

    async def _claim(self, limit: int) -> list[Lease]:
        """Claim in a way that no cancellation can lose what was claimed."""
        self.settler.flush()
        leases: list[Lease] = []
        with anyio.CancelScope(shield=True) as self._claiming:
            leases = await self.queue.claim(limit, lease_s=self.options.lease_s, within=self.within)
            if leases:  # to find nothing takes no write: it is no proof that one succeeds
                self.queue_health.mark_available()
        return leases

    def give_up_claim(self, after_s: float) -> None:
        """Cancel a claim that is under way in `after_s`; the queue releases what it claims then (promise 10)."""
        self._claiming.deadline = min(self._claiming.deadline, anyio.current_time() + after_s)

    def _dispatch(self, *, slot_is_free: bool = False) -> None:
        """Give claimed items to slots, up to the limit in flight; the caller may be a slot that takes one itself."""
        while self._claimed and self.gate.in_flight + len(self._dispatched) < self.gate.limit:
            self._dispatched.append(self._claimed.popleft())
            if slot_is_free:
                slot_is_free = False
            elif self._idle_slots:
                self._idle_slots.pop().set()
            else:
                self._slots.start_soon(self._slot)

    async def _slot(self) -> None:
        """Process dispatched items one after the other until the loop is over."""
        while True:
            while self._dispatched:
                await self.attempts.process(self._dispatched.popleft())
                self._dispatch(slot_is_free=True)
            if self._is_over:
                return
            idle = type(self._wake)()  # as `anyio.Event()`, which looks for its class for 2 µs each time
            self._idle_slots.append(idle)
            await idle.wait()

    def _release_unsent(self) -> None:
        self.on_end()
        while waiting := self._claimed or self._dispatched:
            self.post_result(waiting.popleft().lease, RELEASE_NOW, None)

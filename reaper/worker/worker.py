"""The worker: claim, stop, classify, settle; as many at once as the gate admits.

One task claims for all (what is claimed together commits together), a slot per send carries a lease to its end. The
bound is the gate's: a slot asks it once more right before the send, so a pause that begins while leases are being
claimed stops them too. What was claimed and not sent is handed back uncounted.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import anyio
from anyio.abc import TaskGroup

from reaper.core.classify import Final, classify
from reaper.core.decide import decide, give_up, record
from reaper.core.discovery.recheck import Inconclusive, Proceed, Recheck, decision_without_send
from reaper.core.errors import QueueUnavailableError
from reaper.core.gate import Admission, Gate
from reaper.core.model import (
    Decision,
    Lease,
    Outcome,
    Pause,
    PauseReason,
    Release,
    Send,
)
from reaper.queues.base import Queue, RunSet
from reaper.worker.ports import Api, Identify, IdleWait, Journal, Preflight, TokenWatch, WorkerOptions
from reaper.worker.queue_health import QueueHealth
from reaper.worker.settler import Settler
from reaper.worker.supervisor import report_pauses, run_identity_reads, supervise

PREFETCH_S = 0.05
"""Claims run ahead of the sends by what ends in so many seconds, at most by the limit."""
LATENCY_WINDOW = 16
STALE_S = 1.0
"""A lease that waited longer is handed back: a lease is sure to outlast a send that begins within a second."""
BUSY_REST_S = 0.1
"""How long the claim loop rests at most while sends are under way: their ends wake it."""


class Claimed(NamedTuple):
    """A lease on its way to a slot, when it was claimed, and how many final answers there were then."""

    lease: Lease
    at: float
    finals: int


@dataclass(slots=True)
class Worker:
    """One run of the worker. `idle` decides when it ends by itself; `within` bounds what it claims."""

    queue: Queue
    api: Api
    gate: Gate
    token: TokenWatch
    rules: WorkerOptions
    journal: Journal
    idle: IdleWait
    identify: Identify
    look: Preflight | None = None
    within: RunSet | None = None
    should_stop: Callable[[Sequence[Pause], float], bool] = lambda pauses, away_s: False
    """Asked every tick with the pauses that hold and how long the queue has been away; True drains."""
    clock: Callable[[], float] = time.time
    """Unix seconds by which others read what is written down: the engine's."""
    now: Callable[[], float] = anyio.current_time
    """Runs steadily; what a send costs counts by it."""
    jitter: Callable[[], float] = random.random
    sends: int = 0
    """DELETEs sent so far."""
    reported_pauses: dict[PauseReason, Pause] = field(default_factory=dict)
    """The pauses whose beginning was said, and whose end was not."""
    last_tick_at: float = 0.0
    """When the claim loop last turned, by `now`: what liveness looks at."""
    _busy: int = 0
    """Leases from their claim until their end is posted."""
    _leases: deque[Claimed] = field(default_factory=deque)
    """Not given to a slot yet."""
    _given: deque[Claimed] = field(default_factory=deque)
    """Given, and not taken up yet: a slot is about to."""
    _answer_s: float = 1.0
    """How long an answer takes of late."""
    _ahead: int = 0
    """How far claims run ahead."""
    queue_health: QueueHealth = field(init=False)
    _settler: Settler = field(init=False)
    _slots: TaskGroup = field(init=False)
    _resting: list[anyio.Event] = field(default_factory=list)
    """The slots that have nothing to do."""
    _over: bool = False
    _draining: bool = False
    _finishing: bool = False
    _wake: anyio.Event = field(default_factory=anyio.Event)
    _hands: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def __post_init__(self) -> None:
        self.queue_health = QueueHealth(self.journal, self.now, self.jitter)
        self._settler = Settler(
            self.queue, self.journal, self.queue_health, leaving=self._leaving, leave=self.leave, settled=self.wake
        )

    async def run(self) -> None:
        """Work until `idle` ends it or `drain` is called; then every lease is settled or handed back."""
        # Known before the first claim: a pause that was set yesterday must not lose a race against it.
        self.gate.set_operator(await self.queue.paused())
        async with anyio.create_task_group() as around:
            around.start_soon(supervise, self)
            around.start_soon(run_identity_reads, self)
            async with self._settler.open():
                with self._hands:
                    await self._work()
            report_pauses(self)
            around.cancel_scope.cancel()

    def drain(self) -> None:
        """Claim nothing more; finish what is in flight within `rules.drain_timeout_s`, hand back the rest."""
        if not self._draining:
            self._draining = True
            self._hands.deadline = anyio.current_time() + self.rules.drain_timeout_s
            self.wake()

    def finish(self) -> None:
        """Go on until `idle` ends it, for at most `rules.drain_timeout_s`; what is left then is handed back."""
        if not self.draining:
            self._finishing = True
            self._hands.deadline = anyio.current_time() + self.rules.drain_timeout_s
            self.wake()

    def leave(self) -> None:
        """Hand back everything now."""
        self._draining = True
        self._hands.cancel()

    def wake(self) -> None:
        """Look again at once: something was added, or a slot is free."""
        self._wake.set()

    def _leaving(self) -> bool:
        # What is left to the settler outlives the scope, whose deadline counts all the same.
        return self._hands.cancel_called or anyio.current_time() >= self._hands.deadline

    @property
    def draining(self) -> bool:
        """Whether it was told to end, be it by `drain`, `finish` or `leave`."""
        return self._draining or self._finishing

    @property
    def claims(self) -> bool:
        """Whether it claims still, if only until nothing is left."""
        return not self._draining

    @property
    def stalled_s(self) -> float:
        """How long the claim loop has not turned."""
        return self.now() - self.last_tick_at

    async def _work(self) -> None:
        try:
            async with anyio.create_task_group() as slots:
                self._slots = slots
                while not self._draining:
                    self._wake = anyio.Event()
                    self.last_tick_at = self.now()
                    admission = self.gate.admit(self.last_tick_at)
                    try:
                        wait_s = await self._turn(admission)
                    except QueueUnavailableError as error:
                        self.queue_health.mark_unavailable(error)
                        wait_s = self.queue_health.wait_s
                    if wait_s is None:
                        break
                    if wait_s > 0:
                        await self._rest(wait_s)
                self._hand_back()
                self._over = True
                for resting in self._resting:
                    resting.set()
        finally:
            self._hand_back()

    async def _turn(self, admission: Admission) -> float | None:
        """Claim what may start now and hand it out; return how long to rest then (0: not at all), None at the end."""
        most = self._wanted(admission)
        leases = await self._claim(most) if most > 0 else []
        at, finals = self.now(), self.gate.finals
        self._leases.extend(Claimed(lease, at, finals) for lease in leases)
        self._busy += len(leases)
        self._hand_out()
        if len(leases) == most > 0:
            return 0.0
        wait_s = BUSY_REST_S if self._busy or self._settler.pending else await self.idle(admission.most == 0)
        if wait_s is not None and admission.until is not None:
            wait_s = min(wait_s, admission.until - self.now())
        return None if wait_s is None else max(wait_s, 0.001)

    def _wanted(self, admission: Admission) -> int:
        """Return how many to claim: what may start now, and a few more where nothing but the limit holds sends up.

        Those start as others end, in the time that the next claim takes to be durable; they are claimed once half of
        them is used up, so that claims stay few.
        """
        self._ahead = 0
        if self._settler.behind:
            return 0
        if self.gate.unrestricted and admission.why in (None, "in_flight"):
            self._ahead = int(self.gate.limit * min(1.0, PREFETCH_S / self._answer_s))
        if not self._ahead:
            return min(admission.most - len(self._leases) - len(self._given), self.gate.limit - self._busy)
        return self.gate.limit + self._ahead - self._busy if len(self._leases) * 2 <= self._ahead else 0

    def _hand_out(self, *, free: bool = False) -> None:
        """Give what was claimed to slots, as many as may be in flight; the slot that asks is `free` to take one."""
        while self._leases and self.gate.in_flight + len(self._given) < self.gate.limit:
            self._given.append(self._leases.popleft())
            if free:
                free = False
            elif self._resting:
                self._resting.pop().set()
            else:
                self._slots.start_soon(self._slot)

    async def _claim(self, most: int) -> list[Lease]:
        """Claim in a way that no cancellation can lose what was claimed."""
        self._settler.flush()
        with anyio.CancelScope(shield=True):
            leases = await self.queue.claim(most, lease_s=self.rules.lease_s, within=self.within)
            self.queue_health.mark_available()
        return leases  # the scope could swallow; mypy wants the return outside

    def _hand_back(self) -> None:
        """Release what was claimed and reached no slot."""
        while waiting := self._leases or self._given:
            self._end(waiting.popleft().lease, Release(0.0), None)

    async def _rest(self, wait_s: float) -> None:
        with anyio.move_on_after(wait_s):
            await self._wake.wait()

    async def _slot(self) -> None:
        while True:
            while self._given:
                await self._handle(self._given.popleft())
                self._hand_out(free=True)
            if self._over:
                return
            rest = anyio.Event()
            self._resting.append(rest)
            await rest.wait()

    async def _handle(self, claimed: Claimed) -> None:
        lease, now = claimed.lease, self.now()
        if hopeless := give_up(lease):
            return self._end(lease, hopeless, None)
        if self._draining or now - claimed.at > STALE_S or not self.gate.start(now):
            return self._end(lease, Release(0.0), None)
        if self.look is not None and self.look.applies_to(lease) and await self._spared(self.look, claimed, now):
            return None
        outage = self.gate.outage
        at = self.clock()
        self.sends += 1
        try:
            reply = await self.api.stop(lease.session_id)
        except anyio.get_cancelled_exc_class():
            self.gate.in_flight -= 1
            send = Send(at, self.now() - now, error="given up: the reaper was told to leave")
            self._end(lease, Release(0.0, ambiguous=True), send)
            raise
        self.sends += reply.again
        verdict = classify(reply)
        self.gate.observe(self.now(), lease.session_id, verdict, jitter=self.jitter(), began=now)
        self._answer_s += (max(reply.duration_s, 1e-4) - self._answer_s) / LATENCY_WINDOW
        others_final = lease.sends > 1 and (lease.others_final or self.gate.finals > claimed.finals)
        decision = decide(
            verdict, lease, self.rules.retry, jitter=self.jitter(), others_final=others_final, outage=outage
        )
        return self._end(lease, decision, record(reply, at))

    async def _spared(self, look: Preflight, claimed: Claimed, began: float) -> bool:
        """Look once more before the DELETE; return whether none is sent now, the lease having ended."""
        seen: Recheck | None = None
        try:
            seen = await look(claimed.lease)
        except QueueUnavailableError as error:
            self.queue_health.mark_unavailable(error)
        except anyio.get_cancelled_exc_class():
            self.gate.in_flight -= 1
            self._end(claimed.lease, decision_without_send(None, 0.0), None)
            raise
        if isinstance(seen, Inconclusive) and (
            not isinstance(seen.verdict, Final) or seen.verdict.outcome is Outcome.FORBIDDEN
        ):
            self.gate.observe(self.now(), claimed.lease.session_id, seen.verdict, jitter=self.jitter(), began=began)
        elif isinstance(seen, Proceed) and not self._draining and self.now() - claimed.at < self._latest_s:
            return False
        else:
            self.gate.in_flight -= 1
        self._end(claimed.lease, decision_without_send(seen, self.jitter()), None)
        return True

    @property
    def _latest_s(self) -> float:
        """How long after its claim a send may begin: it ends before its lease does."""
        return max(STALE_S, self.rules.lease_s - self.rules.send_s - STALE_S)

    def _end(self, lease: Lease, decision: Decision, send: Send | None) -> None:
        # The slot counts as free from here: a claim posted now commits with this apply or after it, never before.
        self._busy -= 1
        if send is None or not self._ahead or len(self._leases) * 2 <= self._ahead:
            self.wake()
        self._settler.post(lease, decision, send)

    def pauses(self) -> list[Pause]:
        """Return the pauses that hold, in wall-clock time."""
        now = self.now()
        return [pause.shifted(self.clock() - now) for pause in self.gate.pauses(now)]

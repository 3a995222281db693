"""The worker: claim, stop, classify, settle; as many at once as the gate admits.

One task claims for all (what is claimed together commits together), a slot per send carries a lease to its end. The
bound is the gate's: a slot asks it once more right before the send, so a pause that begins while leases are being
claimed stops them too. What was claimed and not sent is handed back uncounted.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from reaper.core.classify import classify, classify_read
from reaper.core.decide import decide, give_up, record
from reaper.core.gate import Gate
from reaper.core.model import (
    Decision,
    Lease,
    Pause,
    PauseReason,
    Release,
    Send,
    Settle,
)
from reaper.errors import QueueError
from reaper.queues.base import Queue, RunSet
from reaper.seams import Api, IdleWait, Journal, Rules, TokenWatch

SETTLE_TIMEOUT_S = 15.0
"""How long a shielded apply may take; longer than the queue's own wait for a lock."""
BUSY_REST_S = 0.1
"""How long the claim loop rests at most while sends are under way: their ends wake it."""
TICK_S = 0.5
GUARD_S = 1.0
TEND_S = 2.0
TELL_S = 5.0


@dataclass(slots=True)
class Worker:
    """One run of the worker. `idle` decides when it ends by itself; `within` bounds what it claims."""

    queue: Queue
    api: Api
    gate: Gate
    token: TokenWatch
    rules: Rules
    journal: Journal
    idle: IdleWait
    within: RunSet | None = None
    enough: Callable[[Sequence[Pause]], bool] = lambda pauses: False
    """Asked every tick with the pauses that hold; True drains."""
    clock: Callable[[], float] = time.time
    now: Callable[[], float] = anyio.current_time
    """Runs steadily; what a send costs counts by it."""
    jitter: Callable[[], float] = random.random
    sends: int = 0
    """DELETEs sent so far."""
    moved_at: float = 0.0
    """When the claim loop last turned, by `now`: what liveness looks at."""
    _busy: int = 0
    _slots: int = 0
    _leases: deque[tuple[Lease, int]] = field(default_factory=deque)
    """Claimed, and not yet taken up by a slot; with how many final answers there were then."""
    _resting: list[anyio.Event] = field(default_factory=list)
    """The slots that have nothing to do."""
    _settling: dict[anyio.CancelScope, float] = field(default_factory=dict)
    """What the queue is asked to take, since when."""
    _over: bool = False
    _draining: bool = False
    _finishing: bool = False
    _wake: anyio.Event = field(default_factory=anyio.Event)
    _hands: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _told: dict[PauseReason, Pause] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until `idle` ends it or `drain` is called; then every lease is settled or handed back."""
        # Known before the first claim: a pause that was set yesterday must not lose a race against it.
        self.gate.set_operator(await self.queue.paused())
        async with anyio.create_task_group() as around:
            around.start_soon(self._watch)
            around.start_soon(self._read)
            around.start_soon(self._guard)
            with self._hands:
                await self._work()
            self._report_pauses()
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

    @property
    def draining(self) -> bool:
        """Whether it was told to end, be it by `drain`, `finish` or `leave`."""
        return self._draining or self._finishing

    @property
    def still_s(self) -> float:
        """How long the claim loop has not turned."""
        return self.now() - self.moved_at

    @property
    def in_flight(self) -> int:
        return self.gate.in_flight

    @property
    def limit(self) -> int:
        return self.gate.limit

    async def _work(self) -> None:
        try:
            async with anyio.create_task_group() as slots:
                while not self._draining:
                    self._wake = anyio.Event()
                    self.moved_at = self.now()
                    admission = self.gate.admit(self.moved_at)
                    most = min(admission.most - len(self._leases), self.gate.limit - self._busy)
                    leases = await self._claim(most) if most > 0 else []
                    for lease in leases:
                        self._busy += 1
                        self._leases.append((lease, self.gate.finals))
                        if self._resting:
                            self._resting.pop().set()
                        elif self._slots < self._busy:
                            self._slots += 1
                            slots.start_soon(self._slot)
                    if len(leases) == most > 0:
                        continue
                    wait_s = BUSY_REST_S if self._busy else await self.idle(admission.most == 0)
                    if wait_s is None:
                        break
                    if admission.until is not None:
                        wait_s = min(wait_s, admission.until - self.now())
                    await self._rest(wait_s)
                self._over = True
                for resting in self._resting:
                    resting.set()
        finally:
            await self._hand_back()

    async def _claim(self, most: int) -> list[Lease]:
        """Claim in a way that no cancellation can lose what was claimed."""
        with anyio.CancelScope(shield=True):
            leases = await self.queue.claim(most, lease_s=self.rules.lease_s, within=self.within)
        return leases  # noqa: RET504  # the scope could swallow; mypy wants the return outside

    async def _hand_back(self) -> None:
        """Release what was claimed and reached no slot."""
        with suppress(QueueError):
            while self._leases:
                await self._apply(self._leases.popleft()[0], Release(0.0), None)

    async def _rest(self, wait_s: float) -> None:
        with anyio.move_on_after(max(wait_s, 0.001)):
            await self._wake.wait()

    async def _slot(self) -> None:
        while True:
            while self._leases:
                await self._handle(*self._leases.popleft())
            if self._over:
                return
            rest = anyio.Event()
            self._resting.append(rest)
            await rest.wait()

    async def _handle(self, lease: Lease, finals: int) -> None:
        now = self.now()
        if ending := give_up(lease):
            return await self._apply(lease, ending, None)
        if self._draining or not self.gate.start(now):
            return await self._apply(lease, Release(0.0), None)
        outage = self.gate.outage
        at = self.clock()
        self.sends += 1
        try:
            reply = await self.api.stop(lease.session_id)
        except anyio.get_cancelled_exc_class():
            self.gate.in_flight -= 1
            send = Send(at, self.now() - now, error="given up: the reaper was told to leave")
            await self._apply(lease, Release(0.0, ambiguous=True), send)
            raise
        verdict = classify(reply)
        self.gate.observe(self.now(), lease.session_id, verdict, jitter=self.jitter(), began=now)
        others_final = lease.sends > 1 and (lease.others_final or self.gate.finals > finals)
        decision = decide(
            verdict, lease, self.rules.retry, jitter=self.jitter(), others_final=others_final, outage=outage
        )
        return await self._apply(lease, decision, record(reply, at))

    async def _apply(self, lease: Lease, decision: Decision, send: Send | None) -> None:
        # The slot counts as free from here: a claim posted now commits with this apply or after it, never before.
        self._busy -= 1
        self.wake()
        held: bool | None = None
        with anyio.CancelScope(shield=True) as scope:
            self._settling[scope] = self.now()
            try:
                held = await self.queue.apply(lease, decision, send)
            finally:
                del self._settling[scope]
        if held is None:
            raise QueueError(f"the queue did not take an outcome within {SETTLE_TIMEOUT_S:g} s")
        if not held:
            self.journal.lease_lost(lease)
        elif isinstance(decision, Settle):
            self.journal.settled(lease, decision, send)
        else:
            self.journal.returned(lease, decision, send)

    async def _guard(self) -> None:
        """Give up what the queue does not take: one look for all, because a timer for each would cost each."""
        while True:
            await anyio.sleep(GUARD_S)
            late = self.now() - SETTLE_TIMEOUT_S
            for scope in [scope for scope, since in self._settling.items() if since < late]:
                scope.cancel()

    async def _read(self) -> None:
        """Make the reads that the gate asks for."""
        while True:
            due = self.gate.read_due()
            now = self.now()
            if due is None or due > now or self._draining:
                await anyio.sleep(min(TICK_S, max(due - now, 0.001)) if due is not None and due > now else TICK_S)
                continue
            verdict = classify_read(await self.api.list_sessions())
            self.gate.observe_read(self.now(), verdict, jitter=self.jitter())
            self.wake()

    async def _watch(self) -> None:
        """Keep an eye on the token, the operator's switch and the pauses; tend the queue."""
        tend_at = tell_at = -math.inf
        limit = 0
        while True:
            now = self.now()
            if self.token.refresh():
                self.gate.target_changed(now, self.token.generation)
            self.gate.set_operator(await self.queue.paused())
            changed = self._report_pauses() or limit != self.gate.limit
            limit = self.gate.limit
            if now >= tend_at:
                if await self.queue.tend(self.rules.keep_settled_s):
                    self.wake()
                tend_at = now + TEND_S
            if changed or now >= tell_at:
                await self.queue.tell(limit, self.pauses())
                tell_at = now + TELL_S
            if not self._draining and self.enough(self.pauses()):
                self.drain()
            await anyio.sleep(TICK_S)

    def pauses(self) -> list[Pause]:
        """Return the pauses that hold, in wall-clock time."""
        now = self.now()
        return [pause.shifted(self.clock() - now) for pause in self.gate.pauses(now)]

    def _report_pauses(self) -> bool:
        """Say each beginning and end of a pause once; return whether there was one."""
        held = {pause.reason: pause for pause in self.pauses()}
        if held.keys() == self._told.keys():
            return False
        for reason in held.keys() - self._told.keys():
            self.journal.paused(held[reason])
        for reason in self._told.keys() - held.keys():
            self.journal.resumed(reason, self.clock() - self._told[reason].since, last=not held)
        self._told = held
        self.wake()
        return True

"""The life of one claimed session ID: at most one DELETE, one decision, one result for the settler.

`Attempts.process` reads top to bottom. The rest of the package serves it: `claims.py` brings the items, `settler.py`
writes the results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import anyio

from reaper.core.classify import Verdict, classify
from reaper.core.decide import decide, give_up, record, record_check
from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.gate import Gate
from reaper.core.model import Decision, Lease, Release, Reply, Send, Withheld
from reaper.core.preflight import Inconclusive, Proceed, Recheck, decision_without_send
from reaper.core.throttle import Throttle
from reaper.worker.ports import Api, Preflight, WorkerOptions
from reaper.worker.queue_health import QueueHealth
from reaper.worker.shutdown import Shutdown

STALE_S = 1.0
"""Release a claimed lease whose send or preflight check did not start within 1 s. Settings guarantee
lease_s >= timeout_s + 1, so a send that started earlier cannot outlive its lease. After a slow claim or a check see
`_latest_s`."""
LATENCY_WINDOW = 16
"""How many answers the mean latency remembers, about."""
RELEASE_NOW = Release(0.0)
PostResult = Callable[[Lease, Decision, Send | None], None]


class Claimed(NamedTuple):
    """A lease on its way to a slot; when the queue was asked for it, when it came, and the final answers until then."""

    lease: Lease
    asked_at: float
    at: float
    finals: int


class Before(NamedTuple):
    """What held before a request: its begin, by both clocks, the silence of its host, an outage, and the token."""

    began: float
    at: float
    throttle: Throttle
    outage: bool
    generation: int


@dataclass(slots=True)
class Attempts:
    """Takes claimed items to their results; as many run at once as there are slots.

    `clock` is the wall clock of the queue's engine, for timestamps that are stored; `now` is monotonic, for durations;
    `jitter` is uniform in [0, 1).
    """

    api: Api
    gate: Gate
    options: WorkerOptions
    preflight: Preflight | None
    queue_health: QueueHealth
    shutdown: Shutdown
    clock: Callable[[], float]
    now: Callable[[], float]
    jitter: Callable[[], float]
    post_result: PostResult = field(init=False)
    """Receives the one result of each lease: `Unconfirmed.post`, set by `Worker` because each needs the other."""
    sends: int = 0
    """DELETEs sent so far."""
    retries: int = 0
    """Those of them that were not the first of their ID's round."""
    mean_latency_s: float = 1.0
    """Of the last answers; `Claims` prefetches by it."""

    async def process(self, claimed: Claimed) -> None:
        """Take one claimed item to its result. A cancellation in between is a result, too: released, answer unknown."""
        lease, began = claimed.lease, self.now()
        if hopeless := give_up(lease):
            return self.post_result(lease, hopeless, None)
        if not self._start(claimed, began):
            return self.post_result(lease, RELEASE_NOW, None)
        before = Before(began, self.clock(), self.gate.throttle, self.gate.outage, self.gate.generation)
        if self.preflight is not None and self.preflight.applies_to(lease):
            if (checked := await self._check(self.preflight, claimed, before)) is not None:
                return self.post_result(lease, *checked)
            # The check took time, and may have ended an outage.
            before = Before(began, self.clock(), before.throttle, self.gate.outage, self.gate.generation)
        if (reply := await self._send(lease, before.at)) is None:
            return self.post_result(lease, RELEASE_NOW, None)
        decision = self._decide(claimed, classify(reply), before)
        return self.post_result(lease, decision, record(reply, before.at))

    def _start(self, claimed: Claimed, now: float) -> bool:
        """Ask the gate once more, right before the send. True: it counts as in flight from here."""
        in_time = now - claimed.at <= STALE_S and now - claimed.asked_at <= self._latest_s
        return in_time and not self.shutdown.is_draining and self.gate.start(now)

    async def _check(self, check: Preflight, claimed: Claimed, before: Before) -> tuple[Decision, Send | None] | None:
        """Run the preflight check; return None to send the DELETE, else the result without one.

        With a result the item does not count as in flight any more. A check that fails takes the place of the send: it
        is recorded, charged and tried again as that would be.
        """
        found: Recheck | None = None
        try:
            found = await check(claimed.lease, self._may_start)
        except QueueUnavailableError as error:
            self.queue_health.mark_unavailable(error)
        except Withheld:
            pass  # nothing was read
        except (QueueError, anyio.get_cancelled_exc_class()):
            self.gate.withdraw()
            self.post_result(claimed.lease, RELEASE_NOW, None)
            raise
        if isinstance(found, Proceed) and self._may_go_on(claimed):
            return None
        if not isinstance(found, Inconclusive):
            self.gate.withdraw()
            return decision_without_send(found), None
        return self._decide(claimed, found.verdict, before, of_check=True), record_check(found.reply, before.at)

    def _decide(self, claimed: Claimed, verdict: Verdict, before: Before, *, of_check: bool = False) -> Decision:
        """Let the gate learn from an answer; return what the queue does with the lease."""
        lease = claimed.lease
        withheld = self.gate.observe(
            self.now(), lease.session_id, verdict, began=before.began, jitter=self.jitter(), throttle=before.throttle
        )
        # Did another ID get a final answer since this one's previous send? Then a fault is this ID's own.
        others_final = lease.sends > 1 and (lease.others_final or self.gate.finals > claimed.finals)
        # The answer may end an outage: what held before it counts. What is replaced says nothing of what is there now.
        outage = before.outage or self.gate.generation != before.generation
        return decide(
            verdict, lease, self.options.retry, jitter=self.jitter(), others_final=others_final, outage=outage,
            withheld=withheld, of_check=of_check,
        )  # fmt: skip

    def _may_go_on(self, claimed: Claimed) -> bool:
        """Return whether the DELETE may follow the check: it took time, in which a pause or the end may have begun."""
        now = self.now()
        in_time = now - claimed.asked_at < self._latest_s
        return in_time and not self.shutdown.is_draining and self.gate.may_go_on(now)

    async def _send(self, lease: Lease, sent_at: float) -> Reply | None:
        """Send the DELETE; return None if a pause began before there was a connection for it.

        Never cancelled in normal operation; an abort records the send without an answer.
        """
        self.retries += lease.sends > 1
        self.sends += 1
        try:
            reply = await self.api.stop(lease.session_id, self._may_start)
        except Withheld:
            self.gate.withdraw()
            self.sends -= 1
            self.retries -= lease.sends > 1
            return None
        except anyio.get_cancelled_exc_class():
            self.gate.withdraw()
            send = Send(sent_at, max(0.0, self.clock() - sent_at), error="aborted: reaper ended before the answer came")
            self.post_result(lease, Release(0.0, ambiguous=True), send)
            raise
        self.sends += reply.again
        self.retries += reply.again
        self.mean_latency_s += (max(reply.duration_s, 1e-4) - self.mean_latency_s) / LATENCY_WINDOW
        return reply

    def _may_start(self) -> bool:
        """Return whether a request may still be sent."""
        return self.gate.may_go_on(self.now())

    @property
    def _latest_s(self) -> float:
        """How long after the queue was asked for the lease a send may begin: it ends before its lease does."""
        return max(STALE_S, self.options.lease_s - self.options.send_s - STALE_S)

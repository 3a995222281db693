"""The life of one claimed session ID: at most one DELETE, one decision, one result for the settler.

`Attempts.process` reads top to bottom. The rest of the package serves it: `claims.py` brings the items, `settler.py`
writes the results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import anyio

from reaper.core.classify import Final, classify
from reaper.core.decide import decide, give_up, record
from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.gate import Gate
from reaper.core.model import Decision, Lease, Outcome, Release, Reply, Send, Withheld
from reaper.core.preflight import Inconclusive, Proceed, Recheck, decision_without_send
from reaper.core.throttle import Throttle
from reaper.worker.ports import Api, Preflight, WorkerOptions
from reaper.worker.queue_health import QueueHealth
from reaper.worker.shutdown import Shutdown

STALE_S = 1.0
"""Release a claimed lease whose send or preflight check did not start within 1 s. Settings guarantee
lease_s >= timeout_s + 1, so a send that started earlier cannot outlive its lease. After a check see `_latest_s`."""
LATENCY_WINDOW = 16
"""How many answers the mean latency remembers, about."""
RELEASE_NOW = Release(0.0)
PostResult = Callable[[Lease, Decision, Send | None], None]


class Claimed(NamedTuple):
    """A lease on its way to a slot, when it was claimed, and how many final answers there were then."""

    lease: Lease
    at: float
    finals: int


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
        throttle = self.gate.throttle
        if without_send := await self._check_first(claimed, began, throttle):
            return self.post_result(lease, without_send, None)
        outage, sent_at = self.gate.outage, self.clock()  # an answer may end the outage: decide by what held before
        generation = self.gate.generation
        if (reply := await self._send(lease, sent_at)) is None:
            return self.post_result(lease, RELEASE_NOW, None)
        verdict = classify(reply)
        withheld = self.gate.observe(
            self.now(), lease.session_id, verdict, began=began, jitter=self.jitter(), throttle=throttle
        )
        # Did another ID get a final answer since this one's previous send? Then a fault is this ID's own.
        others_final = lease.sends > 1 and (lease.others_final or self.gate.finals > claimed.finals)
        outage |= self.gate.generation != generation  # what is replaced says nothing of what is there now
        decision = decide(
            verdict, lease, self.options.retry, jitter=self.jitter(), others_final=others_final, outage=outage,
            withheld=withheld,
        )  # fmt: skip
        return self.post_result(lease, decision, record(reply, sent_at))

    def _start(self, claimed: Claimed, now: float) -> bool:
        """Ask the gate once more, right before the send. True: it counts as in flight from here."""
        return not self.shutdown.is_draining and now - claimed.at <= STALE_S and self.gate.start(now)

    async def _check_first(self, claimed: Claimed, began: float, throttle: Throttle) -> Decision | None:
        """Run the preflight check; return None to send the DELETE, else the decision.

        With a decision the item does not count as in flight any more.
        """
        if self.preflight is None or not self.preflight.applies_to(claimed.lease):
            return None
        found: Recheck | None = None
        withheld = False
        try:
            found = await self.preflight(claimed.lease, self._may_start)
        except QueueUnavailableError as error:
            self.queue_health.mark_unavailable(error)
        except Withheld:
            pass  # nothing was read
        except (QueueError, anyio.get_cancelled_exc_class()):
            self.gate.withdraw()
            self.post_result(claimed.lease, RELEASE_NOW, None)
            raise
        # The gate learns as much from the answer to the check's GET as from one to a DELETE.
        if isinstance(found, Inconclusive) and _concerns_the_api(found):
            withheld = self.gate.observe(
                self.now(), claimed.lease.session_id, found.verdict, began=began, jitter=self.jitter(),
                throttle=throttle,
            )  # fmt: skip
        elif isinstance(found, Proceed) and self._may_go_on(claimed):
            return None
        else:
            self.gate.withdraw()
        return decision_without_send(found, self.jitter(), withheld=withheld)

    def _may_go_on(self, claimed: Claimed) -> bool:
        """Return whether the DELETE may follow the check: it took time, in which a pause or the end may have begun."""
        now = self.now()
        in_time = now - claimed.at < self._latest_s
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
        """How long after its claim a send may begin: it ends before its lease does."""
        return max(STALE_S, self.options.lease_s - self.options.send_s - STALE_S)


def _concerns_the_api(found: Inconclusive) -> bool:
    """Return whether the answer to the check concerns the API or the token, not this session alone."""
    return not isinstance(found.verdict, Final) or found.verdict.outcome is Outcome.FORBIDDEN

"""The decision about an ID after an answer (docs/concepts.md). Pure: jitter is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from reaper.core.backoff import backoff_s
from reaper.core.classify import Broken, Final, Foreign, ServerFault, Throttled, Unauthorized, Unsent, Verdict
from reaper.core.model import CHECK_FAILED, Answered, Decision, Lease, Outcome, Release, Reply, Retry, Send, Settle
from reaper.core.text import pluralize

MAX_UNANSWERED = 25
"""Sends without a recorded answer after which an ID is exhausted: it may be the cause of the crashes."""
REFUSED_DETAIL = "the API refused to show it, so nothing was sent"
"""The detail of an ID that settles because its check was refused: its DELETE would be refused, too."""
TO_THE_CHECK = " to the check before the DELETE"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`retry.*`: the most charged attempts of a round, and the base and the cap of the backoff in seconds."""

    max_attempts: int
    base_s: float
    cap_s: float

    def backoff_s(self, earlier: int, jitter: float) -> float:
        """Return the wait after `earlier` sends in seconds, with full jitter; `jitter` is uniform in [0, 1)."""
        return jitter * backoff_s(earlier, self.base_s, self.cap_s)


def give_up(lease: Lease) -> Settle | None:
    """Return how an ID ends that has too many sends without a recorded answer; None for others. Asked before a send."""
    if lease.unanswered < MAX_UNANSWERED:
        return None
    return Settle(Outcome.EXHAUSTED, f"{lease.unanswered} sends with no recorded answer")


def decide(
    verdict: Verdict,
    lease: Lease,
    policy: RetryPolicy,
    *,
    jitter: float,
    others_final: bool,
    outage: bool = False,
    withheld: bool = False,
    of_check: bool = False,
) -> Decision:
    """Return what the queue does with a lease after its send, or after the failed check that took its place.

    Args:
        verdict: the meaning of the answer.
        lease: as it was claimed, before this send.
        policy: `retry.*`.
        jitter: uniform in [0, 1).
        others_final: since this ID's previous send another ID got a final answer: a fault is this ID's own.
        outage: the send was a probe while the API counts as down, or its address or token is another one
            by now: its failure charges nothing.
        withheld: a pause holds because of such answers: this one charges and settles nothing.
        of_check: the verdict is that of the check, which cannot have stopped the session.
    """
    match verdict:
        case Final():
            outcome, detail = verdict.outcome, verdict.detail
            if withheld:
                return Release(policy.backoff_s(lease.sends - 1, jitter))
            if of_check:
                detail = f"{REFUSED_DETAIL}: {detail}" if detail else REFUSED_DETAIL
            elif outcome is Outcome.ALREADY_GONE and lease.ambiguous:
                detail = "after_ambiguous"
            return Settle(outcome, detail)
        case Unauthorized() | Foreign():
            unsent = verdict.unsent if isinstance(verdict, Foreign) else verdict.generation is None
            if others_final and not unsent and not withheld:
                return _charge(lease, policy, jitter, verdict, of_check=of_check)
            # A 401 pauses all sends. Foreign answers to fewer than five IDs pause nothing: this backoff slows them.
            earlier = lease.sends - 1 if isinstance(verdict, Foreign) else lease.attempts
            return Release(policy.backoff_s(earlier, jitter))
        case Throttled() | Unsent():
            return Release(policy.backoff_s(lease.attempts, jitter))
        case ServerFault(after_s=after_s):
            if outage:
                return Release(max(after_s, policy.backoff_s(lease.attempts, jitter)))
            return _charge(lease, policy, jitter, verdict, least_s=after_s, of_check=of_check)
        case Broken():
            if outage:
                return Release(policy.backoff_s(lease.attempts, jitter), ambiguous=not of_check)
            return _charge(lease, policy, jitter, verdict, ambiguous=not of_check, of_check=of_check)
        case _ as never:
            assert_never(never)


def _charge(
    lease: Lease,
    policy: RetryPolicy,
    jitter: float,
    verdict: Unauthorized | Foreign | ServerFault | Broken,
    *,
    least_s: float = 0.0,
    ambiguous: bool = False,
    of_check: bool,
) -> Decision:
    """Charge one attempt. The last one settles the ID unless the API is down."""
    attempts = lease.attempts + 1
    wait_s = max(least_s, policy.backoff_s(lease.attempts, jitter))
    if attempts < policy.max_attempts:
        return Retry(wait_s, ambiguous=ambiguous)
    last = f"{_describe(verdict)}{TO_THE_CHECK if of_check else ''}"
    detail = f"{pluralize(attempts, 'attempt', 'attempts')}, the last: {last}"
    return Settle(Outcome.EXHAUSTED, detail, unless_up=Release(wait_s, ambiguous=ambiguous))


def _describe(verdict: Unauthorized | Foreign | ServerFault | Broken) -> str:
    match verdict:
        case Unauthorized():
            return "401"
        case Foreign():
            return f"{verdict.shown}, not the API's own answer"
        case ServerFault(status=status):
            return str(status)
        case Broken(fault=fault):
            return fault.value
        case _ as never:
            assert_never(never)


def record(reply: Reply, at: float) -> Send:
    """Return the ledger's record of a send that began at `at`, Unix seconds."""
    if isinstance(reply, Answered):
        return Send(at, reply.duration_s, reply.status, None, reply.request_id)
    return Send(at, reply.duration_s, None, f"{reply.fault.value}: {reply.error}")


def record_check(reply: Reply, at: float) -> Send:
    """Return the ledger's record of the failed check that took the place of a send at `at`, Unix seconds."""
    if isinstance(reply, Answered):
        return Send(at, reply.duration_s, None, f"{CHECK_FAILED}answered {reply.status}", reply.request_id)
    return Send(at, reply.duration_s, None, f"{CHECK_FAILED}{reply.fault.value}: {reply.error}")

"""The arithmetic that all engines share: the order of claims, the row after an apply, the checks of the audit.

Pure: no clock, no store. An engine keeps the counters named here and writes each where its event happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar, assert_never

from reaper.core.model import DEAD, AuditLine, Decision, Outcome, Release, Retry, Send, Settle, Stats
from reaper.core.times import LAST_INSTANT

ACCEPTED = "accepted"
DUPLICATE = "duplicate"
INVALID = "invalid"
FINALS = "finals"
"""Counts the rounds settled by an answer of the API. A claim stores it in its row: when it has grown by the next claim,
other IDs got their answers meanwhile."""
ANSWERED_STOPPED = "answered.stopped"
ANSWERED_GONE = "answered.gone"

BY_ANSWER = frozenset({Outcome.STOPPED, Outcome.ALREADY_GONE, Outcome.FORBIDDEN, Outcome.REJECTED})
"""Outcomes that the API itself gives."""

RETRY_EVERY = 4
"""Every fourth claim is a retry while both kinds are ready (promise 8)."""

SLACK_S = 60.0
"""A wait that lies further ahead than its length and so much more is over: the clock was set back meanwhile."""

POSTPONED = "postponed"
"""Begins the reason that a postponed row keeps."""

T = TypeVar("T")


def postponement(reason: str) -> str:
    """Return what a postponed row keeps as its reason."""
    return f"{POSTPONED}: {reason}" if reason else POSTPONED


def is_due(due_at: float, wait_s: float | None, now: float) -> bool:
    """Return whether a wait is over. `wait_s` is its length: 0 is due now by any clock, None a time that was named."""
    return wait_s == 0 or due_at <= now or (wait_s is not None and due_at - wait_s > now + SLACK_S)


def settled(outcome: Outcome) -> str:
    """Return the name of the counter of rounds that ended with an outcome, since the ledger was created."""
    return f"settled.{outcome.value}"


def pruned(outcome: Outcome) -> str:
    """Return the name of the counter of settled rows that were dropped, by age or by `dead purge`."""
    return f"pruned.{outcome.value}"


def reopened(outcome: Outcome) -> str:
    """Return the name of the counter of settled rows that became a new round."""
    return f"reopened.{outcome.value}"


COUNTERS = (
    ACCEPTED,
    DUPLICATE,
    INVALID,
    FINALS,
    ANSWERED_STOPPED,
    ANSWERED_GONE,
    *(name(outcome) for name in (settled, pruned, reopened) for outcome in Outcome),
)


def interleave_retries(firsts: Iterator[T], retries: Iterator[T], limit: int, turn: int) -> list[T]:
    """Return up to `limit` of both, each in its own order. `turn` is how many were claimed before (promise 8)."""
    taken: list[T] = []
    first, retry = next(firsts, None), next(retries, None)
    if retry is None:
        return taken if first is None else [first, *islice(firsts, limit - 1)]
    while len(taken) < limit:
        retry_is_next = (turn + len(taken)) % RETRY_EVERY == RETRY_EVERY - 1
        if retry is not None and (first is None or retry_is_next):
            taken.append(retry)
            retry = next(retries, None)
        elif first is not None:
            taken.append(first)
            first = next(firsts, None)
        else:
            break
    return taken


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """The fields of a claimed row that an apply needs. `finals_before` is what `finals_seen` was before this claim."""

    attempts: int
    sends: int
    recorded: int
    ambiguous: bool
    finals_seen: int
    finals_before: int
    due_at: float
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class UpdatedRow:
    """A row after its lease, open again when `outcome` is None. Each of the counters named in `counts` grows by one.

    `wait_s` is the length of the wait that ends at `due_at`, None where the due time is what it was.
    """

    attempts: int
    sends: int
    recorded: int
    ambiguous: bool
    finals_seen: int
    due_at: float
    wait_s: float | None
    outcome: Outcome | None
    status: int | None
    detail: str | None
    counts: tuple[str, ...]


def apply_decision(claimed: ClaimedRow, decision: Decision, send: Send | None, now: float) -> UpdatedRow:
    """Return a claimed row as a decision leaves it; without a send the claim is undone, as if never made.

    An ID that is released unsent and at once keeps its due time, and so its place among the others.
    """
    sent = send is not None
    attempts, ambiguous, due_at = claimed.attempts, claimed.ambiguous, claimed.due_at
    outcome: Outcome | None = None
    detail: str | None = None
    wait_s: float | None = None
    match decision:
        case Settle():
            outcome, detail = decision.outcome, decision.detail
            attempts += sent and decision.charged
        case Retry() | Release():
            attempts += sent and isinstance(decision, Retry)
            ambiguous = ambiguous or (sent and decision.ambiguous)
            if sent or decision.after_s > 0:
                wait_s = max(0.0, decision.after_s)
                due_at = now + wait_s
        case _ as never:
            assert_never(never)
    if claimed.cancel_requested and outcome not in BY_ANSWER:
        outcome, detail = Outcome.CANCELLED, None
    return UpdatedRow(
        attempts=attempts,
        sends=claimed.sends if sent else claimed.sends - 1,
        recorded=claimed.recorded + sent,
        ambiguous=ambiguous,
        finals_seen=claimed.finals_seen if sent else claimed.finals_before,
        due_at=due_at,
        wait_s=wait_s,
        outcome=outcome,
        status=send.status if send is not None and outcome is not None else None,
        detail=detail,
        counts=() if outcome is None else counts_of(outcome, send),
    )


def counts_of(outcome: Outcome, send: Send | None) -> tuple[str, ...]:
    """Return the counters that grow with a round's end.

    The answer is counted from the send and the outcome from the decision: the audit compares the two.
    """
    if outcome not in BY_ANSWER:
        return (settled(outcome),)
    status = send.status if send is not None else None
    if status is not None and 200 <= status < 300:
        return (settled(outcome), FINALS, ANSWERED_STOPPED)
    if status in (404, 410):
        return (settled(outcome), FINALS, ANSWERED_GONE)
    return (settled(outcome), FINALS)


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """The counters of an engine and the numbers of its rows, read in one consistent view.

    `unproven` rows are settled though their last recorded answer says otherwise; `contradictory` ones have
    fields that do not fit together.
    """

    counters: Mapping[str, int]
    kept: Mapping[Outcome, int]
    waiting: int
    in_flight: int
    accepted_by_source: int
    duplicate_by_source: int
    invalid_by_source: int
    unproven: int
    contradictory: int


def balance_checks(ledger: LedgerCounts) -> tuple[AuditLine, ...]:
    """Return the equations of the accounting; the two sides of each were counted by different means."""

    def count(name: str) -> int:
        return ledger.counters.get(name, 0)

    ended = sum(count(settled(outcome)) for outcome in Outcome)
    lines = [
        AuditLine(
            "accepted = settled + waiting + in flight", count(ACCEPTED), ended + ledger.waiting + ledger.in_flight
        ),
        AuditLine("accepted = accepted by source", count(ACCEPTED), ledger.accepted_by_source),
        AuditLine("duplicate = duplicate by source", count(DUPLICATE), ledger.duplicate_by_source),
        AuditLine("invalid = invalid by source", count(INVALID), ledger.invalid_by_source),
    ]
    for outcome in Outcome:
        rows = ledger.kept.get(outcome, 0) + count(pruned(outcome)) + count(reopened(outcome))
        lines.append(AuditLine(f"{outcome.value} = rows kept + pruned + re-opened", count(settled(outcome)), rows))
    by_answer = sum(count(settled(outcome)) for outcome in BY_ANSWER)
    lines += [
        AuditLine("stopped = answers 2xx recorded", count(settled(Outcome.STOPPED)), count(ANSWERED_STOPPED)),
        AuditLine(
            "already_gone = answers 404, 410 recorded", count(settled(Outcome.ALREADY_GONE)), count(ANSWERED_GONE)
        ),
        AuditLine("settled by an answer = final answers", by_answer, count(FINALS)),
        AuditLine("settled rows whose recorded answer says otherwise = 0", ledger.unproven, 0),
        AuditLine("rows that contradict themselves = 0", ledger.contradictory, 0),
    ]
    return tuple(lines)


def open_count(counters: Mapping[str, int]) -> int:
    """Return how many rows are open by the counters: those waiting and those in flight. The audit compares it."""
    return counters.get(ACCEPTED, 0) - sum(counters.get(settled(outcome), 0) for outcome in Outcome)


def ledger_stats(
    counters: Mapping[str, int],
    *,
    ready: int,
    scheduled: int,
    retrying: int,
    in_flight: int,
    oldest_due_s: float,
    next_scheduled_at: float | None,
    next_retry_at: float | None,
) -> Stats:
    """Return the figures of a queue: the open rows as they were counted, all else by the counters."""
    ended = {outcome: counters.get(settled(outcome), 0) for outcome in Outcome}
    dead = {one: ended[one] - counters.get(pruned(one), 0) - counters.get(reopened(one), 0) for one in DEAD}
    return Stats(
        ready=ready,
        scheduled=scheduled,
        retrying=retrying,
        in_flight=in_flight,
        accepted=counters.get(ACCEPTED, 0),
        settled=ended,
        dead=sum(dead.values()),
        dead_by_outcome={one: number for one, number in dead.items() if number},
        duplicate=counters.get(DUPLICATE, 0),
        invalid=counters.get(INVALID, 0),
        oldest_due_s=oldest_due_s,
        next_scheduled_at=None if next_scheduled_at is None else min(next_scheduled_at, LAST_INSTANT),
        next_retry_at=None if next_retry_at is None else min(next_retry_at, LAST_INSTANT),
    )

"""The lease protocol as a table of steps: small enough to try every order in which they can come.

Each of two workers holds one lease at a time; workers die, sleep past their leases, get every kind of answer; the
engine goes away, or carries out an apply whose answer is lost; an operator cancels. What an answer means and what an
apply makes of a row is asked of the code itself (`classify`, `decide`, `end_lease`), and so is what the audit compares.
What is modelled is what each back-end writes in its own language: who may claim, and whose receipt is good.

Receipts are never used twice, so all that matters of one is whether it is still the row's: that the row's `holder` is
the worker who has it in hand. Whether other IDs got a final answer meanwhile is left open: both are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from reaper.core.classify import classify
from reaper.core.decide import RetryPolicy, decide, record
from reaper.core.model import Answered, Decision, Failed, Fault, Lease, Outcome, Release, Reply, Send, SessionId, Settle
from reaper.queues.accounting import ClaimedRow, apply_decision, counts_of

WORKERS = (1, 2)
NOBODY, DEAD = 0, 3
POLICY = RetryPolicy(max_attempts=2, base_s=1.0, cap_s=1.0)

OWN = b'{"error": "x"}'
STOPPED, GONE = Answered(204, b"", 0.0), Answered(404, OWN, 0.0)
BAD_ANSWERS: tuple[tuple[Reply, bool], ...] = (
    # Each with whether the session was stopped by it all the same.
    (Answered(502, b"", 0.0), False),
    (Answered(401, OWN, 0.0), False),
    (Answered(400, OWN, 0.0), False),
    (Answered(404, b"<html>", 0.0), False),
    (Failed(Fault.RESET, True, "", 0.0), True),
    (Failed(Fault.TIMEOUT, True, "", 0.0), False),
    (Failed(Fault.CONNECT, False, "", 0.0), False),
)


class Hand(NamedTuple):
    """A lease in a worker's hand: as claimed, or with what its send came to."""

    attempts: int
    sends: int
    ambiguous: bool
    decision: Decision | None = None
    send: Send | None = None


class Id(NamedTuple):
    """One ID: its row, its session on the server, and what each worker has in hand of it."""

    attempts: int = 0
    sends: int = 0
    recorded: int = 0
    ambiguous: bool = False
    holder: int = NOBODY
    expired: bool = False
    cancelled: bool = False
    outcome: Outcome | None = None
    status: int | None = None
    alive: bool = True
    said: frozenset[int] = frozenset()
    """The final answers that the server gave."""
    hands: tuple[Hand | None, Hand | None] = (None, None)

    @property
    def row(self) -> tuple[object, ...]:
        """What the queue knows."""
        return self[: Id._fields.index("alive")]

    def with_hand(self, worker: int, hand: Hand | None) -> Id:
        return self._replace(hands=(hand, self.hands[1]) if worker == 1 else (self.hands[0], hand))

    def swapped(self) -> Id:
        """Return it with the workers' names exchanged."""
        other = {1: 2, 2: 1}
        return self._replace(holder=other.get(self.holder, self.holder), hands=(self.hands[1], self.hands[0]))


class Move(NamedTuple):
    """Something that can happen to an ID: in words, by whom, what comes of it, what is counted, if it is a fault."""

    what: str
    worker: int
    after: Id
    counts: tuple[str, ...] = ()
    fault: bool = False


Decide = Callable[[Reply, Lease, bool], Decision]


def _decide(reply: Reply, lease: Lease, others_final: bool) -> Decision:
    return decide(classify(reply), lease, POLICY, jitter=0.0, others_final=others_final)


@dataclass(frozen=True)
class Protocol:
    """The protocol; the functions are what a back-end or the worker could get wrong."""

    sees_death: bool = True
    """Whether the leases of the dead are free at once, as on one machine, or when their time is over."""
    fenced: Callable[[Id, int], bool] = lambda one, worker: one.holder == worker
    """Whether the receipt in this worker's hand is still the row's."""
    claimable: Callable[[Id], bool] = lambda one: one.holder == NOBODY or one.expired
    counts: Callable[[tuple[str, ...]], tuple[str, ...]] = lambda names: names
    decides: Decide = field(default=_decide)

    def moves(self, one: Id, idle: tuple[int, ...], up: bool) -> Iterator[Move]:
        """Yield all that can happen to an ID next; `idle` workers have nothing in hand, `up`: the engine is there."""
        for worker in WORKERS:
            if (hand := one.hands[worker - 1]) is not None:
                yield from self._of_hand(one, worker, hand, up)
        if one.outcome is None:
            yield from self._of_row(one, idle, up)

    def _of_row(self, one: Id, idle: tuple[int, ...], up: bool) -> Iterator[Move]:
        if one.holder == DEAD and not one.expired:
            yield Move("time ends the lease of the dead", 0, one._replace(expired=True))
        if one.holder in WORKERS and not one.expired:
            yield Move("a worker sleeps past its lease", 0, one._replace(expired=True), fault=True)
        if not up:
            return
        if one.holder == DEAD and self.sees_death:
            yield self._cancelled("the death is seen", 0, one._replace(holder=NOBODY, expired=False))
        if self.claimable(one):
            for worker in idle:
                yield self._claimed(one, worker)
        if not one.cancelled:
            wished = Move("an operator cancels", 0, one._replace(cancelled=True))
            done = self._cancelled(wished.what, 0, wished.after) if self.claimable(one) else wished
            yield done._replace(fault=True)

    def _claimed(self, one: Id, worker: int) -> Move:
        if one.cancelled:
            return self._cancelled("a claim comes across it", worker, one)
        claimed = one._replace(sends=one.sends + 1, holder=worker, expired=False)
        hand = Hand(one.attempts, claimed.sends, one.ambiguous)
        return Move(f"worker {worker} claims", worker, claimed.with_hand(worker, hand))

    def _cancelled(self, what: str, worker: int, one: Id) -> Move:
        """Settle a free row if its cancellation was requested."""
        if not one.cancelled:
            return Move(what, worker, one)
        ended = one._replace(outcome=Outcome.CANCELLED, holder=NOBODY, expired=False, cancelled=False)
        return Move(what, worker, ended, self.counts(counts_of(Outcome.CANCELLED, None)))

    def _of_hand(self, one: Id, worker: int, hand: Hand, up: bool) -> Iterator[Move]:
        holder = DEAD if one.holder == worker else one.holder
        yield Move(f"worker {worker} dies", worker, one._replace(holder=holder).with_hand(worker, None), fault=True)
        if hand.decision is None:
            yield self._answered(one, worker, hand, STOPPED if one.alive else GONE, stops=True, others=False)
            for reply, stops in BAD_ANSWERS:
                for others in (False, True):
                    yield self._answered(one, worker, hand, reply, stops=stops, others=others)._replace(fault=True)
            if up:
                back = self._apply(one, worker, Release(0.0), None)
                yield back._replace(what=f"worker {worker} hands back unsent")
        elif up:
            done = self._apply(one, worker, hand.decision, hand.send)
            yield done
            lost = done.after.with_hand(worker, hand)
            yield done._replace(what=f"{done.what}, and the answer is lost", after=lost, fault=True)

    def _answered(self, one: Id, worker: int, hand: Hand, reply: Reply, *, stops: bool, others: bool) -> Move:
        unanswered = hand.sends - 1 - one.recorded
        lease = Lease(
            SessionId("x"), "", 1, hand.attempts, hand.sends, unanswered, hand.ambiguous, others, "", 0.0, 0.0
        )
        answered = one._replace(alive=one.alive and not stops)
        if isinstance(reply, Answered) and reply in (STOPPED, GONE):
            answered = answered._replace(said=one.said | {reply.status})
        decision, send = self.decides(reply, lease, others), record(reply, 0.0)
        if isinstance(decision, Settle):
            decision = replace(decision, detail=None)  # words of it make states that differ in nothing else
        decided = hand._replace(decision=decision, send=replace(send, error=None))
        answer = reply.status if isinstance(reply, Answered) else reply.fault.value
        return Move(f"worker {worker} sends: {answer}", worker, answered.with_hand(worker, decided))

    def _apply(self, one: Id, worker: int, decision: Decision, send: Send | None) -> Move:
        """Carry out a decision as a back-end does: nothing unless the receipt is the row's."""
        what, one = f"worker {worker} applies", one.with_hand(worker, None)
        if not self.fenced(one, worker):
            return Move(what, worker, one)
        held = ClaimedRow(
            one.attempts, one.sends, one.recorded, one.ambiguous, 0, 0, 0.0, cancel_requested=one.cancelled
        )
        ended = apply_decision(held, decision, send, 0.0)
        after = one._replace(
            attempts=ended.attempts,
            sends=ended.sends,
            recorded=ended.recorded,
            ambiguous=ended.ambiguous,
            outcome=ended.outcome,
            status=ended.status,
            holder=NOBODY,
            expired=False,
            cancelled=False,
        )
        return Move(what, worker, after, self.counts(ended.counts))

"""What the queues in memory share: rows, counters, run sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from reaper.core.model import (
    PROVEN,
    REAPER,
    Audit,
    Item,
    Outcome,
    Pause,
    Send,
    SessionId,
    State,
    Stats,
    WorkerHeartbeat,
)
from reaper.core.times import LAST_INSTANT
from reaper.queues import accounting as books
from reaper.queues.history import Ended, slot_of
from reaper.queues.selection import Selection
from reaper.queues.values import KeptInvalidLine, Position, later_state


class Instants(NamedTuple):
    """One instant by the wall clock, and by the steady clock of the leases."""

    now: float
    steady: float


Cancellation = tuple[str, str]
"""By whom, and why."""


@dataclass(slots=True, eq=False)
class Row:
    """One session ID."""

    session_id: SessionId
    source: str
    added_at: float
    due_at: float
    wait_s: float | None
    place: int
    alive: set[str]
    round: int = 1
    attempts: int = 0
    sends: int = 0
    recorded: int = 0
    ambiguous: bool = False
    finals_seen: int = 0
    finals_before: int = 0
    owner: str | None = None
    receipt: str | None = None
    lease_until: float | None = None
    cancel: Cancellation | None = None
    outcome: Outcome | None = None
    status: int | None = None
    detail: str | None = None
    settled_at: float | None = None
    by: str | None = None
    reason: str | None = None
    history: tuple[Send, ...] = ()
    first_due_at: float | None = None

    @property
    def order(self) -> tuple[float, int]:
        return self.due_at, self.place

    def wait(self, now: float, wait_s: float) -> None:
        """Let it wait for so long."""
        self.due_at, self.wait_s = now + wait_s, wait_s

    def is_waiting(self, time: Instants) -> bool:
        """Tell whether an operator may postpone it."""
        is_free = self.lease_until is None or self.lease_until <= time.steady
        return self.outcome is None and self.cancel is None and is_free

    def postpone(self, due_at: float, wait_s: float | None, by: str | None, reason: str) -> None:
        """Give it another due time, and keep who ordered it, and why, unless reaper's own reason is to be kept."""
        self.release()
        self.due_at, self.wait_s, self.first_due_at = due_at, wait_s, None
        if self.by != REAPER or (self.reason or books.POSTPONED).startswith(books.POSTPONED):
            self.by, self.reason = by, books.postponement(reason)

    def is_due(self, time: Instants) -> bool:
        if self.lease_until is not None:
            return self.lease_until <= time.steady
        return books.is_due(self.due_at, self.wait_s, time.now)

    def at(self, time: Instants) -> float:
        """Return when it can be claimed, by the wall clock; not in the future when it can."""
        at = self.due_at if self.lease_until is None else time.now + self.lease_until - time.steady
        return min(at, time.now) if self.is_due(time) else at

    def shown_at(self, time: Instants) -> float:
        """Return the same for those who read: the lease of a dead process is over."""
        return min(self.due_at, time.now) if self.is_orphaned else self.at(time)

    @property
    def is_orphaned(self) -> bool:
        """Tell whether a dead process holds it."""
        return self.owner is not None and self.owner not in self.alive

    def state(self, time: Instants) -> State:
        if self.outcome is not None:
            return State.SETTLED
        if self.is_due(time) or self.is_orphaned:
            return State.READY
        return later_state(self.sends, is_leased=self.lease_until is not None)

    def item(self, time: Instants) -> Item:
        state = self.state(time)
        return Item(
            session_id=self.session_id,
            state=state,
            outcome=self.outcome,
            source=self.source,
            added_at=self.added_at,
            due_at=min(self.shown_at(time) if self.outcome is None else self.due_at, LAST_INSTANT),
            round=self.round,
            attempts=self.attempts,
            sends=self.sends,
            unanswered=self.sends - self.recorded - (state is State.IN_FLIGHT),
            history=self.history,
            status=self.status,
            detail=self.detail,
            settled_at=self.settled_at,
            by=self.by,
            reason=self.reason,
            owner=self.owner,
        )

    def release(self) -> None:
        self.owner = self.receipt = self.lease_until = None


@dataclass(slots=True, eq=False)
class Store:
    """What all queues on it share. `open` and `settled` together are all rows."""

    open: dict[SessionId, Row] = field(default_factory=dict)
    settled: dict[SessionId, Row] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    duplicate: Counter[str] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    positions: dict[str, Position] = field(default_factory=dict)
    lines: list[KeptInvalidLine] = field(default_factory=list)
    pause: Pause | None = None
    values: dict[str, str] = field(default_factory=dict)
    past: Counter[tuple[int, str]] = field(default_factory=Counter)
    """The history: numbers by slot and name."""
    alive: set[str] = field(default_factory=set)
    heartbeats: dict[str, WorkerHeartbeat] = field(default_factory=dict)
    places: int = 0
    away: bool = False
    refused: int = 0
    """Calls that found the engine away."""
    """For tests: the engine cannot be reached."""

    def make_due(self, time: Instants, retries: bool) -> int:
        late = [r for r in self.open.values() if r.receipt is None and not r.is_due(time) and (retries or not r.sends)]
        for row in late:
            row.wait(time.now, 0.0)
        return len(late)

    def mark_dead(self, owner: str) -> None:
        """Let the process of `owner` be dead."""
        self.alive.discard(owner)

    def find(self, session_id: SessionId) -> Row | None:
        return self.open.get(session_id) or self.settled.get(session_id)

    def settle(self, row: Row, outcome: Outcome, now: float) -> None:
        due_at = row.due_at if row.first_due_at is None else row.first_due_at
        for name, number in Ended([outcome], [] if outcome is Outcome.CANCELLED else [due_at]).counts(now).items():
            self.past[slot_of(now), name] += number
        row.outcome, row.settled_at = outcome, now
        row.cancel = row.cancel if outcome is Outcome.ALREADY_GONE else None
        row.release()
        self.settled[row.session_id] = self.open.pop(row.session_id)

    def settle_cancelled(self, row: Row, now: float) -> None:
        assert row.cancel is not None
        row.by, row.reason = row.cancel
        self.settle(row, Outcome.CANCELLED, now)
        self.counters[books.settled(Outcome.CANCELLED)] += 1

    def reopen(
        self, row: Row, source: str, due_at: float, wait_s: float | None, by: str | None, reason: str | None
    ) -> Row:
        assert row.outcome is not None
        self.counters[books.reopened(row.outcome)] += 1
        self.counters[books.ACCEPTED] += 1
        self.accepted[source] += 1
        del self.settled[row.session_id]
        fresh = Row(row.session_id, source, row.added_at, due_at, wait_s, row.place, self.alive, row.round + 1)
        fresh.by, fresh.reason = by, reason
        self.open[row.session_id] = fresh
        return fresh

    def drop(self, row: Row) -> None:
        assert row.outcome is not None
        self.counters[books.pruned(row.outcome)] += 1
        del self.settled[row.session_id]

    def chosen(self, selection: Selection, time: Instants) -> list[Row]:
        """Return the rows of a selection in its order."""
        rank = {State.IN_FLIGHT: 0, State.READY: 1, State.SCHEDULED: 2, State.RETRYING: 2, State.SETTLED: 3}

        def order(row: Row) -> tuple[int, float, int]:
            return rank[row.state(time)], row.at(time) if row.settled_at is None else row.settled_at, row.place

        every = [*self.open.values(), *self.settled.values()]
        return sorted((row for row in every if selection.fits(row.item(time), time.now)), key=order)

    def stats(self, time: Instants) -> Stats:
        states = Counter(row.state(time) for row in self.open.values())
        oldest = min((row.shown_at(time) for row in self.open.values()), default=time.now)
        return books.ledger_stats(
            self.counters,
            ready=states[State.READY],
            scheduled=states[State.SCHEDULED],
            retrying=states[State.RETRYING],
            in_flight=states[State.IN_FLIGHT],
            oldest_due_s=max(0.0, time.now - oldest),
            next_scheduled_at=next_due(self.open.values(), State.SCHEDULED, time),
            next_retry_at=next_due(self.open.values(), State.RETRYING, time),
        )

    def audit(self, time: Instants) -> Audit:
        stats = self.stats(time)
        figures = books.LedgerCounts(
            counters=self.counters,
            kept=Counter(row.outcome for row in self.settled.values() if row.outcome is not None),
            waiting=len(self.open) - stats.in_flight,
            in_flight=stats.in_flight,
            accepted_by_source=self.accepted.total(),
            duplicate_by_source=self.duplicate.total(),
            invalid_by_source=self.invalid.total(),
            unproven=sum(not _proven(row) for row in self.settled.values()),
            contradictory=0,
        )
        return Audit(stats, books.balance_checks(figures))


def next_due(rows: Iterable[Row], state: State, time: Instants) -> float | None:
    return min((row.due_at for row in rows if row.state(time) is state), default=None)


def _proven(row: Row) -> bool:
    status = row.history[-1].status if row.history else None
    if row.outcome is Outcome.EXHAUSTED:
        return row.status is not None or status is None or not (200 <= status < 300 or status in (404, 410))
    if row.outcome not in PROVEN:
        return True
    if status is None:
        return False
    return 200 <= status < 300 if row.outcome is Outcome.STOPPED else status in (404, 410)

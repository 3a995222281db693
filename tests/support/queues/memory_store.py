"""What the queues in memory share: rows, counters, run sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from anyio.lowlevel import checkpoint

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import PROVEN, Audit, Item, Outcome, Pause, Send, SessionId, State, Stats, WorkerHeartbeat
from reaper.queues import accounting as books
from reaper.queues.values import Position, SetView

Cancellation = tuple[str, str]
"""By whom, and why."""


@dataclass(slots=True, eq=False)
class Row:
    """One session ID."""

    session_id: SessionId
    source: str
    added_at: float
    due_at: float
    place: int
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

    @property
    def at(self) -> float:
        return self.due_at if self.lease_until is None else self.lease_until

    @property
    def order(self) -> tuple[float, int]:
        return self.at, self.place

    def state(self, now: float) -> State:
        if self.outcome is not None:
            return State.SETTLED
        if self.at <= now:
            return State.READY
        return State.DELAYED if self.lease_until is None else State.IN_FLIGHT

    def item(self, now: float) -> Item:
        state = self.state(now)
        return Item(
            session_id=self.session_id,
            state=state,
            outcome=self.outcome,
            source=self.source,
            added_at=self.added_at,
            due_at=self.at,
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
    pause: Pause | None = None
    values: dict[str, str] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    heartbeats: dict[str, WorkerHeartbeat] = field(default_factory=dict)
    places: int = 0
    away: bool = False
    refused: int = 0
    """Calls that found the engine away."""
    """For tests: the engine cannot be reached."""

    def make_due(self, now: float, retries: bool) -> int:
        late = [r for r in self.open.values() if r.lease_until is None and r.due_at > now and (retries or not r.sends)]
        for row in late:
            row.due_at = now
        return len(late)

    def mark_dead(self, owner: str) -> None:
        """Let the process of `owner` be dead."""
        self.alive.discard(owner)

    def find(self, session_id: SessionId) -> Row | None:
        return self.open.get(session_id) or self.settled.get(session_id)

    def settle(self, row: Row, outcome: Outcome, now: float) -> None:
        row.outcome, row.settled_at, row.cancel = outcome, now, None
        row.release()
        self.settled[row.session_id] = self.open.pop(row.session_id)

    def settle_cancelled(self, row: Row, now: float) -> None:
        assert row.cancel is not None
        row.by, row.reason = row.cancel
        self.settle(row, Outcome.CANCELLED, now)
        self.counters[books.settled(Outcome.CANCELLED)] += 1

    def reopen(self, row: Row, source: str, due_at: float, by: str | None, reason: str | None) -> None:
        assert row.outcome is not None
        self.counters[books.reopened(row.outcome)] += 1
        self.counters[books.ACCEPTED] += 1
        self.accepted[source] += 1
        del self.settled[row.session_id]
        fresh = Row(row.session_id, source, row.added_at, due_at, row.place, row.round + 1, by=by, reason=reason)
        self.open[row.session_id] = fresh

    def drop(self, row: Row) -> None:
        assert row.outcome is not None
        self.counters[books.pruned(row.outcome)] += 1
        del self.settled[row.session_id]

    def stats(self, now: float) -> Stats:
        states = Counter(row.state(now) for row in self.open.values())
        oldest = min((row.at for row in self.open.values()), default=now)
        return books.ledger_stats(
            self.counters,
            ready=states[State.READY],
            delayed=states[State.DELAYED],
            in_flight=states[State.IN_FLIGHT],
            oldest_due_s=max(0.0, now - oldest),
        )

    def audit(self, now: float) -> Audit:
        stats = self.stats(now)
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


@dataclass(slots=True, eq=False)
class MemoryRunSet:
    """The IDs that one `once` is responsible for; see `reaper.queues.base.RunSet`."""

    store: Store
    clock: Callable[[], float]
    owner: str
    members: set[SessionId] = field(default_factory=set)

    async def include_due(self, limit: int | None = None) -> int:
        await self._begin()
        now = self.clock()
        due = [
            row
            for row in self.store.open.values()
            if row.session_id not in self.members and row.state(now) in (State.READY, State.IN_FLIGHT)
        ]
        more = len(due) if limit is None else max(0, limit - len(self.members))
        self.members.update(row.session_id for row in sorted(due, key=lambda row: row.order)[:more])
        return len(self.members)

    async def ids(self) -> AsyncIterator[SessionId]:
        await self._begin()
        for row in sorted(self._rows(), key=lambda row: row.place):
            yield row.session_id

    async def view(self) -> SetView:
        await self._begin()
        now = self.clock()
        rows = list(self._rows())
        states = Counter(row.state(now) for row in rows)
        retrying = sum(row.state(now) is State.DELAYED and row.sends > 0 for row in rows)
        return SetView(
            ready=states[State.READY],
            delayed=states[State.DELAYED] - retrying,
            retrying=retrying,
            in_flight=states[State.IN_FLIGHT],
            settled=dict(Counter(row.outcome for row in rows if row.outcome is not None)),
        )

    async def next_at(self) -> float | None:
        await self._begin()
        now = self.clock()
        return min((r.at for r in self._rows() if r.outcome is None and (r.sends > 0 or r.at <= now)), default=None)

    async def _begin(self) -> None:
        await checkpoint()
        if self.store.away:
            raise QueueUnavailableError("the engine cannot be reached")

    def _rows(self) -> Iterator[Row]:
        return (row for row in map(self.store.find, self.members) if row is not None)


def _proven(row: Row) -> bool:
    if row.outcome not in PROVEN:
        return True
    status = row.history[-1].status if row.history else None
    if status is None:
        return False
    return 200 <= status < 300 if row.outcome is Outcome.STOPPED else status in (404, 410)

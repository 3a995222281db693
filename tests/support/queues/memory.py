"""A queue in memory, for tests: every promise but durability, no threads, any clock.

Several queues can share one `Store`, as processes share a ledger; `Store.mark_dead` is the death of one of them.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import assert_never

from anyio.lowlevel import checkpoint

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import (
    DEAD,
    MAX_HISTORY,
    Audit,
    Item,
    Lease,
    LeaseResult,
    Outcome,
    Pause,
    SessionId,
    State,
    Stats,
    WorkerHeartbeat,
)
from reaper.queues import accounting as books
from reaper.queues.base import RunSet
from reaper.queues.values import Added, Batch, CancelResult, Position, PostponeResult
from tests.support.queues.memory_store import MemoryRunSet, Row, Store


class MemoryQueue:
    """One process's use of a `Store`."""

    def __init__(self, store: Store | None = None, clock: Callable[[], float] = time.time) -> None:
        self.store = Store() if store is None else store
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self._started_at = clock()
        self._claimed = 0
        self._closed = False
        self.store.alive.add(self._owner)

    @property
    def owner(self) -> str:
        return self._owner

    def now(self) -> float:
        return self._clock()

    # intake
    async def add(
        self,
        batch: Batch,
        *,
        again: bool = False,
        by: str | None = None,
        default_after_s: float = 0.0,
        into: RunSet | None = None,
    ) -> Added:
        chosen = None if into is None else self._own_set(into)
        store, now = await self._begin()
        later = now + max(0.0, default_after_s)
        duplicates: list[SessionId] = []
        for new in batch.items:
            due_at = later if new.due_at is None else new.due_at
            row = store.find(new.session_id)
            if row is None:
                store.places += 1
                store.open[new.session_id] = Row(new.session_id, batch.source, now, due_at, store.places)
                store.counters[books.ACCEPTED] += 1
                store.accepted[batch.source] += 1
            elif again and row.outcome is not None:
                store.reopen(row, batch.source, due_at, by, None)
            else:
                duplicates.append(new.session_id)
        for name, by_source, more in (
            (books.DUPLICATE, store.duplicate, len(duplicates)),
            (books.INVALID, store.invalid, len(batch.invalid)),
        ):
            store.counters[name] += more
            by_source[batch.source] += more
        if batch.position is not None:
            store.positions[batch.position.path] = batch.position
        if chosen is not None:
            chosen.members.update(new.session_id for new in batch.items)
        accepted = len(batch.items) - len(duplicates)
        return Added(accepted, len(duplicates), len(batch.invalid), tuple(duplicates[:100]))

    async def positions(self) -> list[Position]:
        store, _ = await self._begin()
        return sorted(store.positions.values(), key=lambda position: position.path)

    # work
    def new_set(self) -> RunSet:
        return MemoryRunSet(self.store, self._clock, self._owner)

    async def claim(self, limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        ids = None if within is None else self._own_set(within).members
        store, now = await self._begin()
        ready = [r for r in store.open.values() if r.at <= now and (ids is None or r.session_id in ids)]
        for row in [row for row in ready if row.cancel is not None]:
            ready.remove(row)
            store.settle_cancelled(row, now)
        ready.sort(key=lambda row: row.order)
        firsts, retries = (row for row in ready if row.sends == 0), (row for row in ready if row.sends > 0)
        chosen = books.interleave_retries(firsts, retries, limit, self._claimed) if limit > 0 else []
        return [self._lease(row, now + lease_s) for row in chosen]

    def _lease(self, row: Row, until: float) -> Lease:
        finals = self.store.counters[books.FINALS]
        others_final = row.sends > 0 and finals > row.finals_seen
        unanswered = row.sends - row.recorded
        receipt = f"{self._owner}.{self._claimed}"
        self._claimed += 1
        row.sends += 1
        row.owner, row.receipt, row.lease_until = self._owner, receipt, until
        row.finals_before, row.finals_seen = row.finals_seen, finals
        return Lease(
            session_id=row.session_id,
            receipt=receipt,
            round=row.round,
            attempts=row.attempts,
            sends=row.sends,
            unanswered=unanswered,
            ambiguous=row.ambiguous,
            others_final=others_final,
            source=row.source,
            expires_at=until,
        )

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        store, now = await self._begin()
        return [_apply(store, end, now) for end in results]

    async def next_at(self) -> float | None:
        store, _ = await self._begin()
        return min((row.at for row in store.open.values()), default=None)

    async def maintain(self, keep_settled_s: float) -> int:
        store, now = await self._begin()
        dead = [row for row in store.open.values() if row.owner is not None and row.owner not in store.alive]
        for row in dead:
            row.release()
        for row in [row for row in store.open.values() if row.cancel is not None and row.at <= now]:
            store.settle_cancelled(row, now)
        kept_from = now - keep_settled_s
        old = [
            row
            for row in store.settled.values()
            if row.outcome not in DEAD and row.settled_at is not None and row.settled_at < kept_from
        ]
        for row in old[:1_000]:
            store.drop(row)
        return len(dead)

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        store, now = await self._begin()
        store.heartbeats[self._owner] = WorkerHeartbeat(
            self._owner, os.getpid(), self._started_at, now, limit, tuple(pauses)
        )

    async def live_workers(self) -> list[WorkerHeartbeat]:
        store, _ = await self._begin()
        return [heartbeat for owner, heartbeat in store.heartbeats.items() if owner in store.alive]

    # operators
    async def postpone(self, session_id: SessionId, after_s: float) -> PostponeResult:
        store, now = await self._begin()
        match self._state(session_id, now):
            case None:
                return PostponeResult.UNKNOWN
            case State.SETTLED:
                return PostponeResult.SETTLED
            case State.IN_FLIGHT:
                return PostponeResult.IN_FLIGHT
            case State.READY | State.DELAYED:
                row = store.open[session_id]
                row.release()
                row.due_at = now + max(0.0, after_s)
                return PostponeResult.DONE
            case _ as never:
                assert_never(never)

    async def make_due(self, *, retries: bool) -> int:
        store, now = await self._begin()
        return store.make_due(now, retries)

    async def cancel(self, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
        store, now = await self._begin()
        match self._state(session_id, now):
            case None:
                return CancelResult.UNKNOWN
            case State.SETTLED:
                return CancelResult.SETTLED
            case State.IN_FLIGHT:
                store.open[session_id].cancel = (by, reason)
                return CancelResult.REQUESTED
            case State.READY | State.DELAYED:
                store.open[session_id].cancel = (by, reason)
                store.settle_cancelled(store.open[session_id], now)
                return CancelResult.DONE
            case _ as never:
                assert_never(never)

    def _state(self, session_id: SessionId, now: float) -> State | None:
        """Return an ID's state; a cancelled one whose lease ran out is settled first."""
        row = self.store.find(session_id)
        if row is not None and row.cancel is not None and row.at <= now:
            self.store.settle_cancelled(row, now)
        return None if row is None else row.state(now)

    async def reopen(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> int:
        store, now = await self._begin()
        dead = self._dead(session_ids)
        for row in dead:
            store.reopen(row, row.source, now, by, reason)
        return len(dead)

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        store, _ = await self._begin()
        dead = self._dead(session_ids)
        for row in dead:
            store.drop(row)
        return len(dead)

    def _dead(self, session_ids: Sequence[SessionId]) -> list[Row]:
        rows = (self.store.settled.get(session_id) for session_id in dict.fromkeys(session_ids))
        return [row for row in rows if row is not None and row.outcome in DEAD]

    async def pause(self, pause: Pause | None) -> None:
        store, _ = await self._begin()
        store.pause = pause

    async def paused(self) -> Pause | None:
        store, now = await self._begin()
        pause = store.pause
        return None if pause is None or (pause.until is not None and pause.until <= now) else pause

    # values
    async def read_value(self, name: str) -> str | None:
        store, _ = await self._begin()
        return store.values.get(name)

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        store, _ = await self._begin()
        if store.values.get(name) != was:
            return False
        store.values.pop(name, None)
        if text is not None:
            store.values[name] = text
        return True

    # reading
    async def show(self, session_id: SessionId) -> Item | None:
        store, now = await self._begin()
        row = store.find(session_id)
        return None if row is None else row.item(now)

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        store, _ = await self._begin()
        return {row.session_id: row.outcome for row in map(store.find, session_ids) if row is not None}

    async def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]:
        store, now = await self._begin()
        rows = [
            row
            for row in store.settled.values()
            if (since is None or (row.settled_at or 0.0) >= since) and (only is None or row.outcome in only)
        ]
        for row in sorted(rows, key=lambda row: (row.settled_at or 0.0, row.place)):
            yield row.item(now)

    async def retrying(self, limit: int) -> list[Item]:
        store, now = await self._begin()
        waiting = [row for row in store.open.values() if row.sends and row.receipt is None]
        return [row.item(now) for row in sorted(waiting, key=lambda row: (-row.at, -row.place))[:limit]]

    async def stats(self) -> Stats:
        store, now = await self._begin()
        return store.stats(now)

    async def audit(self) -> Audit:
        store, now = await self._begin()
        return store.audit(now)

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in memory cannot be copied to a file")

    async def close(self) -> None:
        self._closed = True
        self.store.mark_dead(self._owner)
        await checkpoint()

    async def _begin(self) -> tuple[Store, float]:
        """Let others run, and a cancellation come, before anything is changed; nothing after this waits."""
        if self._closed:
            raise QueueError("the queue was closed")
        await checkpoint()
        if self.store.away:
            self.store.refused += 1
            raise QueueUnavailableError("the engine cannot be reached")
        return self.store, self._clock()

    def _own_set(self, run_set: RunSet) -> MemoryRunSet:
        if not isinstance(run_set, MemoryRunSet) or run_set.owner != self._owner:
            raise TypeError("a run set belongs to the queue that made it")
        return run_set


def _apply(store: Store, end: LeaseResult, now: float) -> bool:
    lease, decision, send = end
    row = store.open.get(lease.session_id)
    if row is None or row.receipt != lease.receipt:
        return False
    claimed = books.ClaimedRow(
        row.attempts,
        row.sends,
        row.recorded,
        row.ambiguous,
        row.finals_seen,
        row.finals_before,
        row.due_at,
        cancel_requested=row.cancel is not None,
    )
    updated = books.apply_decision(claimed, decision, send, now)
    row.attempts, row.sends, row.recorded = updated.attempts, updated.sends, updated.recorded
    row.ambiguous, row.finals_seen, row.due_at = updated.ambiguous, updated.finals_seen, updated.due_at
    row.status, row.detail = updated.status, updated.detail
    if send is not None:
        row.history = (*row.history, send)[-MAX_HISTORY:]
    row.release()
    if updated.outcome is not None:
        if updated.outcome is Outcome.CANCELLED and row.cancel is not None:
            row.by, row.reason = row.cancel
        store.settle(row, updated.outcome, now)
    store.counters.update(updated.counts)
    return True

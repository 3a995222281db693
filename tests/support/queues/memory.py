"""A queue in memory, for tests: every promise but durability, no threads, any clock.

Several queues can share one `Store`, as processes share a ledger; `Store.mark_dead` is the death of one of them. It is
one class, because `Queue` has so many promises; what it keeps is in memory_store.py.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from anyio.lowlevel import checkpoint

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import (
    DEAD,
    MAX_HISTORY,
    Audit,
    Item,
    Lease,
    LeaseHolder,
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
from reaper.queues.history import KEPT_AHEAD_S, KEPT_S, HistorySlot, slot_of, slots
from reaper.queues.selection import ReadLimitError, Selection, settled
from reaper.queues.values import (
    MAX_INVALID_KEPT,
    Added,
    Batch,
    CancelResult,
    KeptInvalidLine,
    Position,
    PostponeResult,
    is_over,
    reopenable,
)
from tests.support.queues.memory_run_set import MemoryRunSet
from tests.support.queues.memory_store import Instants, Row, Store


class MemoryQueue:
    """One process's use of a `Store`."""

    def __init__(
        self,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.store = Store() if store is None else store
        self._clock = clock
        self._monotonic = monotonic or clock
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
        again: bool | frozenset[Outcome] = False,
        or_postpone: bool = False,
        by: str | None = None,
        default_after_s: float = 0.0,
        into: RunSet | None = None,
    ) -> Added:
        chosen = None if into is None else self._own_set(into)
        store, time = await self._begin()
        now = time.now
        after_s = max(0.0, default_after_s)
        duplicates: list[SessionId] = []
        seen: set[SessionId] = set()
        postponed = 0
        for new in batch.items:
            due_at, wait_s = (now + after_s, after_s) if new.due_at is None else (new.due_at, None)
            row = store.find(new.session_id)
            if row is None:
                store.places += 1
                fresh = Row(new.session_id, batch.source, now, due_at, wait_s, store.places, store.alive)
                store.open[new.session_id] = fresh
                store.counters[books.ACCEPTED] += 1
                store.accepted[batch.source] += 1
            elif row.outcome in reopenable(again):
                store.reopen(row, batch.source, due_at, wait_s, by, None)
            elif or_postpone and new.session_id not in seen and row.is_waiting(time):
                row.postpone(due_at, wait_s, by, "")
                postponed += 1
            else:
                duplicates.append(new.session_id)
            seen.add(new.session_id)
        for name, by_source, more in (
            (books.DUPLICATE, store.duplicate, len(duplicates) + postponed),
            (books.INVALID, store.invalid, len(batch.invalid)),
        ):
            store.counters[name] += more
            by_source[batch.source] += more
        store.lines += [KeptInvalidLine(batch.source, line.line, line.reason, line.text, now) for line in batch.invalid]
        if batch.position is not None:
            store.positions[batch.position.path] = batch.position
        if chosen is not None:
            chosen.members.update(new.session_id for new in batch.items)
        accepted = len(batch.items) - len(duplicates) - postponed
        return Added(accepted, len(duplicates), len(batch.invalid), tuple(duplicates[:100]), postponed)

    async def positions(self) -> list[Position]:
        store, _ = await self._begin()
        return sorted(store.positions.values(), key=lambda position: position.path)

    # work
    def new_set(self) -> RunSet:
        return MemoryRunSet(self.store, self._instants, self._owner)

    async def claim(self, limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        ids = None if within is None else self._own_set(within).members
        store, time = await self._begin()
        ready = [r for r in store.open.values() if r.is_due(time) and (ids is None or r.session_id in ids)]
        for row in [row for row in ready if row.cancel is not None]:
            ready.remove(row)
            store.settle_cancelled(row, time.now)
        ready.sort(key=lambda row: row.order)
        firsts, retries = (row for row in ready if row.sends == 0), (row for row in ready if row.sends > 0)
        chosen = books.interleave_retries(firsts, retries, limit, self._claimed) if limit > 0 else []
        return [self._lease(row, time, lease_s) for row in chosen]

    def _lease(self, row: Row, time: Instants, lease_s: float) -> Lease:
        finals = self.store.counters[books.FINALS]
        others_final = row.sends > 0 and finals > row.finals_seen
        unanswered = row.sends - row.recorded
        receipt = f"{self._owner}.{self._claimed}"
        self._claimed += 1
        row.sends += 1
        row.owner, row.receipt, row.lease_until = self._owner, receipt, time.steady + lease_s
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
            expires_at=time.now + lease_s,
            due_at=row.due_at if row.first_due_at is None else row.first_due_at,
        )

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        store, (now, _) = await self._begin()
        return [_apply(store, end, now) for end in results]

    async def next_at(self) -> float | None:
        store, time = await self._begin()
        return min((row.at(time) for row in store.open.values()), default=None)

    async def maintain(self, keep_settled_s: float) -> int:
        store, time = await self._begin()
        now = time.now
        dead = [row for row in store.open.values() if row.owner is not None and row.owner not in store.alive]
        for row in dead:
            row.release()
        for row in [row for row in store.open.values() if row.cancel is not None and row.is_due(time)]:
            store.settle_cancelled(row, now)
        kept_from = now - keep_settled_s
        old = [
            row
            for row in store.settled.values()
            if row.outcome not in DEAD and row.settled_at is not None and row.settled_at < kept_from
        ]
        for row in old[:1_000]:
            store.drop(row)
        store.past = Counter(
            {key: n for key, n in store.past.items() if slot_of(now - KEPT_S) <= key[0] <= now + KEPT_AHEAD_S}
        )
        return len(dead)

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        store, (now, _) = await self._begin()
        store.heartbeats[self._owner] = WorkerHeartbeat(
            self._owner, os.getpid(), self._started_at, now, limit, tuple(pauses)
        )

    async def invalid_lines(self) -> list[KeptInvalidLine]:
        store, _ = await self._begin()
        return store.lines[-MAX_INVALID_KEPT:]

    async def live_workers(self) -> list[WorkerHeartbeat]:
        store, _ = await self._begin()
        return [heartbeat for owner, heartbeat in store.heartbeats.items() if owner in store.alive]

    async def lease_holders(self) -> list[LeaseHolder]:
        store, time = await self._begin()
        held: dict[str, list[float]] = {}
        for row in store.open.values():
            if row.state(time) is State.IN_FLIGHT and row.owner is not None:
                held.setdefault(row.owner, []).append(row.at(time))
        return [LeaseHolder(owner, len(ends), max(ends)) for owner, ends in sorted(held.items())]

    # operators
    async def postpone(
        self,
        session_ids: Sequence[SessionId],
        *,
        after_s: float = 0.0,
        at: float | None = None,
        by: str,
        reason: str = "",
    ) -> dict[SessionId, PostponeResult]:
        store, time = await self._begin()
        results: dict[SessionId, PostponeResult] = {}
        for session_id in dict.fromkeys(session_ids):
            state = self._state(session_id, time)
            match state:
                case None:
                    results[session_id] = PostponeResult.UNKNOWN
                case State.SETTLED:
                    results[session_id] = PostponeResult.SETTLED
                case State.IN_FLIGHT:
                    results[session_id] = PostponeResult.IN_FLIGHT
                case _:
                    wait_s = None if at is not None else max(0.0, after_s)
                    due_at = time.now + (wait_s or 0.0) if at is None else at
                    store.open[session_id].postpone(due_at, wait_s, by, reason)
                    results[session_id] = PostponeResult.DONE
        return results

    async def make_due(self, *, retries: bool) -> int:
        store, now = await self._begin()
        return store.make_due(now, retries)

    async def cancel(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> dict[SessionId, CancelResult]:
        store, time = await self._begin()
        results: dict[SessionId, CancelResult] = {}
        for session_id in dict.fromkeys(session_ids):
            match self._state(session_id, time):
                case None:
                    results[session_id] = CancelResult.UNKNOWN
                case State.SETTLED:
                    row = store.find(session_id)
                    if row is not None and row.outcome is Outcome.ALREADY_GONE:
                        row.cancel = (by, reason)
                    results[session_id] = CancelResult.SETTLED
                case State.IN_FLIGHT:
                    store.open[session_id].cancel = (by, reason)
                    results[session_id] = CancelResult.REQUESTED
                case _:
                    store.open[session_id].cancel = (by, reason)
                    store.settle_cancelled(store.open[session_id], time.now)
                    results[session_id] = CancelResult.DONE
        return results

    def _state(self, session_id: SessionId, time: Instants) -> State | None:
        """Return an ID's state; a cancelled one whose lease ran out is settled first."""
        row = self.store.find(session_id)
        if row is not None and row.outcome is None and row.cancel is not None and row.is_due(time):
            self.store.settle_cancelled(row, time.now)
        return None if row is None else row.state(time)

    async def reopen(
        self,
        session_ids: Sequence[SessionId],
        *,
        reason: str,
        by: str,
        only: frozenset[Outcome] = DEAD,
        after_s: float = 0.0,
    ) -> int:
        store, (now, _) = await self._begin()
        ended = self._settled(session_ids, only)
        for row in ended:
            fresh = store.reopen(row, row.source, now + after_s, after_s, by, reason)
            if row.cancel is not None:
                fresh.cancel = row.cancel
                store.settle_cancelled(fresh, now)
        return len(ended)

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        store, _ = await self._begin()
        dead = self._settled(session_ids, DEAD)
        for row in dead:
            store.drop(row)
        return len(dead)

    def _settled(self, session_ids: Sequence[SessionId], only: frozenset[Outcome]) -> list[Row]:
        rows = (self.store.settled.get(session_id) for session_id in dict.fromkeys(session_ids))
        return [row for row in rows if row is not None and row.outcome in only]

    async def pause(self, pause: Pause | None) -> None:
        store, _ = await self._begin()
        store.pause = pause

    async def paused(self) -> Pause | None:
        store, (now, _) = await self._begin()
        pause = store.pause
        return None if pause is None or is_over(pause, now) else pause

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

    def outcomes(self, *, since: float | None = None, only: frozenset[Outcome] | None = None) -> AsyncIterator[Item]:
        return self.select(settled(since, only))

    async def select(self, selection: Selection) -> AsyncIterator[Item]:
        store, time = await self._begin()
        for looked, row in enumerate(store.chosen(replace(selection, source=""), time)):
            if selection.max_read is not None and looked >= selection.max_read:
                raise ReadLimitError
            if selection.source in row.source:
                yield row.item(time)

    async def count(self, selection: Selection) -> dict[State | Outcome, int]:
        store, time = await self._begin()
        return dict(Counter(row.outcome or row.state(time) for row in store.chosen(selection, time)))

    async def retrying(self, limit: int) -> list[Item]:
        store, now = await self._begin()
        waiting = [row for row in store.open.values() if row.sends and row.receipt is None]
        return [row.item(now) for row in sorted(waiting, key=lambda row: (-row.due_at, -row.place))[:limit]]

    async def stats(self) -> Stats:
        store, now = await self._begin()
        return store.stats(now)

    async def history(self, since: float) -> list[HistorySlot]:
        store, (now, _) = await self._begin()
        return slots((at, name, n) for (at, name), n in store.past.items() if slot_of(since) <= at <= now)

    async def audit(self) -> Audit:
        store, now = await self._begin()
        return store.audit(now)

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in memory cannot be copied to a file")

    async def close(self) -> None:
        self._closed = True
        self.store.mark_dead(self._owner)
        await checkpoint()

    def _instants(self) -> Instants:
        return Instants(self._clock(), self._monotonic())

    async def _begin(self) -> tuple[Store, Instants]:
        """Let others run, and a cancellation come, before anything is changed; nothing after this waits."""
        if self._closed:
            raise QueueError("the queue was closed")
        await checkpoint()
        if self.store.away:
            self.store.refused += 1
            raise QueueUnavailableError("the engine cannot be reached")
        return self.store, self._instants()

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
    if updated.wait_s is not None and row.first_due_at is None:
        row.first_due_at = row.due_at
    row.ambiguous, row.finals_seen, row.due_at = updated.ambiguous, updated.finals_seen, updated.due_at
    row.wait_s = row.wait_s if updated.wait_s is None else updated.wait_s
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

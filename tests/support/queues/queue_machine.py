"""Any order of anything that several processes may do to one queue, against a plain model of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reaper.core.model import Decision, Lease, LeaseResult, Outcome, Release, Retry, Send, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.values import Batch, CancelResult, NewItem, PostponeResult
from tests.support.queues.harness import Harness, MemoryHarness, cancel_one, ended, postpone_one
from tests.support.queues.queue_model import Entry, Model

T = TypeVar("T")

LEASE_S = 10.0
NAMES = [f"s{number}" for number in range(6)]
name_lists = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)
names = st.sampled_from(NAMES)
delays = st.sampled_from([0.0, 3.0, 12.0])
answers: st.SearchStrategy[tuple[Decision, Send | None]] = st.sampled_from(
    [
        (Settle(Outcome.STOPPED), Send(1.0, 0.1, 204)),
        (Settle(Outcome.ALREADY_GONE), Send(1.0, 0.1, 410)),
        (Settle(Outcome.FORBIDDEN), Send(1.0, 0.1, 403)),
        (Settle(Outcome.EXHAUSTED), Send(1.0, 0.1, 502)),
        (Settle(Outcome.EXHAUSTED), None),
        (Settle(Outcome.PROTECTED), None),
        (Retry(0.0), Send(1.0, 0.1, 502)),
        (Retry(3.0, ambiguous=True), Send(1.0, 0.1, error="timeout")),
        (Release(0.0), Send(1.0, 0.1, 429)),
        (Release(0.0), None),
        (Release(3.0), None),
    ]
)


class QueueMachine(RuleBasedStateMachine):
    """Two processes at a time; one of them may die and another take its place."""

    def make(self) -> Harness:
        return MemoryHarness()

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.harness = self.make()
        self.model = Model()
        self.processes: list[Queue] = [self.do(self.harness.open()), self.do(self.harness.open())]
        self.leases: list[tuple[int, Lease]] = []
        self.generation = [0, 1]
        self.unburied: list[int] = []

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.do(self.harness.close())
            self.runner.close()

    def any_process(self) -> Queue:
        return self.processes[len(self.leases) % 2]

    @rule(ids=name_lists, after_s=delays, again=st.booleans())
    def add(self, ids: list[str], after_s: float, again: bool) -> None:
        due_at = self.harness.now() + after_s
        batch = Batch("any", [NewItem(SessionId(name), due_at) for name in ids])
        added = self.do(self.any_process().add(batch, again=again))
        taken = self.model.add(ids, due_at, again)
        assert (added.accepted, added.duplicate) == (taken, len(ids) - taken)

    @rule(which=st.integers(0, 1), most=st.integers(1, 4))
    def claim(self, which: int, most: int) -> None:
        now = self.harness.now()
        free = self.model.claimable(now)
        leases = self.do(self.processes[which].claim(most, lease_s=LEASE_S))
        assert len({lease.session_id for lease in leases}) == len(leases) == min(most, len(free))
        for lease in leases:
            self.check(lease, free[lease.session_id])
            self.model.claimed(lease, self.generation[which])
            self.leases.append((which, lease))
        # What was cancelled and is free is settled when a claim comes across it; let the model see which.
        self.see_cancelled()

    def check(self, lease: Lease, entry: Entry) -> None:
        assert (lease.round, lease.attempts, lease.sends) == (entry.round, entry.attempts, entry.sends + 1)
        assert (lease.unanswered, lease.ambiguous) == (entry.sends - entry.recorded, entry.ambiguous)
        assert lease.others_final == (entry.finals is not None and self.model.finals > entry.finals)

    def see_cancelled(self) -> None:
        for name, entry in self.model.entries.items():
            if entry.outcome is None and entry.cancelled and entry.free_from() <= self.harness.now():
                item = self.do(self.any_process().show(SessionId(name)))
                assert item is not None
                if item.outcome is not None:
                    self.model.end(name, Outcome.CANCELLED)

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(0, 1_000), answer=answers)
    def apply(self, which: int, answer: tuple[Decision, Send | None]) -> None:
        decision, send = answer
        process, lease = self.leases[which % len(self.leases)]
        done = self.do(ended(self.processes[process], lease, decision, send))
        assert done == self.model.apply(lease, decision, send is not None, self.harness.now())

    @precondition(lambda self: self.leases)
    @rule(which=st.lists(st.tuples(st.integers(0, 1_000), answers), min_size=2, max_size=8))
    def apply_together(self, which: list[tuple[int, tuple[Decision, Send | None]]]) -> None:
        process, _ = self.leases[which[0][0] % len(self.leases)]
        picked = {self.leases[number % len(self.leases)][1].receipt: (number, answer) for number, answer in which}
        chosen = [(self.leases[number % len(self.leases)][1], *answer) for number, answer in picked.values()]
        done = self.do(self.processes[process].apply([LeaseResult(*one) for one in chosen]))
        now = self.harness.now()
        assert done == [self.model.apply(lease, decision, send is not None, now) for lease, decision, send in chosen]

    @rule(seconds=st.sampled_from([1.0, 4.0, LEASE_S]))
    def time_passes(self, seconds: float) -> None:
        self.harness.advance(seconds)

    @rule(which=st.integers(0, 1))
    def die(self, which: int) -> None:
        self.do(self.harness.die(self.processes[which]))
        if "death" not in self.harness.cannot:
            self.unburied.append(self.generation[which])
        self.generation[which] = max(self.generation) + 1
        # The next process may free them when it opens, or leave that to `maintain`: so maintain at once.
        self.processes[which] = self.do(self.harness.open())
        self.maintain()

    @rule()
    def maintain(self) -> None:
        self.do(self.any_process().maintain(1e9))
        for holder in self.unburied:
            self.model.bury(holder)
        self.unburied.clear()
        self.model.end_cancelled(self.harness.now())

    @rule(name=names)
    def cancel(self, name: str) -> None:
        now = self.harness.now()
        entry = self.model.entries.get(name)
        result = self.do(cancel_one(self.any_process(), SessionId(name), reason="why", by="who"))
        if entry is None:
            assert result is CancelResult.UNKNOWN
        elif entry.outcome is not None or (entry.cancelled and entry.free_from() <= now):
            assert result is CancelResult.SETTLED
            if entry.outcome is None:
                self.model.end(name, Outcome.CANCELLED)
        elif entry.receipt is not None and entry.until > now:
            assert result is CancelResult.REQUESTED
            entry.cancelled = True
        else:
            assert result is CancelResult.DONE
            self.model.end(name, Outcome.CANCELLED)

    @rule(name=names, after_s=delays)
    def postpone(self, name: str, after_s: float) -> None:
        now = self.harness.now()
        entry = self.model.entries.get(name)
        result = self.do(postpone_one(self.any_process(), SessionId(name), after_s))
        if entry is None:
            assert result is PostponeResult.UNKNOWN
        elif entry.outcome is not None or (entry.cancelled and entry.free_from() <= now):
            assert result is PostponeResult.SETTLED
            if entry.outcome is None:
                self.model.end(name, Outcome.CANCELLED)
        elif entry.receipt is not None and entry.until > now:
            assert result is PostponeResult.IN_FLIGHT
        else:
            assert result is PostponeResult.DONE
            entry.receipt, entry.due_at = None, now + after_s

    @rule(retries=st.booleans())
    def make_due(self, retries: bool) -> None:
        now = self.harness.now()
        late = [
            entry
            for entry in self.model.entries.values()
            if entry.outcome is None and entry.receipt is None and entry.due_at > now and (retries or not entry.sends)
        ]
        assert self.do(self.any_process().make_due(retries=retries)) == len(late)
        for entry in late:
            entry.due_at = now

    @rule(ids=name_lists)
    def reopen(self, ids: list[str]) -> None:
        chosen = self.model.dead() & set(ids)
        asked = [SessionId(name) for name in ids]
        assert self.do(self.any_process().reopen(asked, reason="why", by="who")) == len(chosen)
        self.model.add(sorted(chosen), self.harness.now(), again=True)

    @rule(ids=name_lists)
    def purge(self, ids: list[str]) -> None:
        chosen = self.model.dead() & set(ids)
        assert self.do(self.any_process().purge([SessionId(name) for name in ids])) == len(chosen)
        for name in chosen:
            del self.model.entries[name]

    @rule()
    def prune(self) -> None:
        self.harness.advance(0.5)
        settled = {name for name, entry in self.model.entries.items() if entry.outcome is not None}
        self.do(self.any_process().maintain(0.25))
        for name in settled - self.model.dead():
            assert self.do(self.any_process().show(SessionId(name))) is None
            del self.model.entries[name]
        self.model.end_cancelled(self.harness.now())

    @invariant()
    def the_books_balance(self) -> None:
        if not hasattr(self, "runner"):
            return
        audit = self.do(self.any_process().audit())
        assert audit.balanced, [line for line in audit.lines if not line.balanced]
        now, entries = self.harness.now(), self.model.entries.values()
        stats = audit.stats
        assert (stats.accepted, stats.duplicate) == (self.model.accepted, self.model.duplicate)
        assert stats.settled == {outcome: self.model.ended[outcome] for outcome in Outcome}
        still_open = [entry for entry in entries if entry.outcome is None]
        assert stats.ready == sum(entry.free_from() <= now for entry in still_open)
        assert stats.in_flight == sum(entry.receipt is not None and entry.until > now for entry in still_open)
        assert stats.ready + stats.delayed + stats.in_flight == len(still_open)
        assert stats.dead == len(self.model.dead())

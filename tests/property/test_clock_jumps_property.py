"""Steps and jumps of the clock in any order: due now waits for none, no wait lies too far ahead, leases hold."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.core.model import Lease, LeaseResult, Release, Retry, SessionId, State
from reaper.queues.accounting import SLACK_S
from reaper.queues.base import Queue
from tests.support.queues.harness import LEASE_S, Harness, MemoryHarness, SqliteHarness, due, ids, names, sent

NAMES = ("a", "b", "c")
lengths = st.sampled_from([0.0, 30.0, 3600.0])
steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(NAMES), lengths),
    st.tuples(st.just("named"), st.sampled_from(NAMES), st.sampled_from([-50.0, 100.0, 5000.0])),
    st.tuples(st.just("claim"), st.just(""), st.just(0.0)),
    st.tuples(st.just("retry"), st.sampled_from(NAMES), lengths),
    st.tuples(st.just("release"), st.sampled_from(NAMES), st.just(0.0)),
    st.tuples(st.just("advance"), st.just(""), st.sampled_from([1.0, 29.0, LEASE_S, 4000.0])),
    st.tuples(st.just("jump"), st.just(""), st.sampled_from([-100_000.0, -3600.0, -61.0, -1.0, 1.0, 3600.0, 1e8])),
    st.tuples(st.just("maintain"), st.just(""), st.just(0.0)),
)


@dataclass
class Known:
    """What must hold of an ID: its wait's length (None: a time was named), and until when its lease lasts."""

    wait_s: float | None
    held_until: float | None = None

    @property
    def is_due_by_any_clock(self) -> bool:
        """Whether it is free and due now, or its lease is over."""
        return self.wait_s == 0 or self.held_until is not None


@dataclass
class World:
    """Two processes on one store; `monotonic` is the time that passed."""

    harness: Harness
    queue: Queue
    other: Queue
    monotonic: float = 0.0
    known: dict[str, Known] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)

    async def step(self, what: str, name: str, number: float) -> None:
        entry = self.known.get(name)
        match what:
            case "add" if entry is None:
                await self.queue.add(ids(name), default_after_s=number)
                self.known[name] = Known(number)
            case "named" if entry is None:
                await self.queue.add(due(**{name: self.harness.now() + number}))
                self.known[name] = Known(None)
            case "claim":
                await self.claim()
            case "retry" | "release" if name in self.leases:
                await self.apply(what, name, number)
            case "advance":
                self.harness.advance(number)
                self.monotonic += number
            case "jump" if 0 < self.harness.now() + number < 1e11:
                self.harness.jump(number)
            case "maintain":
                assert await self.queue.maintain(1e9) == 0
            case _:
                pass  # there is nothing to do it to

    async def claim(self) -> None:
        free = {name for name, one in self.known.items() if not _is_held(one, self.monotonic)}
        leases = await self.other.claim(9, lease_s=LEASE_S)
        claimed = set(names(leases))
        assert claimed <= free, "a living holder's lease was taken over"
        assert {name for name in free if self.known[name].is_due_by_any_clock} <= claimed
        for lease in leases:
            self.leases[lease.session_id] = lease
            self.known[lease.session_id].held_until = self.monotonic + LEASE_S

    async def apply(self, what: str, name: str, number: float) -> None:
        lease, entry = self.leases.pop(name), self.known[name]
        result = LeaseResult(lease, Release(0.0), None)
        if what == "retry":
            result, entry.wait_s = LeaseResult(lease, Retry(number), sent(502)), number
        assert await self.other.apply([result]) == [True]
        entry.held_until = None

    async def check(self, what: str) -> None:
        for name, one in self.known.items():
            found = await self.queue.show(SessionId(name))
            assert found is not None
            if _is_held(one, self.monotonic):
                assert found.state is State.IN_FLIGHT
            elif one.is_due_by_any_clock:
                assert found.state is State.READY
            elif one.wait_s is not None and found.state in (State.SCHEDULED, State.RETRYING):
                assert found.due_at - self.harness.now() <= one.wait_s + SLACK_S
        stats = await self.queue.stats()
        assert stats.oldest_due_s >= 0
        assert stats.ready + stats.delayed + stats.in_flight == len(self.known)
        next_at = await self.queue.next_at()
        assert (next_at is not None) == bool(self.known)
        if stats.ready and next_at is not None and what in ("claim", "maintain"):
            assert next_at <= self.harness.now()


async def play(harness: Harness, todo: list[tuple[str, str, float]]) -> None:
    world = World(harness, await harness.open(), await harness.open())
    for what, name, number in todo:
        await world.step(what, name, number)
        await world.check(what)
    assert (await world.queue.audit()).balanced


def _is_held(one: Known, monotonic: float) -> bool:
    return one.held_until is not None and monotonic < one.held_until


def run(make: Callable[[Path], Harness], todo: list[tuple[str, str, float]]) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as directory:
            harness = make(Path(directory))
            try:
                await play(harness, todo)
            finally:
                await harness.close()

    asyncio.run(main())


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=25))
def test_in_memory(todo: list[tuple[str, str, float]]) -> None:
    run(lambda _: MemoryHarness(), todo)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=25))
def test_on_a_ledger(todo: list[tuple[str, str, float]]) -> None:
    run(SqliteHarness, todo)

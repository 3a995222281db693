"""Several reapers behind any sequence of broken gateways: what is booked as gone was gone, and all ends.

The worker runs in virtual time over the queue in memory. Hypothesis chooses what breaks and when, how late the list
is, the limits, and whether a reaper is killed. Beside the end, each booking is checked against the allowance.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.core.gate import Gate
from reaper.core.model import Answered, PauseReason, Reply, SessionId
from reaper.worker.comparison import has_unproven
from reaper.worker.ports import IdleWait
from tests.support.gateway import NO_ROUTE, Gateway
from tests.support.queues.memory_store import Store
from tests.support.worker import BAD, RESET, World, world

PHASES = ("well", "deletes", "all", "half", "half of all", "list", "down", "flaky")


class Stage:
    """A gateway whose trouble changes with time, then ends for good."""

    def __init__(self, live: set[str], phases: list[tuple[str, float]], lag_s: float, seed: int) -> None:
        self.gateway = Gateway(live, list_lag_s=lag_s)
        self.phases, self.began, self.draw = phases, anyio.current_time(), random.Random(seed)

    @property
    def phase(self) -> str:
        left = anyio.current_time() - self.began
        for name, length_s in self.phases:
            left -= length_s
            if left < 0:
                return name
        return "well"

    async def stop(self, session_id: SessionId, nth: int) -> Reply:
        phase, unlucky = self.phase, self.draw.random() < 0.5
        if phase in ("deletes", "all") or (phase in ("half", "half of all") and unlucky):
            return NO_ROUTE
        if phase == "down":
            return BAD
        if phase == "flaky" and unlucky:
            return RESET
        return await self.gateway.stop(session_id, nth)

    def lists(self) -> Reply:
        phase, unlucky = self.phase, self.draw.random() < 0.5
        if phase == "all" or (phase == "half of all" and unlucky):
            return NO_ROUTE
        return Answered(503, b"", 0.0) if phase in ("list", "down") else self.gateway.lists()


def idle_of(w: Callable[[], World], over: Callable[[], bool]) -> IdleWait:
    async def idle(paused: bool) -> float | None:
        return None if over() and await w().queue.next_at() is None else 1.0

    return idle


async def play(live: int, gone: int, reapers: list[tuple[int, bool]], stage: Stage, killed_s: float | None) -> None:
    ended_at = anyio.current_time() + sum(length_s for _, length_s in stage.phases)
    worlds: list[World] = []

    def over() -> bool:
        return anyio.current_time() >= ended_at

    async def reaper_of(*, store: Store | None, bound: int, adaptive: bool) -> World:
        idle = idle_of(partial(worlds.__getitem__, len(worlds)), over)
        w = await world(live + gone, stage.stop, lists=stage.lists, bound=bound, store=store, idle=idle, gives_up=False)
        w.worker.gate.reconfigure(0.0, bound, w.worker.gate.rate, verify=True, adaptive=adaptive)
        return w

    for bound, adaptive in reapers:
        store = worlds[0].queue.store if worlds else None
        worlds.append(await reaper_of(store=store, bound=bound, adaptive=adaptive))
    with anyio.fail_after(20_000):
        async with anyio.create_task_group() as group:
            doomed = anyio.CancelScope()

            async def run(w: World, scope: anyio.CancelScope | None = None) -> None:
                with scope or anyio.CancelScope():
                    await w.worker.run()

            if killed_s is not None and len(worlds) > 1:
                doomed.deadline = anyio.current_time() + killed_s
                group.start_soon(run, worlds[-1], doomed)
            else:
                group.start_soon(run, worlds[-1])
            for w in worlds[:-1]:
                group.start_soon(run, w)
    queue = worlds[0].queue
    for w in worlds if killed_s is None else worlds[:-1]:
        pauses = {pause.reason for pause in w.worker.gate.pauses(w.worker.now())}
        assert pauses <= {PauseReason.WRONG_TARGET}, "with no session left to try, a pause waits for the next one"
        gate, later = w.worker.gate, w.worker.now() + 60.0
        gate.set_operator(None)  # as the supervisor would until then
        assert not pauses or gate.admit(later).allowed == 1 or gate.read_due() is not None
    left = await queue.next_at()  # the reaper that was killed had just re-opened it, and the others had ended
    if left is not None or await has_unproven(queue):  # the next one begins with a comparison
        worlds.append(await reaper_of(store=queue.store, bound=4, adaptive=False))
        worlds[-1].worker.gate.allowance.owe(worlds[-1].worker.now())
        await worlds[-1].worker.run()
    outcomes = {item.session_id: item.outcome async for item in queue.outcomes()}
    assert len(outcomes) == live + gone, "each ended"
    items = [await queue.show(SessionId(each)) for each in stage.gateway.live]
    gone_for_good = [item for item in items if item is not None and item.detail != "after_ambiguous"]
    assert gone_for_good == [], "no live session is booked as gone at the end, unless an earlier DELETE got no answer"
    assert max(item.round for item in [item async for item in queue.outcomes()]) <= 3
    assert (await queue.audit()).balanced


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_live_session_is_gone_at_the_end_whatever_broke(data: Any) -> None:
    phases = data.draw(st.lists(st.tuples(st.sampled_from(PHASES), st.sampled_from([0.3, 2.0, 8.0])), max_size=4))
    reapers = data.draw(st.lists(st.tuples(st.sampled_from([1, 4, 32]), st.booleans()), min_size=1, max_size=3))
    live, gone = data.draw(st.sampled_from([(1, 0), (3, 0), (40, 0), (40, 40), (3, 60)]))
    lag_s, seed = data.draw(st.sampled_from([0.0, 0.0, 5.0])), data.draw(st.integers(0, 1000))
    killed_s = data.draw(st.sampled_from([None, 0.4, 3.0, 15.0]))

    async def main() -> None:
        stage = Stage({f"s{number}" for number in range(live)}, phases, lag_s, seed)
        await play(live, gone, reapers, stage, killed_s)

    anyio.run(main, backend="trio", backend_options={"clock": autojump()})


def autojump() -> Any:
    from trio.testing import MockClock

    return MockClock(autojump_threshold=0)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["gone", "gone", "gone", "stopped", "begin", "succeed", "fail", "again"]), max_size=80
    )
)
def test_no_more_are_booked_between_two_proofs_than_the_allowance(steps: list[str]) -> None:
    gate = Gate(8)
    allowance = gate.allowance
    booked, since_read, reading, limit = 0, 0, False, 5
    for step in steps:
        match step:
            case "gone":
                allowance.count(0.0)
                since_read += reading
                if not allowance.is_exceeded:
                    booked += 1
                    assert booked <= limit
                assert reading or 2 * booked < limit or allowance.read_due() == float("-inf")
            case "stopped":
                allowance.prove()
                booked = since_read = 0
            case "begin" if not reading:
                allowance.begin_read()
                reading, since_read = True, 0
            case "succeed" if reading:
                grew = allowance.limit
                allowance.succeed()
                reading, limit = False, allowance.limit
                assert limit in (grew, min(500, 4 * grew))
                booked = min(booked, since_read)
            case "fail" if reading:
                allowance.fail()
                reading, limit = False, 5
                assert allowance.limit == 5
            case "again" if reading:
                allowance.abandon_read()
                reading = False
                assert allowance.read_due() == float("-inf")
            case _:
                pass
        limit = max(limit, allowance.limit) if booked > allowance.limit else allowance.limit

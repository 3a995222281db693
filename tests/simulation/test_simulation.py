"""A short simulation: some seeds, those that failed once, and the parts that judge it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import ClassVar

import pytest

from tests.support.simulation import command
from tests.support.simulation.books import Booked
from tests.support.simulation.loop import VirtualLoop
from tests.support.simulation.oracle import Oracle
from tests.support.simulation.plan import KINDS, Fault, Plan, PlannedSession, plan_of
from tests.support.simulation.rests import BEFORE_S, busy
from tests.support.simulation.runner import Interpreter, kind_of, shrink
from tests.support.simulation.simulated import Result, Total
from tests.support.simulation.virtual_time import CLOCK

SEEDS = range(1, 6)


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Interpreter]:
    """Run plans in one interpreter, because its imports take longer than such a short plan."""
    with Interpreter() as started:
        yield started


@pytest.mark.parametrize("seed", SEEDS)
def test_the_invariants_hold(seed: int, interpreter: Interpreter) -> None:
    result = interpreter.run(plan_of(seed, 0.2))
    assert result.broken == []
    assert result.reaper_hours > 0


@pytest.mark.parametrize("name", command.kept_plans())
def test_a_plan_that_failed_once_holds(name: str, interpreter: Interpreter) -> None:
    assert interpreter.run(command.kept_plans()[name]).broken == []


@pytest.mark.parametrize("engine", ["memory", "ledger"])
def test_the_same_plan_gives_the_same_history(engine: str, interpreter: Interpreter) -> None:
    plan = replace(plan_of(11, 0.1), engine=engine)
    first, second = interpreter.run(plan), interpreter.run(plan)
    with Interpreter() as another:
        assert first.digest == second.digest == another.run(plan).digest != ""
    assert interpreter.run(replace(plan, seed=12)).digest != first.digest


def test_a_plan_survives_its_file() -> None:
    plan = plan_of(3)
    assert Plan.from_json(plan.to_json()) == plan
    assert {fault.kind for seed in range(60) for fault in plan_of(seed, 0.2).faults} == set(KINDS)


def test_a_plan_that_spins_or_fails_says_so(interpreter: Interpreter) -> None:
    with Interpreter(limit_s=1) as impatient:
        assert impatient.run(plan_of(1, 200)).broken == ["it did not end within 1 s of real time"]
    without_reapers = replace(plan_of(1, 0.01, ["suspend"]), reapers=0)
    assert "ZeroDivisionError" in interpreter.run(without_reapers).broken[0]
    assert interpreter.run(plan_of(1, 0.01, [])).broken == []


def test_no_task_rests_long_where_something_happens() -> None:
    for seed in range(30):
        plan = plan_of(seed, 2)
        spans = busy(plan)
        assert all(first[1] + BEFORE_S < second[0] for first, second in pairwise(spans))
        assert sum(end_s - begin_s for begin_s, end_s in spans) < plan.hours * 3600 / 2
        for at_s in (*(fault.at_s for fault in plan.faults), *plan.bursts_s):
            assert any(begin_s <= max(0.0, at_s - BEFORE_S) and at_s < end_s for begin_s, end_s in spans)


def broken(result: dict[str, Booked], *sessions: PlannedSession, **more: object) -> list[str]:
    """Return what the oracle says of books that never were."""
    from tests.support.simulation.api_model import ApiModel, Hosted, Told
    from tests.support.simulation.history import History

    class World:
        plan = replace(plan_of(1, 0.2, []), sessions=sessions, discovers=True, max_per_sweep=1)
        wrong_clock_s = 0.0

        def __init__(self) -> None:
            self.broken: list[str] = []
            self.history = History()
            self.taken = {one.session_id for one in sessions}
            self.asked = {one.session_id: one.asked_s for one in sessions}
            self.cancelled: dict[str, float] = {}
            self.cancel_asked: set[str] = set()
            self.approved: set[str] = set()
            self.api = ApiModel(Random(1), self.history, lambda kind: None, lambda kind: None)
            self.api.sessions = {one.session_id: Hosted(one) for one in sessions}
            for told in more.get("told", ()):  # type: ignore[attr-defined]
                self.api.note(Told(*told))
            network = {"sent": more.get("sent", []), "checked": [], "busiest": more.get("busiest", {}), "stopped": {}}
            self.network = type("Network", (), network)()

        def breaks(self, sentence: str) -> None:
            self.broken.append(sentence)

        def overlapping(self, *_: object) -> list[Fault]:
            return []

    world = World()
    oracle = Oracle(world)  # type: ignore[arg-type]
    oracle.look([])
    oracle.judge_books(result, 5000.0)
    return world.broken


OWN = PlannedSession("env_1", "add", 10.0)
STOPPED = ("reaper0.0", 204, True, "", "own")


def booked(outcome: str, **more: object) -> dict[str, Booked]:
    return {"env_1": replace(Booked("env_1", outcome, "", 1, 1, 10.0), **more)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("books", "told", "says"),
    [
        ({}, (), "is in no book"),
        (booked("", due_s=100.0), (), "is not settled"),
        (booked("stopped"), (), "no answer ever said so"),
        (booked("already_gone"), [(20.0, "env_1", "reaper0.0", 404, False, "gateway_404", "own")], "it is alive"),
        (booked("exhausted"), (), "sends were charged to it"),
        (booked("protected"), (), "nothing protects it"),
        (booked("cancelled"), (), "nobody cancelled it"),
        (booked("stopped"), [(5.0, "env_1", *STOPPED)], "before anybody asked for it"),
        (booked("stopped"), [(20.0, "env_1", "reaper0.0", 204, True, "", "other")], "the token of another account"),
        (booked("stopped"), [(20.0, "env_2", "reaper0.0", 404, False, "", "own")], "which nobody ever named"),
    ],
)
def test_the_oracle_sees_what_is_not_so(books: dict[str, Booked], told: list[tuple[object, ...]], says: str) -> None:
    assert any(says in sentence for sentence in broken(books, OWN, told=told)), broken(books, OWN, told=told)


def test_the_oracle_sees_a_bound_that_is_exceeded() -> None:
    later = replace(OWN, due_after_s=8990.0)
    assert "its bound is" in broken(booked("", due_s=9000.0, sends=0), later, busiest={"reaper0.0": 1000})[0]
    assert broken(booked("", due_s=9000.0, sends=0), later) == []


def test_the_oracle_sees_a_401_that_is_charged() -> None:
    sent = [(20.0, "reaper0.0", "env_1"), (60.0, "reaper0.0", "env_1")]
    told = [(20.1, "env_1", "reaper0.0", 401, False, "token", ""), (60.1, "env_1", *STOPPED)]
    ended = replace(OWN, ends_s=70.0)
    late = [(25.1, *told[0][1:]), told[1]]
    for attempts, answers, count in ((1, told, 0), (2, told, 1), (2, told[1:], 0), (2, late, 0)):
        books = booked("stopped", sends=2, attempts=attempts)
        found = broken(books, ended, told=answers, sent=sent)
        assert len([one for one in found if "the first was answered by 401" in one]) == count


@pytest.mark.parametrize(("queued", "says"), [(2, "its guard allows 1"), (1, "the guard holds all"), (0, "")])
def test_the_oracle_sees_a_sweep_that_its_guard_should_have_held(queued: int, says: str) -> None:
    over = [PlannedSession(f"env_{n}", "list", 10.0, expires_s=20.0) for n in range(2)]
    row = replace(booked("already_gone")["env_1"], source="discovery:expired", added_s=500.0, detail="after_ambiguous")
    books = {one.session_id: replace(row, session_id=one.session_id) for one in over[:queued]}
    told = [(600.0, one.session_id, "reaper0.0", 404, False, "", "own") for one in over]
    found = [sentence for sentence in broken(books, *over, told=told) if "no book" not in sentence]
    assert len(found) == bool(says)
    assert all(says in sentence for sentence in found)


def test_the_oracle_sees_a_send_after_a_cancellation() -> None:
    class World:
        plan = plan_of(1, 0.2, [])
        network = type("Network", (), {"stopped": {}})()
        api = type("Api", (), {"has_read": {"reaper0.0"}, "sessions": {}})()
        paused_s = None
        sends_left: ClassVar = {"env_1": 1}
        broken: ClassVar[list[str]] = []

        def breaks(self, sentence: str) -> None:
            self.broken.append(sentence)

    process = type("Process", (), {"name": "reaper0.0", "was_stopped": False})()
    World.network.on_delete = None
    Oracle(World())  # type: ignore[arg-type]
    for session_id in ("env_2", "env_1"):
        World.network.on_delete(process, session_id)
    assert World.broken == []
    World.network.on_delete(process, "env_1")
    assert World.broken == ["reaper0.0 sends a DELETE of env_1 again, which was cancelled"]


def test_timers_of_one_instant_run_in_order_and_cancelled_ones_never() -> None:
    loop, ran = VirtualLoop(), list[int]()
    began_s = CLOCK.elapsed_s
    try:
        timers = [loop.call_later(5.0, ran.append, n) for n in range(300)]
        for timer in timers[1::2]:
            timer.cancel()
        loop.call_later(9.0, loop.stop)
        loop.run_forever()
        assert ran == list(range(0, 300, 2))
        assert CLOCK.elapsed_s - began_s == pytest.approx(9.0)
    finally:
        CLOCK.elapsed_s = began_s
        loop.close()


def test_a_failing_plan_is_made_smaller() -> None:
    plan = replace(plan_of(5, 0.2), faults=tuple(Fault(kind, 1.0, 1.0) for kind in KINDS))
    culprits = {"kill", "throttle"}

    def fails(tried: Plan) -> Result:
        is_broken = culprits <= {fault.kind for fault in tried.faults} and len(tried.sessions) >= 2
        return Result(tried.seed, ["12.5 s: env_5-3 is lost"] if is_broken else [])

    smaller = shrink(plan, fails(plan), 1, fails)
    assert {fault.kind for fault in smaller.faults} == culprits
    assert len(smaller.sessions) == 2
    assert kind_of("12.5 s: env_5-3 is lost") == kind_of("99.1 s: env_7-1 is lost")


def test_the_report_counts_pairs() -> None:
    total = Total()
    total.add(Result(1, [], injected={"kill": 2, "throttle": 1}, reaper_hours=1.5))
    total.add(Result(2, ["1.0 s: something"], injected={"kill": 1}))
    assert (total.seeds, total.broken, total.pairs) == (2, [2], {("kill", "throttle"): 1})
    assert "broken           1: seeds [2]" in list(total.lines())


def test_the_command_reports_and_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--seeds", "1", "--hours", "0.1", "--faults", "kill"]) == 0
    assert "broken           0" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["--faults", "nonsense"])
    assert "no such faults: nonsense; there are bad_gateway" in capsys.readouterr().err


def test_the_first_interrupt_ends_it_with_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_some(plans: Iterator[Plan], jobs: int, run: object, go_on: Callable[[], bool]) -> Iterator[object]:
        for number, plan in enumerate(plans):
            if not go_on():
                return
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            yield plan, Result(plan.seed, [])

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(command, "run_all", run_some)
    assert command.main(["--seeds", "100"]) == 0
    told = capsys.readouterr()
    assert "begins no other seed" in told.err
    assert re.search("seeds +3", told.out)
    assert signal.getsignal(signal.SIGINT) == before

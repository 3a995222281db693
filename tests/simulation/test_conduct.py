"""The oracle's rules of how a process behaves, on worlds that never were: each breaks where it should, only there."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.support.simulation.api_model import ApiModel, Hosted, Told
from tests.support.simulation.belief import Belief
from tests.support.simulation.books import Booked
from tests.support.simulation.conduct import Conduct
from tests.support.simulation.history import History
from tests.support.simulation.loop import Process, VirtualLoop
from tests.support.simulation.plan import Fault, PlannedSession, plan_of
from tests.support.simulation.virtual_time import CLOCK, Host

OWN = PlannedSession("env_1", "add", 10.0)
ROW = Booked("env_1", "cancelled", "", 1, 1, 10.0)


class Network:
    """What the rules ask of the network."""

    def __init__(self) -> None:
        self.on_given_up: Any = None
        self.on_late: Any = None
        self.stopped: dict[str, tuple[Process, float]] = {}


class World:
    """What the rules ask of the world: one session, one process, and the faults of a plan."""

    def __init__(self, *faults: Fault) -> None:
        self.plan = replace(plan_of(1, 0.2, []), engine="memory", faults=faults)
        self.network = Network()
        self.api = ApiModel(Random(1), History(), lambda kind: None, lambda kind: None)
        self.api.sessions = {"env_1": Hosted(OWN)}
        self.api.has_read = {"reaper0.0"}
        self.paused_s: float | None = None
        self.asked_again: set[str] = set()
        self.broken: list[str] = []

    def overlapping(self, kinds: frozenset[str], from_s: float, to_s: float) -> list[Fault]:
        return [one for one in self.plan.faults if one.kind in kinds and one.at_s <= to_s and from_s <= one.end_s]

    def breaks(self, sentence: str) -> None:
        self.broken.append(sentence)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setattr(CLOCK, "elapsed_s", 500.0)
    loop = VirtualLoop()
    try:
        return Process("reaper0.0", Host("host0"), loop)
    finally:
        loop.close()


def conduct_of(world: World) -> Conduct:
    return Conduct(world)  # type: ignore[arg-type]


def test_nothing_is_sent_before_the_list_was_read(process: Process) -> None:
    world = World()
    conduct_of(world).judge_send(process, "env_1")
    assert world.broken == []
    world.api.has_read.clear()
    conduct_of(world).judge_send(process, "env_1")
    assert world.broken == ["reaper0.0 sends a DELETE before it has read the list of the API"]


@pytest.mark.parametrize(
    ("paused_s", "faults", "is_broken"),
    [
        (430.0, (), True),
        (450.0, (), False),
        (None, (), False),
        (400.0, (Fault("queue_away", 420.0, 30.0),), False),
        (300.0, (Fault("queue_away", 320.0, 30.0),), True),
    ],
)
def test_an_operators_pause_is_kept(
    process: Process, paused_s: float | None, faults: tuple[Fault, ...], is_broken: bool
) -> None:
    world = World(*faults)
    world.paused_s = paused_s
    conduct_of(world).judge_send(process, "env_1")
    assert [line for line in world.broken if "in an operator's pause" in line] == world.broken
    assert bool(world.broken) is is_broken


@pytest.mark.parametrize(
    ("faults", "ended_s", "was_stopped", "is_broken"),
    [
        ((), None, False, True),
        ((Fault("queue_away", 401.0, 10.0),), None, False, True),
        ((Fault("queue_away", 401.0, 40.0),), None, False, False),
        ((), 410.0, False, False),
        ((), 440.0, False, True),
        ((), None, True, False),
    ],
)
def test_what_a_living_process_read_is_recorded(
    process: Process, faults: tuple[Fault, ...], ended_s: float | None, was_stopped: bool, is_broken: bool
) -> None:
    world = World(*faults)
    process.ended_s, process.was_stopped = ended_s, was_stopped
    world.network.stopped["env_1"] = process, 400.0
    conduct = conduct_of(world)
    assert bool(conduct.miscancelled(ROW, 500.0)) is is_broken
    assert conduct.miscancelled(replace(ROW, round=2), 500.0) == ""
    conduct.judge_send(process, "env_1")
    assert bool(world.broken) is is_broken
    world.asked_again.add("env_1")
    assert conduct.miscancelled(ROW, 500.0) == ""


def test_after_one_sigterm_nothing_in_flight_is_given_up(process: Process) -> None:
    world = World(Fault("slow", 100.0, 10.0))
    conduct_of(world)
    world.network.on_given_up(process, "env_1", 1.0)
    assert world.broken == []  # nobody asked it to end
    process.ends()
    world.network.on_given_up(process, "env_1", 1.0)
    assert world.broken == ["reaper0.0 drains, and gives up a DELETE of env_1 after 1.0 s"]
    CLOCK.elapsed_s += 0.5
    process.ends()
    assert not process.is_hurried
    CLOCK.elapsed_s += 0.6
    process.ends()
    world.network.on_given_up(process, "env_1", 1.0)
    assert len(world.broken) == 1  # it was asked twice


def test_a_send_that_can_have_met_its_deadline_is_excused(process: Process) -> None:
    world = World(Fault("drip", 490.0, 5.0))
    conduct_of(world)
    process.ends()
    world.network.on_given_up(process, "env_1", 1.0)
    assert world.broken == []
    world = World()
    conduct_of(world)
    world.network.on_given_up(process, "env_1", 2.5)
    assert world.broken == []


def test_no_answer_is_waited_for_longer_than_the_deadline(process: Process) -> None:
    world = World()
    conduct_of(world)
    world.network.on_late(process, "env_1", 5.04)
    assert world.broken == []
    world.network.on_late(process, "env_1", 5.1)
    assert world.broken == ["reaper0.0 waited 5.10 s for the answer to a DELETE of env_1"]
    process.was_stopped = True
    world.network.on_late(process, "env_1", 50.0)
    assert len(world.broken) == 1


def test_a_page_in_html_is_never_believed() -> None:
    world = World()
    belief = Belief(world)  # type: ignore[arg-type]
    for fault, count in (("gateway_404", 0), ("gateway_html", 1)):
        world.api.note(Told(20.0, "env_1", "reaper0.0", 404, False, fault, "own"))
        belief.gone("reaper0.0", "env_1")
        assert len(world.broken) == count


@pytest.mark.parametrize(("attempts", "is_fault"), [(6, False), (7, True)])
def test_an_outage_is_charged_to_no_id_beyond_its_first_failures(attempts: int, is_fault: bool) -> None:
    world = World(Fault("unavailable", 10.0, 100.0))
    for n in range(12):
        world.api.note(Told(20.0 + n, "env_1", "reaper0.0", 503, False, "unavailable", "own"))
    row = replace(ROW, outcome="", attempts=attempts)
    assert bool(Belief(world).outage_charged(row, 13)) is is_fault  # type: ignore[arg-type]


@pytest.mark.parametrize(("between", "is_fault"), [(503, False), (204, True)])
def test_after_an_outage_the_next_one_takes_more_failures_until_a_final_answer(between: int, is_fault: bool) -> None:
    world = World(Fault("refused", 10.0, 5.0), Fault("unavailable", 50.0, 100.0))
    world.api.note(Told(30.0, "env_2", "reaper0.0", between, False, "", "own"))
    for n in range(12):
        world.api.note(Told(60.0 + n, "env_1", "reaper0.0", 503, False, "unavailable", "own"))
    row = replace(ROW, outcome="", attempts=12)
    assert bool(Belief(world).outage_charged(row, 12)) is is_fault  # type: ignore[arg-type]

"""The gate and its target: a change of it, reads asked before, and what another host did."""

import pytest

from reaper.core.admission import Admission
from reaper.core.classify import (
    Proven,
    ReadVerdict,
    ServerFault,
    Throttled,
    Unauthorized,
)
from reaper.core.model import PauseReason, SessionId
from tests.support.gate import (
    FORBIDDEN,
    held,
    proven,
    send,
)


def test_a_change_of_target_asks_at_once_and_stops_all_starts() -> None:
    gate = proven()
    assert gate.start(1.0)
    gate.target_changed(100.0, 1)
    assert gate.read_due() == 100.0
    assert gate.admit(100.0) == Admission(0, "identity", None)
    gate.observe_read(100.5, Proven(1), jitter=0.0)
    assert gate.admit(100.5) == Admission(31)


@pytest.mark.parametrize("late", [Proven(0), Unauthorized(0)])
def test_a_read_asked_before_a_rotation_says_nothing_of_the_new_token(late: ReadVerdict) -> None:
    gate = proven()
    gate.target_changed(100.0, 1)
    gate.observe_read(100.2, late, jitter=0.0)
    assert (gate.proven, gate.read_due(), gate.pauses(100.2)) == (False, 100.0, ())


def test_the_silence_of_another_host_does_not_hold_for_this_one() -> None:
    gate = proven()
    send(gate, 0.0, Throttled(600.0))
    assert gate.admit(1.0).why == PauseReason.THROTTLED
    gate.target_changed(1.0, 1, moved=("http://a", "http://b"))
    assert (gate.admit(1.0).allowed, gate.read_due()) == (0, 1.0)
    gate.observe_read(1.0, Proven(1), jitter=0.0)
    assert gate.admit(1.0).allowed == 32
    gate = proven()
    send(gate, 0.0, Throttled(600.0))
    gate.target_changed(1.0, 1)
    gate.observe_read(1.0, Proven(1), jitter=0.0)
    assert gate.admit(1.0).why == PauseReason.THROTTLED, "another token at the same host is asked for the same silence"


def test_who_goes_back_to_a_host_keeps_its_silence() -> None:
    gate = proven()
    send(gate, 0.0, Throttled(600.0))
    for number, (before, after) in enumerate(
        [("http://a", "http://b"), ("http://b", "http://a"), ("http://a",) * 2], 1
    ):
        gate.target_changed(1.0, number, moved=(before, after))
        gate.observe_read(1.0, Proven(number), jitter=0.0)
        assert (gate.admit(1.0).why == PauseReason.THROTTLED) == (after == "http://a")
    assert gate.admit(599.0).why == PauseReason.THROTTLED
    assert gate.admit(660.0).allowed == 32


def test_a_late_429_asks_for_silence_at_the_host_that_it_came_from() -> None:
    gate = proven()
    assert gate.start(0.0)
    former = gate.throttle
    gate.target_changed(1.0, 1, moved=("http://a", "http://b"))
    gate.observe_read(1.0, Throttled(600.0), jitter=0.0, throttle=former)
    gate.observe(2.0, SessionId("s1"), Throttled(600.0), began=0.0, jitter=0.0, throttle=former)
    gate.observe_read(2.0, Proven(1), jitter=0.0)
    assert gate.admit(2.0).allowed == 32
    gate.target_changed(3.0, 2, moved=("http://b", "http://a"))
    gate.observe_read(3.0, Proven(2), jitter=0.0)
    assert gate.admit(3.0).why == PauseReason.THROTTLED
    assert gate.admit(700.0).allowed == 32


def test_failures_of_another_host_do_not_count() -> None:
    gate = proven()
    for kind, most in ((ServerFault(502), 5), (FORBIDDEN, 20)):
        for generation in (gate.generation + 1, gate.generation + 2):
            for _ in range(most - 1):
                send(gate, 0.0, kind)
            assert held(gate, 0.0) == set()
            gate.target_changed(0.0, generation, moved=("http://a", "http://b"))
            gate.observe_read(0.0, Proven(generation), jitter=0.0)

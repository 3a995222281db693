"""The throttle: nothing goes to the host before the end of the silence that it asked for."""

import pytest

from reaper.core.admission import Admission
from reaper.core.classify import (
    Proven,
    Throttled,
    Unauthorized,
)
from tests.support.gate import (
    STOPPED,
    THROTTLED,
    answer_late,
    held,
    proven,
    send,
    storm,
)


@pytest.mark.parametrize(
    ("after_s", "jitter", "wait_s"),
    [
        (0.0, 0.0, 1.0),
        (0.2, 1.0, 1.1),
        (30.0, 0.0, 30.0),
        (30.0, 0.5, 31.5),
        (30.0, 1.0, 33.0),
        (900.0, 1.0, 990.0),
        (86_400.0, 0.0, 900.0),
        (None, 0.0, 1.0),
    ],
)
def test_a_429_stops_everything_for_its_delay_plus_jitter(after_s: float | None, jitter: float, wait_s: float) -> None:
    gate = proven()
    send(gate, 10.0, Throttled(after_s), jitter=jitter)
    until = gate.admit(10.0).until
    assert until is not None
    assert until == pytest.approx(10.0 + wait_s)
    assert gate.admit(until - 0.001) == Admission(0, THROTTLED, until)
    assert not gate.start(until - 0.001)
    (pause,) = gate.pauses(10.0)
    assert (pause.reason, pause.since, pause.until) == (THROTTLED, 10.0, until)
    assert gate.admit(until) == Admission(32)
    assert gate.pauses(until) == ()


def test_a_later_429_extends_a_throttle_and_never_shortens_it() -> None:
    gate = proven()
    for _ in range(3):
        assert gate.start(0.0)
    answer_late(gate, 0.0, Throttled(30.0))
    answer_late(gate, 5.0, Throttled(2.0))
    assert gate.admit(5.0).until == 30.0
    answer_late(gate, 20.0, Throttled(30.0))
    assert gate.admit(30.0) == Admission(0, THROTTLED, 50.0)
    assert [pause.since for pause in gate.pauses(30.0)] == [0.0]


def test_429s_without_a_delay_double_it_until_a_final_answer() -> None:
    gate, now, waits = proven(), 0.0, []
    for _ in range(8):
        send(gate, now, Throttled(None))
        until = gate.admit(now).until
        assert until is not None
        waits.append(until - now)
        now = until
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    send(gate, now, STOPPED)
    send(gate, now, Throttled(None))
    assert gate.admit(now).until == now + 1.0


def test_no_read_is_made_during_a_throttle() -> None:
    gate = proven()
    assert gate.start(0.0)
    assert gate.start(0.0)
    answer_late(gate, 0.0, Throttled(30.0), Unauthorized(0))
    assert gate.read_due() == 30.0
    gate.observe_read(30.0, Unauthorized(0), jitter=0.0)
    assert gate.read_due() == 35.0


def test_a_429_to_a_probe_is_an_answer_of_another_kind() -> None:
    gate = proven()
    storm(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    send(gate, 1.0, Throttled(2.0))
    assert held(gate, 1.0) == {THROTTLED}
    assert gate.admit(3.0) == Admission(32)

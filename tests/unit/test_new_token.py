"""A refused token and the next one: late answers, what ends with the new token, and what does not."""

from reaper.core.admission import Admission
from reaper.core.classify import Proven, Unauthorized, classify, classify_read
from reaper.core.gate import Gate
from reaper.core.model import Failed, Fault
from reaper.core.pauses import read_refusal
from tests.support.gate import (
    REFUSED,
    STOPPED,
    WRONG,
    answer_late,
    break_down,
    held,
    lose_the_target,
    proven,
    refuse,
    send,
)


def test_a_late_401_from_before_a_rotation_does_not_count() -> None:
    gate = proven()
    assert gate.start(0.0)
    assert gate.start(0.0)
    gate.target_changed(1.0, 1)
    gate.observe_read(1.0, Proven(1), jitter=0.0)
    answer_late(gate, 1.5, Unauthorized(0))
    assert (gate.pauses(1.5), gate.in_flight, gate.admit(1.5)) == ((), 1, Admission(31))
    answer_late(gate, 1.6, Unauthorized(1))
    assert held(gate, 1.6) == {REFUSED}


def test_a_late_401_does_not_end_the_probing_of_another_pause() -> None:
    gate = proven(generation=1)
    assert gate.start(0.0)
    lose_the_target(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    answer_late(gate, 1.0, Unauthorized(0))
    assert held(gate, 1.0) == {WRONG}


def test_a_missing_token_pauses_but_ends_no_other_pause() -> None:
    gate = proven()
    lose_the_target(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    send(gate, 1.0, Unauthorized(None))
    assert held(gate, 1.0) == {WRONG, REFUSED}
    assert next(p.detail for p in gate.pauses(1.0) if p.reason is REFUSED) == "there is no token to send"


def test_the_pause_says_why_there_is_no_token() -> None:
    """An empty file, a pipe and missing rights are mended in different ways."""
    missing = Failed(Fault.NO_TOKEN, False, "the token file /run/token is empty", 0.0)
    gate = proven()
    send(gate, 1.0, classify(missing))
    assert [(p.reason, p.detail) for p in gate.pauses(1.0)] == [(REFUSED, missing.error)]
    read = classify_read(missing)
    assert isinstance(read, Unauthorized)
    assert read_refusal(read) == (REFUSED, missing.error)


def test_a_new_token_is_read_and_probed_at_once() -> None:
    gate = proven()
    refuse(gate)
    gate.observe_read(5.0, Unauthorized(0), jitter=0.0)
    assert gate.read_due() == 10.0
    gate.target_changed(6.0, 1)
    assert gate.read_due() == 6.0
    gate.observe_read(6.0, Proven(1), jitter=0.0)
    send(gate, 6.0, STOPPED)
    assert gate.admit(6.0) == Admission(32)


def test_a_new_token_ends_the_long_gaps_of_probes() -> None:
    gate = proven()
    refuse(gate)
    gate.observe_read(5.0, Proven(), jitter=0.0)
    for now in (5.0, 6.0, 8.0, 12.0):
        send(gate, now, Unauthorized(0))
    assert gate.admit(13.0) == Admission(0, REFUSED, 20.0)
    gate.target_changed(13.0, 1)
    assert gate.admit(13.0) == Admission(0, REFUSED, None)
    gate.observe_read(13.0, Proven(1), jitter=0.0)
    assert gate.admit(13.0) == Admission(1)


def test_without_reads_a_new_token_is_probed_at_once() -> None:
    gate = Gate(32, verify=False)
    refuse(gate)
    for now in (1.0, 2.0, 4.0):
        send(gate, now, Unauthorized(0))
    gate.target_changed(5.0, 1)
    assert (gate.read_due(), gate.admit(5.0)) == (None, Admission(1))
    send(gate, 5.0, Unauthorized(1))
    assert gate.admit(5.0) == Admission(0, REFUSED, 6.0)


def test_a_refused_token_is_an_answer_that_ends_another_pause() -> None:
    gate = proven(verify=False)
    break_down(gate)
    send(gate, 1.0, Unauthorized(0))
    assert held(gate, 1.0) == {REFUSED}

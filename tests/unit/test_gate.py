"""The gate: identity first, the breaker, the operator's pause, bound, rate and new settings."""

import pytest

from reaper.core.admission import Admission
from reaper.core.classify import (
    Broken,
    Foreign,
    Proven,
    ReadVerdict,
    ServerFault,
    Throttled,
    Unauthorized,
    Unsent,
    Verdict,
)
from reaper.core.gate import Gate
from reaper.core.model import Fault, PauseReason
from reaper.core.rate_limit import RateLimit
from reaper.core.target import CHECK_ADDRESS
from tests.support.gate import (
    DOWN,
    FORBIDDEN,
    OPERATOR,
    REFUSED,
    STOPPED,
    SWITCH,
    THROTTLED,
    WRONG,
    answer_late,
    break_down,
    held,
    proven,
    refuse,
    send,
)


def test_nothing_starts_before_the_read_succeeds() -> None:
    gate = Gate(32)
    assert gate.admit(0.0) == Admission(0, "identity", None)
    assert not gate.start(0.0)
    assert (gate.in_flight, gate.proven) == (0, False)
    due = gate.read_due()
    assert due is not None
    assert due <= 0.0
    gate.observe_read(0.0, Proven(0), jitter=0.0)
    assert gate.admit(0.0) == Admission(32)
    assert (gate.proven, gate.read_due(), gate.pauses(0.0)) == (True, None, ())


@pytest.mark.parametrize(
    ("verdict", "reason", "gaps", "after"),
    [
        (ServerFault(502), DOWN, [1, 2, 4, 5, 5], 4),
        (Broken(Fault.TIMEOUT), DOWN, [1, 2, 4, 5, 5], 4),
        (Unsent(Fault.DNS), DOWN, [1, 2, 4, 5, 5], 4),
        (Foreign(404), WRONG, [1, 2, 4, 5, 5], 1),
        (Unauthorized(0), REFUSED, [5, 5, 5], 1),
        (Unauthorized(None), REFUSED, [5, 5, 5], 1),
    ],
)
def test_a_failed_identity_read_pauses_and_is_repeated(
    verdict: ReadVerdict, reason: PauseReason, gaps: list[int], after: int
) -> None:
    gate, now = Gate(32), 0.0
    for gap_s in gaps:
        gate.observe_read(now, verdict, jitter=0.0)
        assert gate.read_due() == now + gap_s
        assert held(gate, now) == {reason}
        assert gate.admit(now) == Admission(0, reason, None)
        now += gap_s
    gate.observe_read(now, Proven(), jitter=0.0)
    assert gate.admit(now) == Admission(after)


def test_a_throttled_read_waits_for_the_throttle() -> None:
    gate = Gate(32)
    gate.observe_read(0.0, Throttled(30.0), jitter=0.0)
    assert gate.admit(0.0) == Admission(0, THROTTLED, 30.0)
    assert gate.read_due() == 30.0
    assert gate.admit(30.0) == Admission(0, "identity", None)
    gate.observe_read(30.0, Proven(), jitter=0.0)
    assert gate.admit(30.0) == Admission(32)


@pytest.mark.parametrize("verdict", [ServerFault(503), ServerFault(408), Broken(Fault.RESET), Unsent(Fault.CONNECT)])
def test_five_failures_with_no_final_answer_between_open_the_breaker(verdict: Verdict) -> None:
    gate = proven()
    for _ in range(4):
        send(gate, 0.0, verdict)
    send(gate, 0.0, FORBIDDEN)
    for _ in range(4):
        send(gate, 7.0, verdict)
    send(gate, 7.0, Foreign(302))
    assert gate.pauses(7.0) == ()
    send(gate, 7.0, verdict)
    assert held(gate, 7.0) == {DOWN}
    assert gate.admit(7.0) == Admission(0, DOWN, None)
    assert not gate.start(7.0)
    assert gate.read_due() == 8.0


@pytest.mark.parametrize(("bound", "eighth"), [(64, 8), (32, 4), (9, 1), (1, 1)])
def test_after_an_outage_an_eighth_is_admitted_until_the_first_final_answer(bound: int, eighth: int) -> None:
    gate = proven(bound)
    break_down(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    assert gate.pauses(1.0) == ()
    assert (gate.limit, gate.admit(1.0)) == (eighth, Admission(eighth))
    for _ in range(eighth):
        assert gate.start(1.0)
    assert gate.admit(1.0) == Admission(0, "in_flight", None)
    answer_late(gate, 2.0, *[FORBIDDEN] * eighth)
    assert (gate.limit, gate.admit(2.0)) == (bound, Admission(bound))


def test_while_recovering_only_twenty_more_failures_ask_again() -> None:
    gate = proven()
    break_down(gate)
    for cycle in (1.0, 100.0):
        gate.observe_read(cycle, Proven(), jitter=0.0)
        for _ in range(19):
            send(gate, cycle, ServerFault(502))
        assert (gate.pauses(cycle), gate.limit) == ((), 4)
        send(gate, cycle, ServerFault(502))
        assert held(gate, cycle) == {DOWN}
        assert gate.limit == 32, "nothing recovers any more"
        assert gate.read_due() == cycle + 1.0


def test_after_recovery_the_breaker_is_back_at_five() -> None:
    gate = proven()
    break_down(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    send(gate, 1.0, STOPPED)
    break_down(gate)
    assert held(gate, 1.0) == {DOWN}


def test_late_answers_do_not_end_an_outage_before_the_read_does() -> None:
    gate = proven()
    for _ in range(8):
        assert gate.start(0.0)
    answer_late(gate, 0.5, *[ServerFault(502)] * 6, STOPPED, FORBIDDEN)
    assert gate.admit(0.5) == Admission(0, DOWN, None)
    assert gate.read_due() == 1.5


def test_the_operators_switch_stops_starts_and_nothing_else() -> None:
    gate = proven()
    assert gate.start(0.0)
    gate.set_operator(SWITCH)
    assert gate.admit(0.0) == Admission(0, OPERATOR, None)
    assert not gate.start(0.0)
    answer_late(gate, 1.0, Unauthorized(0))
    assert held(gate, 1.0) == {OPERATOR, REFUSED}
    gate.observe_read(6.0, Proven(), jitter=0.0)
    assert gate.admit(6.0) == Admission(0, OPERATOR, None)
    gate.set_operator(None)
    assert gate.admit(6.0) == Admission(1)


def test_nothing_is_admitted_while_nobody_knows_whether_the_operator_paused() -> None:
    gate = proven()
    gate.set_operator(None, 10.0)
    assert gate.start(9.9)
    assert gate.admit(10.0) == Admission(0, "unread", None)
    assert not gate.start(10.0)
    assert not gate.may_go_on(10.0), "what was started is not sent any more"
    gate.set_operator(None, 25.0)
    assert gate.may_go_on(10.0)
    assert gate.start(10.0)


@pytest.mark.parametrize("verdict", [Throttled(30.0), Unauthorized(0)])
def test_what_was_started_goes_on_only_while_no_pause_began(verdict: Verdict) -> None:
    gate = proven()
    assert gate.start(1.0)
    assert gate.may_go_on(1.0)
    gate.set_operator(SWITCH)
    assert not gate.may_go_on(1.0)
    gate.set_operator(None)
    send(gate, 1.0, verdict)
    assert not gate.may_go_on(1.1)


def test_the_one_trial_of_a_pause_goes_on() -> None:
    gate = proven()
    refuse(gate)
    assert not gate.may_go_on(1.0)
    gate.observe_read(2.0, Proven(), jitter=0.0)
    assert not gate.may_go_on(2.0), "what was started before the pause is no trial of it"
    assert gate.start(2.0)
    assert gate.may_go_on(2.1)


def test_the_bound_counts_what_is_in_flight() -> None:
    gate = proven(2)
    assert [gate.start(0.0) for _ in range(3)] == [True, True, False]
    assert gate.admit(0.0) == Admission(0, "in_flight", None)
    answer_late(gate, 0.0, STOPPED)
    assert (gate.in_flight, gate.finals, gate.admit(0.0)) == (1, 1, Admission(1))


def test_the_rate_spaces_starts_evenly_and_catches_up_little() -> None:
    gate = proven(1000, rate=RateLimit(10.0))
    assert gate.admit(0.0) == Admission(1)
    assert gate.start(0.0)
    until = gate.admit(0.0).until
    assert gate.admit(0.0) == Admission(0, "rate", until)
    assert until == pytest.approx(0.08)
    starts, now = 0, 1.0
    while now < 11.0:
        starts += gate.start(now)
        now += 0.003
    assert 100 <= starts <= 103


def test_new_settings_keep_what_was_learned() -> None:
    gate = proven()
    for _ in range(5):
        assert gate.start(0.0)
    gate.reconfigure(0.0, 4, RateLimit(0.0), verify=True, adaptive=False)
    assert gate.admit(0.0) == Admission(0, "in_flight", None)
    answer_late(gate, 0.0, STOPPED, Unauthorized(0))
    gate.reconfigure(0.0, 64, RateLimit(1.0), verify=True, adaptive=False)
    assert gate.admit(0.0) == Admission(0, REFUSED, None)
    assert gate.read_due() == 5.0


def test_new_settings_count_from_the_next_send_on() -> None:
    gate = proven()
    gate.reconfigure(0.0, 64, RateLimit(1.0), verify=True, adaptive=False)
    assert gate.start(0.0)
    assert gate.admit(0.0).why == "rate"
    gate.reconfigure(0.0, 64, RateLimit(0.0), verify=False, adaptive=False)
    break_down(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    assert (gate.limit, gate.read_due()) == (8, None), "an eighth of the new bound, and no more reads"


def test_answers_move_the_adaptive_limit() -> None:
    gate = proven(64, adaptive=True)
    assert gate.limit == 8
    send(gate, 1.0, ServerFault(503))
    assert gate.limit == 5


def test_the_gate_is_unrestricted_while_only_the_limit_holds_sends_up() -> None:
    assert proven().unrestricted is True
    refused = proven()
    refuse(refused)
    assert [gate.unrestricted for gate in (Gate(8), proven(rate=RateLimit(1.0)), refused)] == [False, False, False]


def test_reads_after_an_outage_begin_with_short_gaps_again() -> None:
    gate = proven()
    for now in (0.0, 100.0):
        for _ in range(5):
            send(gate, now, ServerFault(502))
        due = []
        for _ in range(4):
            due.append((gate.read_due() or 0.0) - now)
            gate.observe_read(now + due[-1], ServerFault(502), jitter=0.0)
        assert due == [1.0, 2.0, 4.0, 8.0]
        gate.observe_read(now + 50.0, Proven(), jitter=0.0)
        send(gate, now + 50.0, STOPPED)


def test_turning_reads_off_makes_open_pauses_half_open() -> None:
    gate = Gate(32)
    gate.observe_read(0.0, Foreign(403), jitter=0.0)
    assert gate.admit(0.5) == Admission(0, WRONG, None)
    gate.reconfigure(0.0, 32, RateLimit(0.0), verify=False, adaptive=False)
    assert (gate.proven, gate.read_due(), gate.admit(0.5)) == (True, None, Admission(1))
    send(gate, 0.5, STOPPED)
    assert gate.admit(0.5) == Admission(32)


def test_details_name_the_answers() -> None:
    gate = proven()
    for _ in range(12):
        assert gate.start(0.0)
    answer_late(gate, 0.0, *[Foreign(302)] * 5, *[Broken(Fault.TIMEOUT)] * 5, Unauthorized(0), Throttled(9.0))
    assert {pause.reason: pause.detail for pause in gate.pauses(0.0)} == {
        WRONG: f"answers that are not the API's, the last a 302: {CHECK_ADDRESS}",
        DOWN: "5 failures in a row, most recently no answer (timeout)",
        REFUSED: "the API refused the token (401)",
        THROTTLED: "the API answered 429: nothing is sent to it for 9 s",
    }

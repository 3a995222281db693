"""Credentials, wrong target, the storm of 403s: how each opens, what is probed while it holds, and every way out."""

import pytest

from reaper.core.admission import Admission
from reaper.core.classify import (
    Broken,
    Final,
    Foreign,
    OtherAccount,
    Proven,
    ReadVerdict,
    ServerFault,
    Throttled,
    Unauthorized,
    Verdict,
)
from reaper.core.gate import Gate
from reaper.core.model import Fault, Outcome, PauseReason, SessionId
from reaper.core.rate_limit import RateLimit
from tests.support.gate import (
    DOWN,
    FORBIDDEN,
    ID,
    REFUSED,
    STOPPED,
    STORMY,
    WRONG,
    Raise,
    answer_late,
    break_down,
    held,
    lose_the_target,
    proven,
    refuse,
    send,
    storm,
)

# reason, what raises it, the first read after it, an answer of the same kind, two of another
PROBED = [
    pytest.param(REFUSED, refuse, 5.0, Unauthorized(0), (STOPPED, ServerFault(502)), id="credentials"),
    pytest.param(WRONG, lose_the_target, 1.0, Foreign(302), (STOPPED, FORBIDDEN), id="wrong_target"),
    pytest.param(STORMY, storm, 1.0, FORBIDDEN, (STOPPED, ServerFault(500)), id="forbidden_storm"),
]


@pytest.mark.parametrize(("reason", "begin", "read_s", "same", "others"), PROBED)
def test_a_pause_is_open_until_the_read_then_probes_one_at_a_time(
    reason: PauseReason, begin: Raise, read_s: float, same: Verdict, others: tuple[Verdict, ...]
) -> None:
    for other in others:
        gate = proven()
        begin(gate)
        assert held(gate, 0.0) == {reason}
        assert gate.admit(0.0) == Admission(0, reason, None)
        assert gate.read_due() == read_s
        now = read_s
        gate.observe_read(now, Proven(), jitter=0.0)
        for gap_s in (1, 2, 4, 8, 16, 32, 60, 60):
            assert gate.admit(now) == Admission(1)
            assert gate.start(now)
            assert gate.admit(now) == Admission(0, reason, now + gap_s)
            assert gate.admit(now + gap_s) == Admission(0, "in_flight", None)
            gate.observe(now, ID, same, began=now, jitter=0.0)
            assert gate.admit(now + gap_s - 0.001) == Admission(0, reason, now + gap_s)
            assert (held(gate, now), gate.read_due()) == ({reason}, None)
            now += gap_s
        send(gate, now, Broken(Fault.TIMEOUT))
        assert held(gate, now) == {reason}
        send(gate, now + 60, other)
        assert gate.pauses(now + 60) == ()
        assert gate.admit(now + 60) == Admission(32)
        if reason is not REFUSED:
            send(gate, now + 60, same)
            assert gate.pauses(now + 60) == (), "the count begins anew"


@pytest.mark.parametrize(("reason", "begin", "read_s", "same", "others"), PROBED)
def test_a_probe_waits_for_all_sends_in_flight(
    reason: PauseReason, begin: Raise, read_s: float, same: Verdict, others: tuple[Verdict, ...]
) -> None:
    gate = proven()
    assert gate.start(0.0)
    begin(gate)
    gate.observe_read(read_s, Proven(), jitter=0.0)
    assert gate.admit(read_s) == Admission(0, "in_flight", None)
    answer_late(gate, read_s, same)
    assert gate.admit(read_s) == Admission(1)


@pytest.mark.parametrize(
    "verdict", [STOPPED, Unauthorized(0, own=True), Throttled(1.0, own=True), ServerFault(408, own=True)]
)
def test_an_own_answer_between_forgets_the_foreign_ones(verdict: Verdict) -> None:
    gate = proven()
    for _ in range(6):
        assert gate.start(0.0)
    answer_late(gate, 0.0, *[Foreign(404)] * 4, verdict)
    gate.observe(0.0, SessionId("late-9"), Foreign(404), began=0.0, jitter=0.0)
    assert WRONG not in held(gate, 0.0)


@pytest.mark.parametrize("verdict", [Unauthorized(0), Throttled(1.0), ServerFault(502), Broken(Fault.RESET)])
def test_any_other_answer_between_keeps_the_foreign_ones(verdict: Verdict) -> None:
    gate = proven()
    for _ in range(6):
        assert gate.start(0.0)
    answer_late(gate, 0.0, *[Foreign(404)] * 4, verdict)
    gate.observe(0.0, SessionId("late-9"), Foreign(404), began=0.0, jitter=0.0)
    assert WRONG in held(gate, 0.0)


def test_one_id_alone_never_makes_a_wrong_target() -> None:
    gate = proven()
    for _ in range(50):
        send(gate, 0.0, Foreign(404))
    for number in range(3):
        send(gate, 0.0, Foreign(404), f"ses-{number + 2}")
    assert gate.pauses(0.0) == ()
    send(gate, 0.0, Foreign(302), "ses-9")
    assert held(gate, 0.0) == {WRONG}


def test_nineteen_refusals_or_another_final_answer_between_are_no_storm() -> None:
    gate = proven()
    for last in (STOPPED, Final(Outcome.ALREADY_GONE)):
        for refusal in [FORBIDDEN, Final(Outcome.REJECTED)] * 9 + [FORBIDDEN]:
            send(gate, 0.0, refusal)
        send(gate, 0.0, ServerFault(502))
        assert gate.pauses(0.0) == ()
        send(gate, 0.0, last)
    storm(gate)
    assert held(gate, 0.0) == {STORMY}


def test_a_read_keeps_the_gaps_of_a_half_open_pause() -> None:
    gate = proven()
    lose_the_target(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    for now in (1.0, 2.0, 4.0):
        send(gate, now, Foreign(302))
    send(gate, 8.0, Unauthorized(None))
    assert gate.read_due() == 13.0
    gate.observe_read(13.0, Proven(), jitter=0.0)
    assert gate.admit(13.0) == Admission(0, WRONG, 16.0)
    assert gate.admit(16.0) == Admission(1)


def test_a_failed_read_opens_a_half_open_pause_again_and_keeps_its_beginning() -> None:
    gate = proven()
    lose_the_target(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    gate.target_changed(2.0, 1)
    gate.observe_read(2.0, Foreign(403), jitter=0.0)
    assert gate.admit(2.0) == Admission(0, WRONG, None)
    assert gate.read_due() == 3.0
    assert [pause.since for pause in gate.pauses(2.0)] == [0.0]
    gate.observe_read(3.0, Proven(1), jitter=0.0)
    assert gate.admit(3.0) == Admission(1)


def test_one_read_half_opens_two_pauses_and_an_answer_ends_one() -> None:
    gate = proven()
    for _ in range(6):
        assert gate.start(0.0)
    answer_late(gate, 0.0, Unauthorized(0), *[Foreign(302)] * 5)
    assert held(gate, 0.0) == {REFUSED, WRONG}
    assert gate.read_due() == 5.0
    gate.observe_read(5.0, Proven(), jitter=0.0)
    send(gate, 5.0, Foreign(302))
    assert held(gate, 5.0) == {WRONG}
    assert gate.admit(5.5) == Admission(0, WRONG, 6.0)


@pytest.mark.parametrize(
    ("reason", "begin", "same", "other"),
    [
        (REFUSED, refuse, Unauthorized(0), STOPPED),
        (WRONG, lose_the_target, Foreign(404), STOPPED),
        (STORMY, storm, FORBIDDEN, STOPPED),
        (DOWN, break_down, ServerFault(502), Foreign(302)),
        (DOWN, break_down, Broken(Fault.TIMEOUT), STOPPED),
    ],
)
def test_without_reads_every_pause_is_half_open_from_its_beginning(
    reason: PauseReason, begin: Raise, same: Verdict, other: Verdict
) -> None:
    gate = Gate(32, verify=False)
    assert gate.admit(0.0) == Admission(32)
    begin(gate)
    assert gate.admit(0.0) == Admission(0, reason, 1.0)
    assert gate.read_due() is None
    assert gate.outage is (reason is DOWN)
    now = 1.0
    for gap_s in (1, 2, 4, 8, 16, 32, 60, 60):
        send(gate, now, same)
        assert gate.admit(now) == Admission(0, reason, now + gap_s)
        now += gap_s
    send(gate, now, other)
    assert (gate.pauses(now), gate.outage, gate.admit(now)) == ((), False, Admission(32))


@pytest.mark.parametrize(
    ("reason", "begin", "verdict"),
    [
        (REFUSED, refuse, Unauthorized(0)),
        (WRONG, lose_the_target, Foreign(403)),
        (WRONG, lose_the_target, OtherAccount("a", "b", 0)),
        (DOWN, break_down, ServerFault(502)),
        (DOWN, break_down, Broken(Fault.TIMEOUT)),
    ],
)
def test_no_answer_ends_a_pause_that_a_read_has_opened_again(
    reason: PauseReason, begin: Raise, verdict: ReadVerdict
) -> None:
    gate = proven()
    begin(gate)
    gate.reconfigure(0.0, 32, RateLimit(0.0), verify=False, adaptive=False)
    assert gate.start(1.0)
    gate.reconfigure(1.0, 32, RateLimit(0.0), verify=True, adaptive=False)
    gate.observe_read(2.0, verdict, jitter=0.0)
    answer_late(gate, 3.0, STOPPED)
    assert held(gate, 3.0) == {reason}


def test_the_counts_begin_anew_after_a_pause() -> None:
    gate = proven(verify=False)
    lose_the_target(gate)
    send(gate, 1.0, Throttled(1.0))
    assert held(gate, 10.0) == set()
    for number in range(4):
        send(gate, 10.0, Foreign(404), f"later-{number}")
    assert held(gate, 10.0) == set()
    gate = proven(verify=False)
    storm(gate)
    send(gate, 1.0, ServerFault(500))
    for _ in range(19):
        send(gate, 1.0, FORBIDDEN)
    assert held(gate, 1.0) == set()


REJECTED = Final(Outcome.REJECTED, "no", 422)

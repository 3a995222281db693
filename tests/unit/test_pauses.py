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
from reaper.core.pauses import read_refusal
from reaper.core.rate_limit import RateLimit
from reaper.core.target import OtherTarget
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


def test_without_reads_a_new_token_is_probed_at_once() -> None:
    gate = Gate(32, verify=False)
    refuse(gate)
    for now in (1.0, 2.0, 4.0):
        send(gate, now, Unauthorized(0))
    gate.target_changed(5.0, 1)
    assert (gate.read_due(), gate.admit(5.0)) == (None, Admission(1))
    send(gate, 5.0, Unauthorized(1))
    assert gate.admit(5.0) == Admission(0, REFUSED, 6.0)


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


def test_a_refused_token_is_an_answer_that_ends_another_pause() -> None:
    gate = proven(verify=False)
    break_down(gate)
    send(gate, 1.0, Unauthorized(0))
    assert held(gate, 1.0) == {REFUSED}


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


def test_twenty_refusals_of_any_kind_are_a_storm_and_its_detail_names_the_status() -> None:
    gate = proven()
    for refusal in [FORBIDDEN, REJECTED] * 10:
        send(gate, 0.0, refusal)
    pauses = [(pause.reason, pause.detail) for pause in gate.pauses(0.0)]
    assert pauses == [(STORMY, "20 refusals in a row, the last a 422")]


def refused(gate: Gate, now: float) -> bool:
    assert gate.start(now)
    return gate.observe(now, ID, REJECTED, began=now, jitter=0.0)


def test_refusals_during_the_storm_go_back_and_ten_trials_show_that_they_are_the_ids_own() -> None:
    gate = proven()
    for _ in range(22):
        assert gate.start(0.0)
    assert [gate.observe(0.0, ID, REJECTED, began=0.0, jitter=0.0) for _ in range(22)] == [False] * 20 + [True] * 2
    gate.observe_read(1.0, Proven(), jitter=0.0)
    now = 1.0
    for _ in range(10):
        assert held(gate, now) == {STORMY}
        now = max(now, gate.admit(now).until or now)
        assert refused(gate, now)
    assert 200 < now < 300
    assert gate.pauses(now) == ()
    assert not any(refused(gate, now) for _ in range(100))
    assert gate.pauses(now) == ()
    send(gate, now, STOPPED)
    for _ in range(20):
        assert not refused(gate, now)
    assert held(gate, now) == {STORMY}


def test_a_new_token_is_tried_ten_times_again() -> None:
    gate = proven()
    storm(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    for now in (1.0, 2.0, 4.0):
        assert refused(gate, now)
    gate.target_changed(5.0, 1)
    gate.observe_read(5.0, Proven(1), jitter=0.0)
    now = 5.0
    for _ in range(9):
        now = max(now, gate.admit(now).until or now)
        assert refused(gate, now)
    assert held(gate, now) == {STORMY}


GONE = Final(Outcome.ALREADY_GONE)


def test_a_404_ends_the_trial_of_a_wrong_target_only_when_the_list_confirms_it() -> None:
    gate = proven()
    lose_the_target(gate)
    gate.observe_read(1.0, Proven(), jitter=0.0)
    send(gate, 1.0, GONE)
    assert held(gate, 1.0) == {WRONG}
    gate.confirm_gone()
    assert gate.pauses(1.0) == ()
    gate.confirm_gone()
    gate = proven(verify=False)
    lose_the_target(gate)
    send(gate, 1.0, GONE)
    assert gate.pauses(1.0) == (), "without reads a 404 is an answer of another kind"


def test_one_sided_answers_end_with_a_2xx_or_a_confirmed_404_alone() -> None:
    for other in (FORBIDDEN, ServerFault(500), Throttled(1.0), GONE, Foreign(302)):
        gate = proven()
        gate.contradict(0.0, "3 are alive")
        assert held(gate, 0.0) == {WRONG}
        gate.observe_read(1.0, Proven(), jitter=0.0)
        send(gate, 1.0, other)
        assert WRONG in held(gate, 1.0)
        send(gate, 70.0, STOPPED)
        assert WRONG not in held(gate, 70.0)


def test_a_foreign_answer_in_the_pause_is_withheld() -> None:
    gate = proven()
    gate.contradict(0.0, "3 are alive")
    gate.observe_read(1.0, Proven(), jitter=0.0)
    assert gate.start(1.0)
    assert gate.observe(1.0, ID, Foreign(502), began=1.0, jitter=0.0)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (OtherTarget("https://a.example", "https://b.example"), "live at https://a.example: nothing is sent"),
        (Foreign(407, "of the proxy to CONNECT", unsent=True), "was not sent: 407 of the proxy to CONNECT"),
        (Foreign(404), "answered 404, not a list of sessions"),
    ],
)
def test_a_read_that_did_not_come_to_the_api_says_why(verdict: OtherTarget | Foreign, words: str) -> None:
    reason, detail = read_refusal(verdict)
    assert reason is PauseReason.WRONG_TARGET
    assert words in detail

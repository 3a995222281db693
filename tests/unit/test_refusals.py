"""The storm of 403s, answers of one side and foreign ones: what begins the pause, its trials, and what ends it."""

import pytest

from reaper.core.classify import (
    Final,
    Foreign,
    OtherAccount,
    Proven,
    ServerFault,
    Throttled,
)
from reaper.core.gate import Gate
from reaper.core.model import Outcome, PauseReason
from reaper.core.pauses import read_refusal
from reaper.core.target import OtherTarget
from tests.support.gate import (
    FORBIDDEN,
    ID,
    STOPPED,
    STORMY,
    WRONG,
    held,
    lose_the_target,
    proven,
    send,
    storm,
)

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
        (
            Foreign(407, "of the proxy to CONNECT", unsent=True),
            "was not sent: 407 of the proxy to CONNECT; check api.proxy",
        ),
        (Foreign(404), "answered 404, not a list of sessions: check api.base_url"),
        (
            OtherAccount("ann", "bob"),
            "there is a token of that account, or the new one is accepted by: reaper check --acc",
        ),
    ],
)
def test_a_read_that_did_not_come_to_the_api_says_why(
    verdict: OtherTarget | OtherAccount | Foreign, words: str
) -> None:
    reason, detail = read_refusal(verdict)
    assert reason is PauseReason.WRONG_TARGET
    assert words in detail

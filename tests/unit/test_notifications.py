"""What is notified, and when: one message per change, however many look and however often it flaps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.core.discovery.holds import HoldHead, HoldState
from reaper.core.model import Outcome, Pause, PauseReason, Stats
from reaper.core.notification_texts import Message, Origin, message_of, trial_message
from reaper.core.notifications import (
    MAX_PER_HOUR,
    MIN_LASTING_S,
    REPEAT_S,
    STALL_S,
    Change,
    Facts,
    Kind,
    Notification,
    Notified,
    Progress,
    advance,
    read_notified,
    to_text,
    undelivered,
)

ORIGIN = Origin("sqlite:///var/lib/reaper/reaper.db", "https://archal.ai", "host-1, PID 7")
T = 1_900_000_000.0
CREDENTIALS = Pause(PauseReason.CREDENTIALS, T, "the API refused the token (401)")


def stats(*, ready: int = 0, dead: int = 0, ever: int | None = None, stopped: int = 0, lost: int = 0) -> Stats:
    settled = {Outcome.STOPPED: stopped, Outcome.REJECTED: dead if ever is None else ever}
    accepted = ready + sum(settled.values()) + lost
    return Stats(ready, 0, 0, 0, accepted, settled, dead, 0, 0, 0.0)


def hold(fate: HoldState = HoldState.OPEN, **more: str) -> HoldHead:
    return HoldHead("h1", T + 86400, "120 sessions of 130 (max_per_sweep 100)", 1, fate, **more)


class Shared:
    """One queue's state, through its text, as reapers see it one after the other."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.messages: list[Notification] = []

    def look(self, facts: Facts) -> list[tuple[Change, str]]:
        state, messages = advance(read_notified(self.text), facts)
        self.text = to_text(state)
        self.messages += messages
        return [(each.change, each.key) for each in messages]

    def words(self) -> Message:
        return message_of(self.messages[-1], ORIGIN)


@pytest.mark.parametrize(
    ("seen", "unseen", "key"),
    [
        (Facts(T, [CREDENTIALS]), Facts(T, is_proven=True), "credentials"),
        (Facts(T, [replace(CREDENTIALS, reason=PauseReason.WRONG_TARGET)]), Facts(T, is_proven=True), "wrong_target"),
        (Facts(T, holds=(hold(),)), Facts(T, holds=(hold(HoldState.APPROVED, by="ann"),)), "hold:h1"),
        (Facts(T, holds=(hold(),)), Facts(T, holds=()), "hold:h1"),
        (Facts(T, stats=stats(dead=2)), Facts(T, stats=stats(ever=2)), "dead"),
        (Facts(T, stats=stats(lost=3)), Facts(T, stats=stats()), "imbalance"),
        (Facts(T, stats=stats(ready=3), idle_s=STALL_S), Facts(T, stats=stats(ready=2, stopped=1)), "stall"),
        (Facts(T, stuck={"a": 31.0}, reporter="a"), Facts(T, reporter="a"), "stall:a"),
        (Facts(T, stuck={"a": 31.0}, reporter="a"), Facts(T, reporter="b", alive=frozenset("b")), "stall:a"),
    ],
)
def test_each_condition_is_told_once_and_its_end_once(seen: Facts, unseen: Facts, key: str) -> None:
    shared = Shared()
    for number in range(10):  # ten reapers
        assert shared.look(replace(seen, now=T + number)) == ([(Change.BEGAN, key)] if number == 0 else [])
    for number in range(10):
        told = shared.look(replace(unseen, now=T + 60 + number))
        assert told == ([(Change.ENDED, key)] if number == 0 else [])
    assert "ses-secret" not in "".join(message_of(each, ORIGIN).body for each in shared.messages)


@pytest.mark.parametrize(
    ("seen", "blind"),
    [
        (Facts(T, [CREDENTIALS]), Facts(T)),
        (Facts(T, holds=(hold(),)), Facts(T, is_proven=True)),
        (Facts(T, stats=stats(dead=2)), Facts(T, is_proven=True)),
        (Facts(T, stats=stats(ready=3), idle_s=STALL_S), Facts(T, stats=stats(ready=3))),
        (Facts(T, stuck={"a": 31.0}, reporter="a"), Facts(T, reporter="b", alive=frozenset("ab"))),
        (Facts(T, stuck={"a": 31.0}, reporter="a"), Facts(T, reporter="b")),
    ],
)
def test_what_a_reaper_cannot_see_is_not_over(seen: Facts, blind: Facts) -> None:
    shared = Shared()
    shared.look(seen)
    assert shared.look(replace(blind, now=T + 3600)) == []


def test_an_end_waits_until_heartbeats_have_spread() -> None:
    shared = Shared()
    shared.look(Facts(T, [CREDENTIALS]))
    assert shared.look(Facts(T + MIN_LASTING_S - 1, is_proven=True)) == []
    assert shared.look(Facts(T + MIN_LASTING_S, is_proven=True)) == [(Change.ENDED, "credentials")]


def test_what_flaps_is_told_every_ten_minutes_at_most() -> None:
    shared, began = Shared(), []
    for second in range(0, 3600, 20):
        facts = Facts(T + second, [CREDENTIALS] if second % 40 else (), is_proven=True)
        began += [second for change, _ in shared.look(facts) if change is Change.BEGAN]
    assert began == [20, 620, 1220, 1820, 2420, 3020]


def test_dead_letters_are_told_first_and_then_once_an_hour() -> None:
    shared = Shared()
    assert shared.look(Facts(T, stats=stats(dead=1), dead={Outcome.REJECTED: 1})) == [(Change.BEGAN, "dead")]
    assert shared.words().title == "reaper: 1 session could not be stopped"
    assert shared.look(Facts(T + 3599, stats=stats(dead=40))) == []
    more = Facts(T + 3600, stats=stats(dead=40), dead={Outcome.REJECTED: 30, Outcome.FORBIDDEN: 10})
    assert shared.look(more) == [(Change.GREW, "dead")]
    assert shared.words().title == "reaper: 39 more sessions could not be stopped"
    assert "40 dead letters are kept: forbidden 10, rejected 30" in shared.words().body
    assert shared.look(Facts(T + 9999, stats=stats(dead=40))) == []
    assert shared.look(Facts(T + 10_000, stats=stats(ever=40))) == [(Change.ENDED, "dead")]


def test_an_earlier_copy_of_the_ledger_counts_from_there() -> None:
    shared = Shared()
    shared.look(Facts(T, stats=stats(dead=40)))
    assert shared.look(Facts(T + 4000, stats=stats(dead=10))) == []
    assert shared.look(Facts(T + 4001, stats=stats(dead=11))) == [(Change.GREW, "dead")]


def test_no_more_than_thirty_messages_an_hour_leave_and_the_rest_follows() -> None:
    shared = Shared()
    many = tuple(replace(hold(), id=f"h{number}") for number in range(50))
    assert len(shared.look(Facts(T, holds=many))) == MAX_PER_HOUR
    assert shared.look(Facts(T + 3599, holds=many)) == []
    assert len(shared.look(Facts(T + 3600, holds=many))) == 20


def test_what_no_receiver_took_is_told_again_later() -> None:
    shared = Shared()
    shared.look(Facts(T, [CREDENTIALS]))
    shared.text = to_text(undelivered(read_notified(shared.text), shared.messages[-1]))
    assert shared.look(Facts(T + REPEAT_S - 1, [CREDENTIALS])) == []
    assert shared.look(Facts(T + REPEAT_S, [CREDENTIALS])) == [(Change.BEGAN, "credentials")]
    assert shared.messages[-1].began_at == T
    late = undelivered(read_notified(shared.text), shared.messages[0])
    assert late == read_notified(shared.text), "a failure of an earlier message says nothing of the present one"


def test_the_end_of_what_nobody_heard_of_is_not_told() -> None:
    shared = Shared()
    shared.look(Facts(T, [CREDENTIALS]))
    shared.text = to_text(undelivered(read_notified(shared.text), shared.messages[-1]))
    assert shared.look(Facts(T + 60, is_proven=True)) == []
    end = Notification("credentials", Kind.CREDENTIALS, Change.ENDED, T, Facts(T))
    assert undelivered(read_notified(shared.text), end) == read_notified(shared.text)


def test_a_clock_set_back_does_not_silence_it() -> None:
    shared = Shared()
    shared.look(Facts(T, [CREDENTIALS]))
    assert shared.look(Facts(T - 86_400, is_proven=True)) == [(Change.ENDED, "credentials")]
    assert shared.look(Facts(T - 86_300, [CREDENTIALS])) == [(Change.BEGAN, "credentials")]


def test_what_is_long_over_is_forgotten() -> None:
    shared = Shared()
    shared.look(Facts(T, [CREDENTIALS]))
    shared.look(Facts(T + 60, is_proven=True))
    assert "credentials" in read_notified(shared.text).conditions
    shared.look(Facts(T + 3601))
    assert read_notified(shared.text).conditions == {}


@pytest.mark.parametrize(
    "text", [None, "", "[]", "7", '{"conditions": []}', "{", '{"conditions": {"x": {"kind": "new"}}}']
)
def test_a_state_that_cannot_be_read_counts_as_never_told(text: str | None) -> None:
    assert read_notified(text) == Notified()


def test_a_field_of_a_newer_version_is_left_out() -> None:
    state, _ = advance(Notified(), Facts(T, [CREDENTIALS]))
    assert read_notified(to_text(state).replace('"active"', '"shade":1,"active"')) == state


def test_a_queue_moves_while_it_settles_or_is_paused_or_has_nothing_due() -> None:
    progress = Progress()
    assert progress.idle_s(Facts(T, stats=stats(ready=1))) == 0
    assert progress.idle_s(Facts(T + 900, stats=stats(ready=1))) == 900
    assert progress.idle_s(Facts(T + 901, stats=stats(ready=1, stopped=1))) == 0
    assert progress.idle_s(Facts(T + 950, [CREDENTIALS], stats=stats(ready=1, stopped=1))) == 0
    assert progress.idle_s(Facts(T + 960, stats=stats(stopped=1))) == 0
    assert progress.idle_s(Facts(T + 970)) == 0
    assert progress.idle_s(Facts(T - 5, stats=stats(ready=1, stopped=1))) == 0, "a clock set back"


def texts(*steps: Facts) -> list[Message]:
    shared = Shared()
    for step in steps:
        shared.look(step)
    return [message_of(each, ORIGIN) for each in shared.messages]


def test_a_message_says_what_and_what_to_do_and_whose_it_is() -> None:
    began, ended = texts(Facts(T, [CREDENTIALS]), Facts(T + 120, is_proven=True))
    assert began.title == "reaper: paused, credentials"
    assert began.tone == "failure"
    assert "No session is stopped: the API refused the token (401)\nTo do: write a good token" in began.body
    assert began.body.endswith(
        "Queue: sqlite:///var/lib/reaper/reaper.db\nAPI: https://archal.ai\nSent by: reaper host-1, PID 7"
    )
    assert ended.title == "reaper: over: paused, credentials"
    assert ended.tone == "success"
    assert "It lasted 2 m." in ended.body


def test_a_hold_says_how_to_decide_and_who_decided() -> None:
    decided = hold(HoldState.DISCARDED, by="ann on host-1", why="not ours")
    began, ended = texts(Facts(T, holds=(hold(),)), Facts(T + 60, holds=(decided,)))
    assert began.body.startswith("Hold h1: 120 sessions of 130")
    assert "reaper approve h1, or reaper discard h1" in began.body
    assert "Hold h1 was discarded by ann on host-1: not ours" in ended.body
    _, expired = texts(Facts(T, holds=(hold(),)), Facts(T + 90_000, holds=(hold(),)))
    assert "Hold h1 expired undecided" in expired.body


def test_the_others_say_what_they_are() -> None:
    began, ended = texts(Facts(T, stats=stats(lost=3)), Facts(T + 60, stats=stats()))
    assert "3 accepted and not accounted for." in began.body
    assert "It balances." in ended.body
    began, ended = texts(Facts(T, stuck={"a": 31.0}, reporter="a"), Facts(T + 60, reporter="a"))
    assert "The claim loop has not turned for 31 s." in began.body
    assert ended.title == "reaper: over: stalled"
    began, _ = texts(Facts(T, stats=stats(ready=3), idle_s=STALL_S), Facts(T + 60, stats=stats()))
    assert "3 IDs are due, nothing holds them up, and none was settled for 15 m." in began.body
    began, ended = texts(
        Facts(T, [replace(CREDENTIALS, reason=PauseReason.WRONG_TARGET)]), Facts(T + 60, is_proven=True)
    )
    assert began.title == "reaper: paused, wrong target"
    assert ended.title == "reaper: over: paused, wrong target"
    *_, ended = texts(Facts(T, stats=stats(dead=1)), Facts(T + 60, stats=stats(ever=1)))
    assert "No dead letter is left." in ended.body
    assert trial_message(ORIGIN).tone == "info"
    lone = Notification("hold:h2", Kind.HOLD, Change.BEGAN, T, Facts(T))
    assert "see: reaper holds" in message_of(lone, ORIGIN).body


def test_a_text_from_outside_is_cut_escaped_and_masked() -> None:
    hostile = "archal_ws_secret \x1b[31m " + "x" * 5000
    (began,) = texts(Facts(T, [replace(CREDENTIALS, detail=hostile)]))
    assert "archal_ws_***" in began.body
    assert "\x1b" not in began.body
    assert "secret" not in began.body
    assert len(began.body) < 2200

"""The page in words."""

from __future__ import annotations

from typing import Any

import pytest

from reaper.core.model import Outcome, Pause, PauseReason, WorkerHeartbeat
from reaper.core.notices import WHAT_TO_DO
from reaper.telemetry.page.view import QueueSnapshot
from tests.support.page import NASTY, NOW, STATS, paused, view

EMPTY = {"ready": 0, "in_flight": 0, "delayed": 0}


@pytest.mark.parametrize(
    ("given", "kind", "state"),
    [
        ({}, "work", "Working"),
        ({"stats": EMPTY | {"delayed": 3}, "in_flight": 0}, "work", "Waiting"),
        ({"stats": EMPTY, "in_flight": 0}, "work", "Idle"),
        ({"proven": False}, "calm", "Starting"),
        ({"pauses": (paused(),), "proven": False}, "warn", "Paused: credentials"),
        ({"pauses": (paused(),), "whole": "for 3 s: gone"}, "bad", "Queue unavailable"),
        ({"stalled_s": 40.0, "whole": "for 3 s: gone"}, "bad", "Stuck"),
        ({"draining": True, "stalled_s": 40.0}, "calm", "Ending"),
    ],
)
def test_the_state_is_what_matters_most(given: dict[str, Any], kind: str, state: str) -> None:
    shown = view(**given)
    assert shown.kind == kind
    assert shown.texts["state"].startswith(state)
    assert shown.title == f"{state.partition(':')[0]} · reaper"


def test_a_quiet_page_has_nothing_to_look_at() -> None:
    shown = view()
    assert shown.notices == []
    assert shown.texts["said"] == "Running"
    assert [shown.texts[name] for name in ("ready", "oldest", "delayed", "in_flight", "limit", "dead")] == [
        "1,200", "oldest due for 1 m 15 s", "30", "8", "limit 32", "0",
    ]  # fmt: skip
    assert shown.outcomes == [("stopped", "1,000")]
    assert shown.reapers == [("4711 (this one)", "2 h", "8 of 32", "running")]
    assert shown.texts["pace"] == "96 in the last minute, 80 a minute over 5, 2.2 a minute over 15"
    assert shown.texts["chart-words"].endswith("1,718 in all, at most 58 in one, 7 in the last")


@pytest.mark.parametrize(
    ("uptime_s", "pace"),
    [
        (20, "96 a minute since it began"),
        (70, "96 in the last minute"),
        (400, "96 in the last minute, 80 a minute over 5"),
    ],
)
def test_no_rate_spans_more_time_than_there_was(uptime_s: float, pace: str) -> None:
    assert view(uptime_s=uptime_s).texts["pace"] == pace


def test_every_pause_says_what_to_do() -> None:
    for reason in PauseReason:
        [notice] = view(pauses=(paused(reason),)).notices
        assert notice.title == f"Paused: {reason.value}, for 12 s"
        assert notice.detail == "the token was refused (401)"
        assert notice.todo == WHAT_TO_DO[reason]


def test_what_is_said_aloud_changes_with_the_state_and_not_with_time() -> None:
    early, late = (view(pauses=(Pause(PauseReason.API_DOWN, NOW - s, "502"),), uptime_s=s) for s in (5, 500))
    assert early.texts["said"] == late.texts["said"] == "Paused: api_down"
    assert early.notices != late.notices


def test_all_that_wants_a_look() -> None:
    whole = QueueSnapshot(STATS, (), holds=1, ghosts=2)
    names = [notice.name for notice in view(whole).notices]
    assert names == ["Held", "Ghosts"]
    dead = view(stats={"dead": 3, "accepted": STATS.accepted + 4, "settled": {Outcome.REJECTED: 3}})
    assert [notice.name for notice in dead.notices] == ["Imbalance", "Dead letters"]
    assert dead.notices[1].title.startswith("Dead letters: 3 sessions could")
    assert all(notice.todo for notice in (*dead.notices, *view(whole).notices))


def test_reapers_on_the_queue_and_a_pause_of_another() -> None:
    pauses = (paused(PauseReason.OPERATOR), paused(PauseReason.WRONG_TARGET))
    other = WorkerHeartbeat("o", 99, NOW - 60, NOW - 2, 16, pauses)
    shown = view(QueueSnapshot(STATS, (other,)))
    assert shown.reapers[1] == ("99", "1 m", "limit 16", "paused: operator, wrong_target")
    assert shown.texts["limit"] == "limit 48"
    assert shown.texts["state"].startswith("Working"), "this one is not paused"
    assert [notice.title for notice in shown.notices] == ["Paused in reaper 99: wrong_target, for 12 s"]


def test_while_the_queue_is_unavailable_nothing_old_is_shown() -> None:
    shown = view("for 3 s: disk I/O error")
    assert [shown.texts[name] for name in ("ready", "delayed", "dead", "in_flight")] == ["–", "–", "–", "8"]
    assert shown.notices[0].detail == "for 3 s: disk I/O error"
    assert shown.outcomes == [("not known while the queue is unavailable", "")]
    assert len(shown.reapers) == 1


def test_texts_from_outside_are_one_printable_line() -> None:
    [notice] = view(pauses=(paused(detail=f"a\nb\x1b[31m{NASTY}" + "x" * 1000),)).notices
    assert notice.detail.isprintable()
    assert len(notice.detail) == 300

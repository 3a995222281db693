"""The page in words."""

from __future__ import annotations

from typing import Any

import pytest

from reaper.core.discovery.ghosts import Ghosts
from reaper.core.discovery.holds import Guard, Hold
from reaper.core.input_facts import InputFacts
from reaper.core.model import LeaseHolder, Outcome, Pause, PauseReason, SessionId, WorkerHeartbeat
from reaper.core.notices import WHAT_TO_DO
from reaper.core.owners import owner_name
from reaper.queues.overview import Overview
from reaper.telemetry.page.view import Whose
from tests.support.page import NASTY, NOW, PROCESS, STATS, paused, view

EMPTY = {"ready": 0, "in_flight": 0, "scheduled": 0, "retrying": 0}


@pytest.mark.parametrize(
    ("given", "kind", "state"),
    [
        ({}, "work", "Working"),
        ({"stats": EMPTY | {"scheduled": 2, "retrying": 1}, "in_flight": 0}, "work", "Waiting"),
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
    assert shown.title == f"{state.partition(':')[0]} · reaper · staging · web-1"


def test_a_quiet_page_has_nothing_to_look_at() -> None:
    shown = view()
    assert shown.notices == []
    assert shown.texts["said"] == "Running"
    assert [shown.texts[name] for name in ("ready", "oldest", "in_flight", "limit", "dead")] == [
        "1,200", "oldest due for 1 m 15 s", "8", "limit 32", "0",
    ]  # fmt: skip
    assert [shown.texts[name] for name in ("scheduled", "next_scheduled", "retrying", "next_retry")] == [
        "20", "next in 1 h", "10", "none",
    ]  # fmt: skip
    assert shown.outcomes == [("stopped", "1,000")]
    assert shown.reapers == [("web-1", "4711 (this one)", "2 h", "8 of 32", "running")]
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
    hold = Hold("h1", NOW, NOW + 60, (Guard.MAX_SHARE,), "9 of 10", {})
    twice = Ghosts({SessionId("a"): NOW, SessionId("b"): NOW}, frozenset({SessionId("a"), SessionId("b")}))
    silent = LeaseHolder(owner_name("0b", "web-2", 99), 20, NOW + 100)
    whole = Overview(STATS, NOW, lease_holders=[silent], holds=(hold,), ghosts=twice, unproven_gone=600)
    names = [notice.name for notice in view(whole).notices]
    assert names == ["Silent", "Held", "Ghosts", "Unproven"]
    assert view(whole).notices[0].title == "Silent: 20 IDs are in flight in 1 reaper that sends no heartbeat"
    assert view(whole).notices[0].detail == "99 on web-2"
    assert "in 1 m 40 s at most" in view(whole).notices[0].todo
    dead = view(stats={"dead": 3, "accepted": STATS.accepted + 4, "settled": {Outcome.REJECTED: 3}})
    assert [notice.name for notice in dead.notices] == ["Imbalance", "Dead letters"]
    assert dead.notices[1].title.startswith("Dead letters: 3 sessions could")
    assert all(notice.todo for notice in (*dead.notices, *view(whole).notices))


def test_reapers_on_the_queue_and_a_pause_of_another() -> None:
    pauses = (paused(PauseReason.OPERATOR), paused(PauseReason.WRONG_TARGET))
    own = WorkerHeartbeat(PROCESS.owner, 4711, NOW - 7200, NOW, 32)
    other = WorkerHeartbeat(owner_name("0b", "web-2", 99), 99, NOW - 60, NOW - 2, 16, pauses)
    late = WorkerHeartbeat("old-name", 7, NOW - 60, NOW - 18, 0)
    near = WorkerHeartbeat(owner_name("0c", "web-1", 12), 12, NOW - 60, NOW, 8)
    shown = view(
        Overview(
            STATS,
            NOW,
            [own, other, late, near],
            lease_holders=[LeaseHolder(other.owner, 9, NOW + 60), LeaseHolder(near.owner, 11, NOW + 60)],
        )
    )
    assert shown.reapers[1:] == [
        ("web-1", "12", "1 m", "8 of 8, 3 more claimed", "running"),
        ("web-2", "99", "1 m", "9 of 16", "paused: operator, wrong_target"),
        ("–", "7", "1 m", "0 of 0", "no heartbeat for 18 s"),
    ]
    assert shown.texts["hosts"] == "4 reapers on 3 hosts"
    assert shown.texts["limit"] == "limit 56"
    assert shown.texts["state"].startswith("Working"), "this one is not paused"
    assert [notice.title for notice in shown.notices] == ["Paused in reaper 99 on web-2: wrong_target, for 12 s"]


def test_while_the_queue_is_unavailable_nothing_old_is_shown() -> None:
    shown = view("for 3 s: disk I/O error")
    assert [shown.texts[name] for name in ("ready", "scheduled", "dead", "in_flight")] == ["–", "–", "–", "8"]
    assert shown.notices[0].detail == "for 3 s: disk I/O error"
    assert shown.outcomes == [("not known while the queue is unavailable", "")]
    assert len(shown.reapers) == 1


def test_texts_from_outside_are_one_printable_line() -> None:
    [notice] = view(pauses=(paused(detail=f"a\nb\x1b[31m{NASTY}" + "x" * 1000),)).notices
    assert notice.detail.isprintable()
    assert len(notice.detail) == 300


def test_whose_it_is_stands_in_heading_and_title() -> None:
    shown = view(Overview(STATS, NOW, account="u_1"))
    assert [shown.texts[name] for name in ("whose", "api", "account", "queue", "host", "hosts")] == [
        "reaper · staging · web-1", "https://archal.example", "u_1", "sqlite:////x/reaper.db", "web-1, process 4711",
        "1 reaper on 1 host",
    ]  # fmt: skip
    assert shown.title == "Working · reaper · staging · web-1"
    away = view("for 3 s: gone", whose=Whose("https://archal.example"))
    assert away.texts["whose"] == "reaper · archal.example · web-1"
    assert away.texts["account"] == "not known yet"


def test_the_command_that_helps_is_typed_as_this_reaper_was_started() -> None:
    commands = {
        notice.name: notice.command
        for reason in PauseReason
        for notice in view(pauses=(paused(reason),), stats={"dead": 3}).notices
    }
    assert commands["Paused: operator"] == "sudo -u reaper reaper resume --profile staging"
    assert commands["Paused: credentials"] == "sudo -u reaper reaper check --profile staging"
    assert commands["Paused: throttled"] == ""
    assert commands["Dead letters"] == "sudo -u reaper reaper dead list --profile staging"


@pytest.mark.parametrize("whole", [None, "for 3 s: gone"])
def test_faulty_inputs_are_named_whatever_becomes_of_the_queue(whole: str | None) -> None:
    found = view(whole, inputs=InputFacts(("x.ids does not exist",), 2, "/spool/bad")).notices[-2:]
    assert [(notice.name, notice.title, notice.detail) for notice in found] == [
        ("Input missing", "Input missing: 1 entry of intake.files", "x.ids does not exist"),
        ("Spool", "Spool: 2 files were refused whole and moved to /spool/bad", ""),
    ]
    assert all(notice.todo for notice in found)


def test_a_refused_reload_is_named_first_until_a_good_one() -> None:
    refused = InputFacts(("x.ids does not exist",), config_refused="the new configuration is refused: [api] is bad")
    found = view(inputs=refused).notices
    assert [notice.name for notice in found] == ["Settings refused", "Input missing"]
    assert (found[0].detail, found[0].command.split()[3:5]) == (refused.config_refused, ["reaper", "check"])
    assert view(inputs=InputFacts()).notices == []

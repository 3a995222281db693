"""Notices: each with what to do, in the order in which they matter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.core.model import Outcome, Pause, PauseReason, Stats, WorkerHeartbeat
from reaper.core.notices import WHAT_TO_DO, notices

NOW = 1_700_000_000.0
STATS = Stats(
    ready=0, scheduled=0, retrying=0, in_flight=0, accepted=7, settled={Outcome.STOPPED: 7}, dead=0,
    duplicate=0, invalid=0, oldest_due_s=0.0,
)  # fmt: skip


def paused(reason: PauseReason) -> Pause:
    return Pause(reason, NOW - 12, "because", until=NOW + 60)


def worker(pid: int, *reasons: PauseReason) -> WorkerHeartbeat:
    return WorkerHeartbeat(str(pid), pid, NOW - 60, NOW - 1, 8, tuple(map(paused, reasons)))


def test_where_all_is_well_there_is_none() -> None:
    assert notices(NOW, stats=STATS) == []
    assert notices(NOW) == []


@pytest.mark.parametrize("reason", PauseReason)
def test_a_pause_has_its_reason_its_times_and_its_remedy(reason: PauseReason) -> None:
    [notice] = notices(NOW, [paused(reason)])
    assert (notice.kind, notice.name) == ("warn", f"Paused: {reason.value}")
    assert notice.title == f"Paused: {reason.value}, for 12 s, ends in 1 m"
    assert (notice.detail, notice.what_to_do) == ("because", WHAT_TO_DO[reason])


def test_answers_that_nothing_proves_are_counted_with_the_cure() -> None:
    [notice] = notices(NOW, stats=STATS, unproven_gone=1500)
    assert (notice.kind, notice.name) == ("warn", "Unproven")
    assert "1,500 answers of 404 or 410 in a row" in notice.title
    assert "reaper check" in notice.what_to_do


def test_all_at_once_come_with_the_worst_first() -> None:
    stats = replace(STATS, ready=1, accepted=9, dead=1)
    found = notices(
        NOW, [paused(PauseReason.API_DOWN)], unavailable="it is locked", stalled_s=40.0, stats=stats,
        others=[worker(2, PauseReason.THROTTLED)], has_worker=False, holds=1, ghosts=2,
    )  # fmt: skip
    assert [(notice.kind, notice.title) for notice in found] == [
        ("bad", "Queue unavailable"),
        ("bad", "Stuck: the claim loop has not turned for 40 s"),
        ("warn", "Paused: api_down, for 12 s, ends in 1 m"),
        ("warn", "Paused in reaper 2: throttled, for 12 s, ends in 1 m"),
        ("bad", "Imbalance: 1 accepted and not accounted for"),
        ("warn", "Held: 1 sweep waits for you"),
        ("warn", "Ghosts: 2 sessions live on though the API said it was over"),
        ("warn", "Dead letters: 1 session could not be stopped and may still run"),
        ("warn", "no reaper is working on this queue"),
    ]
    assert all(notice.what_to_do for notice in found)


def test_a_pause_of_another_worker_counts_once_and_the_operators_is_not_a_workers() -> None:
    others = [
        worker(2, PauseReason.OPERATOR, PauseReason.API_DOWN, PauseReason.THROTTLED),
        worker(3, PauseReason.THROTTLED),
    ]
    found = notices(NOW, [paused(PauseReason.API_DOWN)], others=others)
    assert [notice.name for notice in found] == ["Paused: api_down", "Paused in another reaper: throttled"]


def test_without_a_worker_one_is_wanted_only_if_something_waits() -> None:
    [idle] = notices(NOW, stats=STATS, has_worker=False)
    assert (idle.kind, idle.what_to_do) == ("calm", "")
    [later] = notices(NOW, stats=replace(STATS, scheduled=1, accepted=8), has_worker=False)
    assert (later.kind, later.what_to_do) == ("calm", "start one: reaper run, or reaper once")

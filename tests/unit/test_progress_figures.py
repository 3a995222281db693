"""The figures of progress: rates, counts, and the time that is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reaper.cli.terminal.progress_stats import LiveCounts, Pace, RateMeter, RunFigures
from reaper.core.model import Outcome, Pause, PauseReason
from reaper.queues.values import SetView

VIEW = SetView(100, 7, 12, 0, {Outcome.STOPPED: 1290, Outcome.ALREADY_GONE: 15, Outcome.FORBIDDEN: 5})
FIGURES = RunFigures(VIEW, in_flight=32, limit=64, sends=1500, now=1000.0, rate_per_s=148.2, pace_per_s=148.2)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    meter = RateMeter()
    assert meter.per_s is None
    for second in range(100):
        meter.note(second, 10 * min(second, 50))
    assert meter.per_s == 0, "a rate of long ago is shown"
    meter = RateMeter()
    meter.note(0, 0)
    meter.note(0.5, 400)
    assert meter.per_s is None, "half a second is too short for a rate"
    meter.note(2, 400)
    assert meter.per_s == 200


def test_a_tally_adds_what_was_settled_since_the_last_look_and_never_more_than_there_is() -> None:
    counts = LiveCounts()
    counts.refresh(SetView(8, 5, 2, 1, {Outcome.STOPPED: 3}))
    for _ in range(4):
        counts.settled(Outcome.STOPPED, 0.0)
    view = counts.view
    assert (view.settled[Outcome.STOPPED], view.open, view.scheduled, view.retrying) == (7, 12, 5, 2)
    for _ in range(50):
        counts.settled(Outcome.REJECTED, 0.0)
    view = counts.view
    assert sum(view.settled.values()) == 3 + 11
    assert (view.open, view.retrying) == (5, 0)
    counts.refresh(SetView(0, 5, 0, 0, {Outcome.STOPPED: 14}))
    assert counts.view.settled == {Outcome.STOPPED: 14}


def test_figures_of_a_run() -> None:
    assert (FIGURES.done, FIGURES.total) == (1310, 1422)
    assert FIGURES.left_s == pytest.approx(112 / 148.2)
    assert replace(FIGURES, pauses=(Pause(PauseReason.OPERATOR, 1.0, "lunch"),)).left_s is None
    assert replace(FIGURES, pace_per_s=None).left_s is None
    assert replace(FIGURES, view=replace(VIEW, ready=0)).left_s is None, "a rate says nothing of retries that wait"
    assert FIGURES.fields() == {
        "done": 1310, "total": 1422, "rate_per_s": 148.2, "left_s": 0.8, "in_flight": 32, "limit": 64,
        "scheduled": 7, "retrying": 12, "delayed": 19, "sends": 1500,
        "stopped": 1290, "already_gone": 15, "forbidden": 5,
    }  # fmt: skip


def estimates(sessions: int, answer_s: float, bound: int) -> list[tuple[float, float | None, float]]:
    """Return, four times a second, the instant, the estimate and the truth of a run whose answers all take so long.

    It begins with a read of the API; then its limit doubles with each round, as that of a real run does.
    """
    done_at: list[float] = []
    limits, at, limit = [(0.0, 8)], answer_s, 8
    while len(done_at) < sessions:
        at += answer_s
        done_at += [at] * min(limit, sessions - len(done_at))
        limit = min(bound, 2 * limit)
        limits.append((at, limit))
    pace, seen = Pace(), []
    for tick in range(int(at * 4)):
        now = tick / 4
        done = sum(one <= now for one in done_at)
        limit = next(limit for since, limit in reversed(limits) if since <= now)
        flying = 0 if now < answer_s else min(limit, sessions - done)
        pace.note(now, done, limit=limit, in_flight=flying, held=False)
        seen.append((now, None if pace.per_s is None else (sessions - done) / pace.per_s, at - now))
    return seen


@pytest.mark.parametrize(("sessions", "answer_s", "bound"), [(400, 1.0, 32), (2_000, 0.3, 64), (400, 4.0, 16)])
def test_the_time_left_is_said_when_it_can_be_right(sessions: int, answer_s: float, bound: int) -> None:
    seen = estimates(sessions, answer_s, bound)
    said = [(now, left, truth) for now, left, truth in seen if left is not None]
    for now, left, truth in said:
        assert left is not None
        assert truth / 2 - answer_s <= left <= truth * 1.6 + answer_s, (now, left, truth)
    assert said[0][0] < seen[-1][0] * 0.6, "a long run never says how long it takes"


def test_the_time_left_is_not_said_by_a_pace_that_has_ended() -> None:
    pace = Pace()
    for second in range(10):
        pace.note(second, 10 * second, limit=8, in_flight=8, held=False)
    assert pace.per_s == 10
    pace.note(10, 100, limit=5, in_flight=5, held=False)
    assert pace.per_s is None, "the limit was cut"
    for second in range(11, 15):
        pace.note(second, 100 + 5 * (second - 10), limit=5, in_flight=5, held=False)
    assert pace.per_s == 5
    pace.note(15, 120, limit=5, in_flight=0, held=True)
    pace.note(75, 120, limit=5, in_flight=5, held=False)
    pace.note(77, 120, limit=5, in_flight=5, held=False)
    assert pace.per_s is None, "a pause is no pace"

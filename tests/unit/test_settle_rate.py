"""The rate of settled sessions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from reaper.telemetry.settle_rate import BUCKET_S, BUCKETS, SettleRate


@dataclass
class Clock:
    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def count(recent: SettleRate, times: int) -> None:
    for _ in range(times):
        recent.count()


def test_nothing_yet(clock: Clock) -> None:
    recent = SettleRate(clock)
    assert recent.counts == [0] * BUCKETS
    assert recent.per_minute(1) == 0


def test_counts_move_on_and_fall_out(clock: Clock) -> None:
    recent = SettleRate(clock)
    count(recent, 3)
    clock.at += BUCKET_S
    count(recent, 2)
    assert recent.counts[-3:] == [0, 3, 2]
    clock.at += BUCKET_S * (BUCKETS - 2)
    assert recent.counts[:2] == [3, 2]
    clock.at += BUCKET_S
    assert sum(recent.counts) == 2
    clock.at += 1e6
    assert recent.counts == [0] * BUCKETS


def test_a_rate_is_over_the_time_that_there_was(clock: Clock) -> None:
    recent = SettleRate(clock)
    clock.at += 10
    count(recent, 10)
    assert [recent.per_minute(minutes) for minutes in (1, 5, 15)] == [60, 60, 60]
    clock.at += 50
    assert recent.per_minute(1) == pytest.approx(10)
    clock.at += 30
    assert recent.per_minute(1) == 0
    assert recent.per_minute(5) == pytest.approx(600 / 90)
    assert recent.per_minute(15) == pytest.approx(600 / 90)


def test_a_steady_rate_is_told_as_it_is(clock: Clock) -> None:
    recent = SettleRate(clock)
    for _ in range(2000):
        clock.at += 1
        recent.count()
    assert [recent.per_minute(minutes) for minutes in (1, 5, 15)] == pytest.approx([60, 60, 60], rel=0.02)

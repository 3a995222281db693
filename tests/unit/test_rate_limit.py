"""The rate of starts: evenly spaced, with little to catch up."""

import pytest

from reaper.core.rate_limit import RateLimit


def test_a_fast_rate_lets_a_late_caller_catch_up_by_two_hundredths_of_a_second() -> None:
    rate = RateLimit(1000.0)
    assert rate.allowed(50.0) == 21
    for _ in range(rate.allowed(50.0)):
        rate.take(50.0)
    assert rate.allowed(50.0) == 0
    assert rate.next_at(50.0) == pytest.approx(50.001)
    assert rate.next_at(60.0) == 60.0


def test_a_rate_of_one_a_second_is_a_rate() -> None:
    rate = RateLimit(1.0)
    assert rate.allowed(50.0) == 1
    rate.take(50.0)
    due = rate.next_at(50.0)
    assert due == pytest.approx(50.98)
    assert [rate.allowed(now) for now in (50.0, due - 0.01, due)] == [0, 0, 1]

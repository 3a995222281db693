"""An engine's clock goes on by this machine's steady one between two measurements."""

from __future__ import annotations

import time

import pytest

from reaper.queues.server_time import ServerTime


def test_between_measurements_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    here = 50.0
    monkeypatch.setattr(time, "monotonic", lambda: here)
    theirs = ServerTime()
    theirs.measured(1_000_000.0)
    here += 2.5
    assert theirs.now() == 1_000_002.5
    theirs.measured(999_999.0)
    assert theirs.now() == 999_999.0, "the engine's time is right"


def test_a_tests_clock_takes_its_place() -> None:
    theirs = ServerTime(lambda: 7.0)
    theirs.measured(1_000_000.0)
    assert theirs.now() == 7.0

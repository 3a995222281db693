"""The server's clock: read from `Date`, believed while it moves as time does, whatever the local clock says."""

import pytest

from reaper.core.discovery.server_clock import (
    MAX_SKEW_S,
    REBASE_AFTER_S,
    SETTLED_AFTER_S,
    ClockJump,
    ClockReading,
    NoServerTime,
    ServerClock,
    follow,
    read_date,
)

DATE, AT = "Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0


def test_a_date_is_read_with_its_skew() -> None:
    found = read_date(DATE, local_at=AT + 3600, monotonic_at=50.0, round_trip_s=2.0)
    assert found == ClockReading(AT, 49.0, -3598.5, 1.5)


@pytest.mark.parametrize("off_s", [0, 3600, -3600, 86_400, -86_400])
def test_the_local_clock_changes_the_skew_alone(off_s: float) -> None:
    found = read_date(DATE, local_at=AT + off_s, monotonic_at=50.0, round_trip_s=0.0)
    assert isinstance(found, ClockReading)
    assert (found.server_at, found.monotonic_at, found.skew_s) == (AT, 50.0, 0.5 - off_s)


@pytest.mark.parametrize("date", ["", "now", "-1", "\x1b[31m", "Sun, 99 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"])
def test_a_date_that_cannot_be_read_is_none(date: str) -> None:
    found = read_date(date, local_at=AT, monotonic_at=0.0, round_trip_s=0.0)
    assert isinstance(found, NoServerTime)
    assert "cannot be read" in found.reason
    assert found.reason.isprintable()


def test_an_answer_without_a_date_says_so() -> None:
    found = read_date(None, local_at=AT, monotonic_at=0.0, round_trip_s=0.0)
    assert isinstance(found, NoServerTime)
    assert "no Date" in found.reason


def at(server_s: float, passed_s: float) -> ClockReading:
    return ClockReading(AT + server_s, passed_s, 0.0, 0.5)


BASE = ServerClock(at(0, 0))


def test_the_first_reading_is_believed() -> None:
    assert follow(ServerClock(), at(0, 0)) == (BASE, None)


@pytest.mark.parametrize("off_s", [0.0, MAX_SKEW_S, -MAX_SKEW_S])
def test_a_clock_that_moves_as_time_does_is_believed(off_s: float) -> None:
    assert follow(BASE, at(60 + off_s, 60)) == (BASE, None)


@pytest.mark.parametrize("off_s", [MAX_SKEW_S + 1, -MAX_SKEW_S - 1, 86_400, -86_400])
def test_a_clock_that_jumps_is_not_believed_and_the_earlier_reading_stays(off_s: float) -> None:
    clock, doubt = follow(BASE, at(60 + off_s, 60))
    assert isinstance(doubt, ClockJump)
    assert ("back" in doubt.reason) is (off_s < 0)
    assert clock.base == BASE.base
    assert follow(clock, at(120, 120)) == (BASE, None)


def test_small_steps_add_up() -> None:
    clock, doubt = BASE, None
    for step in range(1, 4):
        clock, doubt = follow(clock, at(step * 160, step * 60))
    assert doubt is None
    assert isinstance(follow(clock, at(4 * 160, 4 * 60))[1], ClockJump)


def test_sound_clocks_that_drift_apart_over_months_stay_believed() -> None:
    clock = ServerClock()
    for hour in range(2000):
        clock, doubt = follow(clock, at(hour * 3600.2, hour * 3600))
        assert doubt is None
    assert clock.base == at(1999 * 3600.2, 1999 * 3600)
    assert REBASE_AFTER_S == 3600


def test_a_clock_that_was_set_is_believed_once_it_has_agreed_with_itself_for_long_enough() -> None:
    clock, jump_s = BASE, 7200
    for passed_s in (60, 500, 60 + SETTLED_AFTER_S - 1):
        clock, doubt = follow(clock, at(jump_s + passed_s, passed_s))
        assert isinstance(doubt, ClockJump)
    believed = at(jump_s + 60 + SETTLED_AFTER_S, 60 + SETTLED_AFTER_S)
    assert follow(clock, believed) == (ServerClock(believed), None)


def test_a_clock_that_jumps_again_has_to_agree_with_itself_anew() -> None:
    clock, doubt = follow(BASE, at(7260, 60))
    clock, doubt = follow(clock, at(20_000, 61))
    assert clock.suspect == at(20_000, 61)
    clock, doubt = follow(clock, at(20_000 + SETTLED_AFTER_S - 1, 60 + SETTLED_AFTER_S))
    assert isinstance(doubt, ClockJump)


def test_two_servers_behind_one_name_with_different_clocks_are_believed_by_turns_only() -> None:
    clock = BASE
    for turn in range(1, 200):
        wrong = turn % 2 == 1
        clock, doubt = follow(clock, at(turn * 60 + wrong * 3600, turn * 60))
        assert isinstance(doubt, ClockJump) is wrong


def test_the_jump_names_the_time_since_the_earlier_reading() -> None:
    base = ServerClock(at(0, 10_000))
    assert follow(base, at(60, 10_060)) == (base, None)
    for moved_s, way in ((7260, "on by 2 h 1 m"), (0, "on by 0 s"), (-60, "back by 1 m")):
        _, doubt = follow(base, at(moved_s, 10_600))
        assert isinstance(doubt, ClockJump)
        assert doubt.reason.startswith(f"the server's clock moved {way} while 10 m passed")


def test_a_suspect_stays_for_as_long_as_it_agrees_to_the_second() -> None:
    clock, _ = follow(BASE, at(7260, 60))
    clock, _ = follow(clock, at(7261 + MAX_SKEW_S, 61))
    assert clock.suspect == at(7260, 60)


def test_the_bounds_of_a_clock_that_jumps() -> None:
    assert (MAX_SKEW_S, SETTLED_AFTER_S) == (300.0, 900.0)

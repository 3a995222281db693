"""The adaptive limit, answer by answer: start, growth, cuts, answers that do not count, new settings."""

from dataclasses import dataclass

import pytest

from reaper.core.adaptive_limit import AdaptiveLimit, is_overload
from reaper.core.classify import (
    Broken,
    Final,
    Foreign,
    ServerFault,
    Throttled,
    Unauthorized,
    Unsent,
    Verdict,
)
from reaper.core.model import Fault, Outcome

STOPPED = Final(Outcome.STOPPED)
GONE = Final(Outcome.ALREADY_GONE)
OVERLOAD = ServerFault(503)
RESET = Broken(Fault.RESET)


@dataclass
class Drive:
    """A limiter and a clock that moves by one with each send."""

    limiter: AdaptiveLimit
    now: float = 0.0

    def answers(self, count: int, verdict: Verdict = STOPPED, in_flight: int | None = None) -> int:
        """Let sends that begin now be answered one after the other, the limit used in full; return the limit."""
        for _ in range(count):
            began, self.now = self.now + 1, self.now + 2
            used = self.limiter.limit if in_flight is None else in_flight
            self.limiter.observe(self.now, verdict, began=began, in_flight=used)
        return self.limiter.limit

    def late(self, count: int, verdict: Verdict, *, began: float) -> int:
        """Let sends that began then be answered now."""
        for _ in range(count):
            self.now += 1
            self.limiter.observe(self.now, verdict, began=began, in_flight=self.limiter.limit)
        return self.limiter.limit


def grown(bound: int = 256) -> Drive:
    """A drive whose limit has doubled from 8 to 64."""
    drive = Drive(AdaptiveLimit(bound))
    assert drive.answers(8 + 16 + 32) == 64
    return drive


def test_growth_takes_a_whole_window_and_the_first_overload_cuts() -> None:
    for limiter in (AdaptiveLimit(256), AdaptiveLimit(256, adaptive=False)):
        limiter.reconfigure(256, adaptive=True)
        drive = Drive(limiter)
        assert (drive.answers(7), drive.answers(1)) == (8, 16)
        assert drive.answers(1, OVERLOAD) == 11
        limiter.reconfigure(256, adaptive=False)
        limiter.reconfigure(256, adaptive=True)
        assert drive.answers(1, OVERLOAD) == 5


def test_the_answer_to_a_send_that_began_with_a_cut_does_not_count() -> None:
    drive = grown()
    drive.answers(1, OVERLOAD)
    began = drive.now
    assert drive.late(44, OVERLOAD, began=began) == 44
    assert drive.answers(44, OVERLOAD) == 44, "nor did it use up the window"


@pytest.mark.parametrize(("bound", "limit"), [(1, 1), (7, 7), (8, 8), (9, 8), (1000, 8)])
def test_it_starts_at_eight_or_at_a_lower_bound(bound: int, limit: int) -> None:
    assert AdaptiveLimit(bound).limit == limit


def test_it_doubles_per_clean_window_up_to_the_bound() -> None:
    drive = Drive(AdaptiveLimit(50))
    assert drive.answers(7) == 8
    assert drive.answers(1) == 16
    assert drive.answers(15, GONE) == 16
    assert drive.answers(1, GONE) == 32
    assert drive.answers(32) == 50
    assert drive.answers(500) == 50


def test_after_the_first_overload_it_adds_one_per_clean_window() -> None:
    drive = grown()
    assert drive.answers(1, OVERLOAD) == 44
    assert drive.answers(43) == 44
    assert drive.answers(1) == 45
    assert drive.answers(45) == 46


def test_an_overload_starts_the_clean_window_anew() -> None:
    drive = grown()
    drive.answers(1, OVERLOAD)
    assert drive.answers(30) == 44
    assert drive.answers(1, OVERLOAD) == 44  # inside the window of the cut
    assert drive.answers(43) == 44
    assert drive.answers(1) == 45


def test_one_cut_per_window_however_many_overloads() -> None:
    drive = grown()
    assert drive.answers(1, OVERLOAD) == 44
    assert drive.answers(44, OVERLOAD) == 44
    assert drive.answers(1, OVERLOAD) == 30
    assert drive.answers(30, OVERLOAD) == 30
    assert drive.answers(1, OVERLOAD) == 21


def test_it_never_ends_below_one_and_grows_from_there() -> None:
    drive = Drive(AdaptiveLimit(256))
    assert drive.answers(200, OVERLOAD) == 1
    assert drive.answers(1) == 2
    assert drive.answers(2) == 3


def test_answers_to_sends_that_began_before_a_cut_do_not_count() -> None:
    drive = grown()
    began = drive.now
    drive.answers(1, OVERLOAD)
    assert drive.late(1000, OVERLOAD, began=began) == 44
    assert drive.late(1000, STOPPED, began=began) == 44
    # Nor did they use up the window: it still takes 44 answers of sends that began after the cut.
    assert drive.answers(44, OVERLOAD) == 44
    assert drive.answers(1, OVERLOAD) == 30


def test_a_burst_of_late_timeouts_cuts_once_although_others_were_answered_between() -> None:
    drive = grown()
    hung = drive.now
    drive.late(1, Broken(Fault.TIMEOUT), began=hung)
    for _ in range(10):
        limit = drive.answers(100)
        assert drive.late(1, Broken(Fault.TIMEOUT), began=hung) == limit
    assert drive.limiter.limit > 44


@pytest.mark.parametrize(("in_flight", "limit"), [(1, 8), (3, 8), (4, 16), (8, 16)])
def test_it_grows_only_while_half_of_it_is_used(in_flight: int, limit: int) -> None:
    drive = Drive(AdaptiveLimit(256))
    drive.answers(8, in_flight=in_flight)
    assert drive.limiter.limit == limit


def test_a_trickle_never_raises_it_and_load_after_it_does() -> None:
    drive = Drive(AdaptiveLimit(256))
    assert drive.answers(10_000, in_flight=1) == 8
    assert drive.answers(10_000, in_flight=20) == 64  # 20 in flight use 32, and no more than twice that is granted
    assert drive.answers(64) == 128


def test_an_overload_counts_also_when_little_is_in_flight() -> None:
    drive = grown()
    assert drive.answers(1, OVERLOAD, in_flight=1) == 44


@pytest.mark.parametrize("verdict", [Unauthorized(0), Foreign(302), RESET, Unsent(Fault.DNS)])
def test_answers_that_do_not_depend_on_load_neither_grow_nor_cut_nor_fill_a_window(verdict: Verdict) -> None:
    drive = Drive(AdaptiveLimit(256))
    assert drive.answers(100, verdict) == 8
    assert drive.answers(7) == 8
    assert drive.answers(5, verdict) == 8
    assert drive.answers(1) == 16
    drive.answers(1, OVERLOAD)
    drive.answers(100, verdict)
    assert drive.answers(11, OVERLOAD) == 11
    assert drive.answers(1, OVERLOAD) == 7


@pytest.mark.parametrize(
    ("verdict", "overload"),
    [
        (Throttled(None), True),
        (Throttled(30.0), True),
        *((ServerFault(status), True) for status in (408, 425, 503, 504, 599)),
        *((ServerFault(status), None) for status in (500, 502)),
        (Broken(Fault.TIMEOUT), True),
        (Unsent(Fault.TIMEOUT), True),
        *((Final(outcome), False) for outcome in Outcome),
        (Unauthorized(None), None),
        (Foreign(200), None),
        *((Broken(fault), None) for fault in (Fault.RESET, Fault.MALFORMED)),
        *((Unsent(fault), None) for fault in (Fault.DNS, Fault.CONNECT, Fault.TLS, Fault.RESOURCES, Fault.RESET)),
    ],
)
def test_which_answers_show_an_overload(verdict: Verdict, overload: bool | None) -> None:
    assert is_overload(verdict) is overload


def test_turned_off_the_limit_is_the_bound() -> None:
    drive = Drive(AdaptiveLimit(50, adaptive=False))
    assert drive.limiter.limit == 50
    assert drive.answers(1000, OVERLOAD) == 50
    drive.limiter.reconfigure(20, adaptive=False)
    assert drive.answers(1000) == 20


def test_a_lower_bound_holds_at_once_and_a_higher_one_lets_the_limit_grow() -> None:
    drive = grown()
    drive.limiter.reconfigure(20, adaptive=True)
    assert drive.limiter.limit == 20
    assert drive.answers(500) == 20
    drive.limiter.reconfigure(256, adaptive=True)
    assert drive.limiter.limit == 20
    assert drive.answers(20) == 40


def test_a_reload_that_changes_nothing_keeps_what_was_learned() -> None:
    drive = grown()
    drive.answers(1, OVERLOAD)
    drive.answers(43)
    drive.limiter.reconfigure(256, adaptive=True)
    assert drive.answers(1) == 45


def test_turned_off_and_on_it_starts_anew() -> None:
    drive = grown()
    drive.answers(1, OVERLOAD)
    drive.limiter.reconfigure(256, adaptive=False)
    assert drive.limiter.limit == 256
    drive.limiter.reconfigure(256, adaptive=True)
    assert drive.limiter.limit == 8
    assert drive.answers(7) == 8
    assert drive.answers(1) == 16

"""Every guard fires at its border, on the first sweep too where it can, and a sweep is never cut."""

from dataclasses import replace

import pytest

from reaper.core.discovery.guard import GuardLimits, Pass, Sweep, UnusableListing, check_guards, next_baseline
from reaper.core.discovery.holds import HOLD_LIFE_S, Guard, Hold
from reaper.core.discovery.listing import Listing, SessionSummary
from reaper.core.discovery.policy import Judged, Judgement, Rule
from reaper.core.model import SessionId

NOW = 2_000_000_000.0
WIDE = GuardLimits(max_per_sweep=1_000_000, max_share=1.0, list_shrink=1.0)


def ids(n: int, start: int = 0) -> frozenset[SessionId]:
    return frozenset(SessionId(f"ses-{number}") for number in range(start, start + n))


def sweep(reaped: int, kept: int, *, ended: int = 0, malformed: int = 0, known: frozenset[SessionId] = ids(0)) -> Sweep:
    """The first `reaped` of ses-0, ses-1, … are expired, the next `kept` live, the last `ended` have ended."""
    rules = [Rule.EXPIRED] * reaped + [Rule.LIVE] * kept + [Rule.ENDED] * ended
    judged = tuple(Judged(SessionSummary(SessionId(f"ses-{n}")), Judgement(rule, "")) for n, rule in enumerate(rules))
    listing = Listing(tuple(each.session for each in judged), malformed, ("entry 7: it is bad",) if malformed else ())
    return Sweep(listing, judged, known)


def ruled(
    it: Sweep, limits: GuardLimits, previous: frozenset[SessionId] | None = None
) -> tuple[Guard, ...] | frozenset[SessionId]:
    """Return the guards that fired, or what passed."""
    ruling = check_guards(it, limits, previous=previous, hold_id="h1", now=NOW)
    if isinstance(ruling, Hold):
        assert ruling.sessions == it.chosen
        return ruling.guards
    assert isinstance(ruling, Pass)
    assert ruling.sessions == it.chosen
    return frozenset(ruling.sessions)


@pytest.mark.parametrize("previous", [None, ids(101)])
def test_max_per_sweep_fires_above_its_figure(previous: frozenset[SessionId] | None) -> None:
    limits = GuardLimits(100, 1.0, 1.0)
    assert ruled(sweep(100, 1), limits, previous) == ids(100)
    assert ruled(sweep(101, 0), limits, previous) == (Guard.MAX_PER_SWEEP,)
    assert ruled(sweep(2, 0), GuardLimits(1, 1.0, 1.0), previous) == (Guard.MAX_PER_SWEEP,)


@pytest.mark.parametrize("previous", [None, ids(10)])
def test_max_share_fires_above_its_share_from_ten_live_ones_on(previous: frozenset[SessionId] | None) -> None:
    limits = GuardLimits(1000, 0.5, 1.0)
    assert ruled(sweep(5, 5), limits, previous) == ids(5)
    assert ruled(sweep(6, 4), limits, previous) == (Guard.MAX_SHARE,)
    assert ruled(sweep(10, 0), limits, previous) == (Guard.MAX_SHARE,)
    assert ruled(sweep(9, 0), limits, previous) == ids(9)
    assert ruled(sweep(8, 1, ended=50), limits, previous) == ids(8)
    assert ruled(sweep(6, 4, ended=50), limits, previous) == (Guard.MAX_SHARE,)


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_share_is_exact(percent: int) -> None:
    limits = GuardLimits(1000, percent / 100, 1.0)
    assert ruled(sweep(percent, 100 - percent), limits) == ids(percent)
    if percent < 100:
        assert ruled(sweep(percent + 1, 99 - percent), limits) == (Guard.MAX_SHARE,)


def test_list_shrink_fires_when_the_list_has_lost_its_share() -> None:
    limits = GuardLimits(1000, 1.0, 0.5)
    assert ruled(sweep(1, 10), limits, ids(20)) == ids(1)
    assert ruled(sweep(1, 9), limits, ids(20)) == (Guard.LIST_SHRINK,)
    assert ruled(sweep(1, 0), limits, ids(20)) == (Guard.LIST_SHRINK,)
    assert ruled(sweep(1, 4), limits, ids(10)) == (Guard.LIST_SHRINK,)
    assert ruled(sweep(1, 99), limits, ids(20)) == ids(1)
    assert ruled(sweep(1, 8, ended=2), limits, ids(20)) == ids(1), "the list is as long as it is, whatever is in it"


def test_list_shrink_cannot_fire_on_the_first_sweep_nor_on_a_few_sessions() -> None:
    limits = GuardLimits(1000, 1.0, 0.5)
    assert ruled(sweep(1, 0), limits, None) == ids(1)
    assert ruled(sweep(1, 0), limits, ids(9)) == ids(1)


@pytest.mark.parametrize("previous", [None, ids(9)])
def test_a_malformed_list_stops_the_sweep_on_the_first_one_too(previous: frozenset[SessionId] | None) -> None:
    ruling = check_guards(sweep(1, 5, malformed=2), WIDE, previous=previous, hold_id="h1", now=NOW)
    assert ruling == UnusableListing("2 entries of the list are malformed or doubled: entry 7: it is bad")
    one = check_guards(sweep(1, 5, malformed=1), WIDE, previous=previous, hold_id="h1", now=NOW)
    assert one == UnusableListing("1 entry of the list is malformed or doubled: entry 7: it is bad")
    assert isinstance(
        check_guards(sweep(0, 0, malformed=1), WIDE, previous=None, hold_id="h1", now=NOW), UnusableListing
    )


def test_a_sweep_that_stops_nothing_passes_whatever_the_list() -> None:
    assert check_guards(sweep(0, 1), GuardLimits(), previous=ids(100), hold_id="h1", now=NOW) == Pass({})


def test_a_hold_names_every_guard_with_its_figures() -> None:
    hold = check_guards(sweep(120, 20), GuardLimits(), previous=ids(400), hold_id="h1", now=NOW)
    assert isinstance(hold, Hold)
    assert (hold.id, hold.created_at, hold.expires_at) == ("h1", NOW, NOW + HOLD_LIFE_S)
    assert hold.guards == (Guard.MAX_PER_SWEEP, Guard.MAX_SHARE, Guard.LIST_SHRINK)
    assert hold.reason == (
        "120 sessions would be stopped, guard.max_per_sweep is 100; "
        "120 of 140 live sessions would be stopped, guard.max_share is 0.5; "
        "140 sessions are listed where the reading before had 400, guard.list_shrink is 0.5"
    )
    assert hold.sessions == dict.fromkeys(ids(120), Rule.EXPIRED)


def test_sessions_in_the_queue_are_neither_chosen_nor_missed() -> None:
    approved = sweep(150, 150, known=ids(150))
    assert ruled(approved, GuardLimits()) == frozenset()
    assert ruled(sweep(151, 149, known=ids(150)), GuardLimits()) == ids(1, 150)
    # The share is of those that nobody is stopping.
    assert ruled(sweep(16, 4, known=ids(10)), GuardLimits(100, 0.5, 1.0)) == (Guard.MAX_SHARE,)
    # 80 of 100 were stopped on someone's word: the list has shrunk, and that is explained.
    assert ruled(sweep(0, 20, known=ids(80, 20)), GuardLimits(), ids(100)) == frozenset()
    rest = replace(sweep(1, 19), known=ids(80, 20))
    assert ruled(rest, GuardLimits(), ids(100)) == ids(1)
    assert ruled(sweep(1, 19), GuardLimits(), ids(100)) == (Guard.LIST_SHRINK,)


def test_the_next_list_is_compared_with_the_last_usable_one() -> None:
    before = ids(100)

    def next_measure(it: Sweep, limits: GuardLimits) -> frozenset[SessionId] | None:
        return next_baseline(it, check_guards(it, limits, previous=before, hold_id="h1", now=NOW), before)

    assert next_measure(sweep(3, 60, ended=5), GuardLimits()) == ids(68)
    assert next_measure(sweep(3, 60, known=ids(1)), GuardLimits()) == ids(62, 1)
    assert next_measure(sweep(60, 30), GuardLimits()) == ids(90), "held for its share, the list itself is sound"
    assert next_measure(sweep(1, 30), GuardLimits()) == before
    assert next_measure(sweep(1, 90, malformed=1), GuardLimits()) == before
    assert next_measure(sweep(0, 30), GuardLimits()) == ids(30)


def test_half_a_list_stays_held_for_as_long_as_it_is_half() -> None:
    previous = ids(40)
    for _ in range(3):
        ruling = check_guards(sweep(2, 18), GuardLimits(), previous=previous, hold_id="h", now=NOW)
        assert isinstance(ruling, Hold)
        previous = next_baseline(sweep(2, 18), ruling, previous) or frozenset()
    assert isinstance(check_guards(sweep(2, 38), GuardLimits(), previous=previous, hold_id="h", now=NOW), Pass)

"""What no sweep may bring about: more passed than a guard allows, or a sighting forgotten."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.core.discovery.guard import GuardLimits, Pass, Sweep, UnusableListing, check_guards, next_baseline
from reaper.core.discovery.holds import Guard, Hold, read_holds, to_text
from reaper.core.discovery.listing import Listing, SessionSummary
from reaper.core.discovery.policy import Judged, Judgement, Rule
from reaper.core.discovery.sightings import Owners, Sightings, read_sightings, update_sightings
from reaper.core.model import SessionId

names = st.sampled_from(["a", "b", "c", "d"])
owner_sets: st.SearchStrategy[Owners] = st.none() | st.frozensets(names, max_size=3)
thorough = settings(max_examples=400)
"""The borders are narrow; an example costs a few microseconds."""
rules = st.sampled_from([Rule.EXPIRED, Rule.FAILED, Rule.ORPHANED, Rule.LIVE, Rule.LIVE, Rule.PROTECTED, Rule.ENDED])
numbers = st.integers(0, 40)


@st.composite
def sweeps(draw: st.DrawFn) -> Sweep:
    # Half of them of round sizes, where a share can be met exactly.
    size = draw(st.sampled_from([None, 10, 20, 40]))
    kinds = draw(st.sampled_from([rules, rules.filter(lambda rule: rule is not Rule.ENDED)]))
    drawn = dict(enumerate(draw(st.lists(kinds, min_size=size or 0, max_size=size or 40))))
    judged = [Judged(SessionSummary(SessionId(f"s{n}")), Judgement(rule, "why")) for n, rule in drawn.items()]
    malformed = draw(st.sampled_from([0, 0, 0, 2]))
    listing = Listing(tuple(each.session for each in judged), malformed, ("why",) * malformed)
    known = draw(st.just(set[int]()) | st.sets(numbers, max_size=9))
    return Sweep(listing, tuple(judged), frozenset(SessionId(f"s{n}") for n in known))


limit_values = st.builds(
    GuardLimits, st.integers(1, 12), st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]), st.sampled_from([0.1, 0.5, 1.0])
)
measures = st.none() | st.sampled_from([9, 10, 20, 40, 80]).map(
    lambda n: frozenset(SessionId(f"s{i}") for i in range(n))
)


@thorough
@given(sweeps(), limit_values, measures)
def test_a_guard_passes_no_more_than_it_allows_and_holds_exactly_what_was_judged(
    sweep: Sweep, limits: GuardLimits, previous: frozenset[SessionId] | None
) -> None:
    ruling = check_guards(sweep, limits, previous=previous, hold_id="h", now=0.0)
    reaped = {
        each.session.session_id: each.verdict.rule
        for each in sweep.judged
        if each.verdict.rule in (Rule.EXPIRED, Rule.FAILED, Rule.ORPHANED)
        and each.session.session_id not in sweep.known
    }
    live = [
        each
        for each in sweep.judged
        if each.verdict.rule is not Rule.ENDED and each.session.session_id not in sweep.known
    ]
    listed = frozenset(each.session.session_id for each in sweep.judged) - sweep.known
    # In whole figures: a share of p % is exceeded when 100 n > p m.
    before = len(previous - sweep.known) if previous is not None else 0
    tripped = {
        Guard.MAX_PER_SWEEP: len(reaped) > limits.max_per_sweep,
        Guard.MAX_SHARE: len(live) >= 10 and 100 * len(reaped) > round(100 * limits.max_share) * len(live),
        Guard.LIST_SHRINK: before >= 10 and 100 * (before - len(listed)) >= round(100 * limits.list_shrink) * before,
    }
    if sweep.listing.malformed:
        assert isinstance(ruling, UnusableListing)
    elif not reaped or not any(tripped.values()):
        assert ruling == Pass(reaped)
    else:
        assert isinstance(ruling, Hold)
        assert ruling.guards == tuple(guard for guard, fired in tripped.items() if fired)
        assert dict(ruling.sessions) == reaped
        assert read_holds(to_text((ruling,))) == (ruling,)
    unfit = isinstance(ruling, UnusableListing) or (isinstance(ruling, Hold) and Guard.LIST_SHRINK in ruling.guards)
    assert next_baseline(sweep, ruling, previous) == (previous if unfit else listed)


readings = st.tuples(st.lists(st.tuples(names, names), max_size=4), owner_sets, st.none() | st.integers(0, 300))


@given(st.lists(readings, max_size=6))
def test_sightings_hold_what_is_listed_now_and_survive_as_text(
    rounds: list[tuple[list[tuple[str, str]], Owners, int | None]],
) -> None:
    sightings = Sightings()
    for listed, owners, now in rounds:
        sessions = [SessionSummary(SessionId(session_id), batch_id=batch) for session_id, batch in listed]
        before, sightings = (
            sightings,
            update_sightings(sightings, sessions, owners, None if now is None else float(now)),
        )
        assert read_sightings(sightings.to_text()) == sightings
        if now is None:
            assert sightings == before
            continue
        assert sightings.first.keys() <= {session.session_id for session in sessions}
        assert all(at <= now and at <= before.first.get(each, now) for each, at in sightings.first.items())

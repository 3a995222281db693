"""What no input may bring about: a session reaped that every rule would keep, or more passed than a guard allows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.core.discovery.listing import Listing, SessionSummary, Unreadable, parse_list, parse_summary
from reaper.core.discovery.policy import Action, Judgement, PolicyOptions, Rule, judge
from reaper.core.discovery.protection import Protection
from reaper.core.discovery.server_clock import MAX_SKEW_S, ClockReading, ServerClock, follow, read_date
from reaper.core.discovery.sightings import Owners, Sightings

NOW, DAY = 2_000_000_000, 86_400
GRACE = 120

# Instants crowd around the borders of the rules.
offsets = st.one_of(
    st.sampled_from([0, GRACE, 300, 900, DAY, DAY + GRACE]).flatmap(lambda at: st.integers(at - 2, at + 2)),
    st.integers(-2 * DAY, 3 * DAY),
)
times = offsets.map(lambda ago: datetime.fromtimestamp(NOW - ago, UTC).isoformat().replace("+00:00", "Z"))
names = st.sampled_from(["a", "b", "c", "d"])
sound = st.fixed_dictionaries(
    {
        "sessionId": st.sampled_from(["a", "ses-1"]),
        "status": st.sampled_from(["starting", "running", "failed", "ended", "new"]),
        "createdAt": times,
        "expiresAt": times,
        "cloneIds": st.lists(names, max_size=2),
    },
    optional={"batchId": names, "scenarioId": names, "alive": st.booleans()},
)
junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),  # JSON has neither
    st.text(max_size=5),
    st.lists(st.none() | names, max_size=2),
    st.dictionaries(names, st.none(), max_size=1),
    st.sampled_from(["2030-02-30T00:00:00Z", "1969-12-31T00:00:00Z", "2030-01-01", "9" * 99]),
)
FIELDS = ["status", "createdAt", "expiresAt", "cloneIds", "batchId", "scenarioId", "alive"]
owner_sets: st.SearchStrategy[Owners] = st.none() | st.frozensets(names, max_size=3)
seen_times = st.none() | st.integers(NOW - 200, NOW + 5).map(float)
clocks = st.none() | st.just(float(NOW))
shields = st.builds(
    Protection,
    ids=st.frozensets(names, max_size=2),
    globs=st.lists(st.sampled_from(["a*", "?", "*", "x*", "[ab]", "ses-?"]), max_size=2).map(tuple),
)
NO_SHIELD = Protection()
thorough = settings(max_examples=400)
"""The borders are narrow; an example costs a few microseconds."""


def judged(
    value: dict[str, Any], owners: Owners, seen: float | None, now: float | None, shield: Protection = NO_SHIELD
) -> Judgement:
    session = parse_summary(value)
    assert isinstance(session, SessionSummary)
    sightings = Sightings({} if seen is None else {session.session_id: seen})
    return judge(
        session, server_now=now, sightings=sightings, owners=owners, rules=PolicyOptions(GRACE), protection=shield
    )


def wanted(value: dict[str, Any], owners: Owners, seen: float | None, now: float | None) -> set[str]:
    """Return the rules of docs/discovery.md that ask for a session's end, without the policy and in integers."""
    created, expires = (int(datetime.fromisoformat(value[key]).timestamp()) for key in ("createdAt", "expiresAt"))
    asking = set()
    if now is not None and expires < NOW - GRACE:
        asking.add("expired")
    if now is not None and created < NOW - DAY - GRACE:
        asking.add("overdue")
    if value["status"] == "failed":
        asking.add("failed")
    if now is not None and owners and value.get("batchId", "") not in {*owners, ""} and seen and seen <= NOW - 60:
        asking.add("orphaned")
    young = value["status"] == "starting" and (now is None or created > NOW - 900)
    to_come = now is not None and created > NOW
    impossible = expires < created - DAY
    return set() if young or to_come or impossible or value["status"] == "ended" else asking


@thorough
@given(sound, owner_sets, seen_times, clocks)
def test_it_reaps_exactly_what_a_rule_asks_for(
    value: dict[str, Any], owners: Owners, seen: float | None, now: float | None
) -> None:
    verdict, asking = judged(value, owners, seen, now), wanted(value, owners, seen, now)
    assert (verdict.action is Action.REAP) is bool(asking)
    assert not asking or verdict.rule.value in asking
    assert verdict.reason.isprintable()


@thorough
@given(
    st.sampled_from(["starting", "running", "new"]),
    st.none() | names,
    owner_sets,
    st.none() | st.sampled_from([NOW - 60.0, NOW - 59.0]) | st.integers(NOW - DAY, NOW + DAY).map(float),
    clocks,
)
def test_an_orphan_is_reaped_for_two_sightings_and_nothing_less(
    status: str, batch: str | None, owners: Owners, seen: float | None, now: float | None
) -> None:
    hour_old: dict[str, object] = {"sessionId": "ses-1", "status": status, "cloneIds": [], "batchId": batch}
    for key, at in (("createdAt", NOW - 3600), ("expiresAt", NOW + 3600)):
        hour_old[key] = datetime.fromtimestamp(at, UTC).isoformat()
    alone = owners is not None and len(owners) > 0 and batch is not None and batch not in owners
    twice = now is not None and seen is not None and NOW - seen >= 60
    assert (judged(hour_old, owners, seen, now).rule is Rule.ORPHANED) is (alone and twice)


@thorough
@given(sound, owner_sets, seen_times, clocks, shields)
def test_protection_wins_over_everything_and_changes_nothing_else(
    value: dict[str, Any], owners: Owners, seen: float | None, now: float | None, shield: Protection
) -> None:
    verdict = judged(value, owners, seen, now, shield)
    called = [value["sessionId"], value.get("batchId"), value.get("scenarioId"), *value["cloneIds"]]
    covered = any(
        name in shield.ids
        or ("*" in shield.globs)
        or ("?" in shield.globs and len(name) == 1)
        or ("a*" in shield.globs and name[0] == "a")
        or ("ses-?" in shield.globs and name == "ses-1")
        for name in called
        if name is not None
    )
    if covered:
        assert (verdict.action, verdict.rule) == (Action.KEEP, Rule.PROTECTED)
    else:
        assert verdict == judged(value, owners, seen, now)


@thorough
@given(
    sound,
    owner_sets,
    seen_times,
    clocks,
    shields,
    st.dictionaries(st.sampled_from(FIELDS), junk, min_size=1, max_size=2),
    st.data(),
)
def test_a_missing_or_odd_field_never_turns_keep_into_reap(
    value: dict[str, Any],
    owners: Owners,
    seen: float | None,
    now: float | None,
    shield: Protection,
    odd: dict[str, Any],
    data: st.DataObject,
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(odd))), label="left out")
    worse = {key: field for key, field in (value | odd).items() if key not in gone}
    after = judged(worse, owners, seen, now, shield)
    assert after.reason.isprintable()
    session = parse_summary(worse)
    assert isinstance(session, SessionSummary)
    required = ("status", "createdAt", "expiresAt", "cloneIds")
    if session.odd or any(worse.get(name) is None for name in required):
        assert after.action is Action.KEEP
    # What was made of junk may be another sound value (a status, a batch); a field without its value reaps no more.
    less = {key: None if key in odd else field for key, field in value.items()}
    if judged(value, owners, seen, now).action is Action.KEEP:
        assert judged(less, owners, seen, now).action is Action.KEEP


@given(sound, owner_sets, seen_times, st.floats(-1e9, 4e9), st.floats(0, 1e7), st.floats(0, 20))
def test_verdicts_do_not_depend_on_the_local_clock(
    value: dict[str, Any], owners: Owners, seen: float | None, local_at: float, monotonic_at: float, took_s: float
) -> None:
    reading = read_date(formatdate(NOW, usegmt=True), local_at=local_at, monotonic_at=monotonic_at, round_trip_s=took_s)
    assert isinstance(reading, ClockReading)
    assert follow(ServerClock(), reading)[1] is None
    assert judged(value, owners, seen, reading.server_at) == judged(value, owners, seen, NOW)


@given(st.lists(st.tuples(st.integers(0, 7200), st.integers(-4000, 4000)), min_size=2, max_size=12), st.randoms())
def test_whether_a_clock_is_believed_does_not_depend_on_the_local_one(
    steps: list[tuple[int, int]], random: Any
) -> None:
    true, local, passed_s = ServerClock(), ServerClock(), 0
    for step_s, off_s in steps:
        passed_s += step_s
        date = formatdate(NOW + passed_s + off_s, usegmt=True)
        readings = [
            read_date(date, local_at=at, monotonic_at=float(passed_s), round_trip_s=0.0)
            for at in (NOW + passed_s, random.uniform(0, 4e9))
        ]
        assert isinstance(readings[0], ClockReading)
        assert isinstance(readings[1], ClockReading)
        before = true.base
        (true, doubt), (local, other) = follow(true, readings[0]), follow(local, readings[1])
        assert doubt == other
        if before is not None and doubt is None and step_s < 900:
            # What is believed has moved by no more than it may, or agreed with itself for long enough.
            moved_s = readings[0].server_at - before.server_at - (passed_s - before.monotonic_at)
            assert abs(moved_s) <= MAX_SKEW_S or passed_s - before.monotonic_at >= 900


@given(
    st.recursive(junk | sound, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner), max_leaves=9)
)
def test_any_list_is_read_and_every_entry_accounted_for(value: Any) -> None:
    entries = value if isinstance(value, list) else [value]
    found = parse_list(json.dumps({"sessions": entries}).encode())
    assert isinstance(found, Listing)
    assert len(found.sessions) + found.malformed == len(entries)
    assert len({session.session_id for session in found.sessions}) == len(found.sessions)
    assert bool(found.faults) is (found.malformed > 0)
    bare = parse_list(json.dumps(value).encode())
    assert isinstance(bare, Unreadable) or "sessions" in value


readings = st.tuples(st.lists(st.tuples(names, names), max_size=4), owner_sets, st.none() | st.integers(0, 300))

"""docs/discovery.md as a table, at the borders of its rules: what is stopped, by which rule, and what is kept."""

from dataclasses import replace

import pytest

from reaper.core.discovery.listing import SessionSummary
from reaper.core.discovery.policy import Action, Judgement, PolicyOptions, Rule, judge
from reaper.core.discovery.protection import Protection
from reaper.core.discovery.sightings import Owners, Sightings
from reaper.core.model import SessionId

NOW, H, DAY, GRACE = 2_000_000_000.0, 3600.0, 86_400.0, 120.0
ID = SessionId("ses-1")


def session(**changed: object) -> SessionSummary:
    """A running session of an hour's age with an hour to go."""
    sound = SessionSummary(ID, "running", NOW - H, NOW + H, "batch-1", "scenario-1", ("github",), True)
    return replace(sound, **changed)  # type: ignore[arg-type]


def judged(
    it: SessionSummary,
    *,
    now: float | None = NOW,
    seen: float | None = None,
    owners: Owners = None,
    protection: Protection = Protection(),  # noqa: B008
) -> Judgement:
    return judge(
        it,
        server_now=now,
        sightings=Sightings({} if seen is None else {ID: seen}),
        owners=owners,
        rules=PolicyOptions(GRACE),
        protection=protection,
    )


REAPED_BY = ("expired", "overdue", "failed", "orphaned")
OTHERS = frozenset({"batch-2"})
TABLE = [
    # expired: expiresAt + grace in the past
    (session(), Rule.LIVE),
    (session(expires_at=NOW - GRACE + 1), Rule.LIVE),
    (session(expires_at=NOW - GRACE), Rule.LIVE),
    (session(expires_at=NOW - GRACE - 0.001), Rule.EXPIRED),
    (session(created_at=NOW - 11 * DAY, expires_at=NOW - 10 * DAY), Rule.EXPIRED),
    # an expiry that no session can have had: "no time", written as 1970
    (session(created_at=NOW - H, expires_at=NOW - H - DAY), Rule.EXPIRED),
    (session(created_at=NOW - H, expires_at=NOW - H - DAY - 1), Rule.UNCLEAR),
    (session(created_at=NOW - H, expires_at=0.0), Rule.UNCLEAR),
    (session(expires_at=NOW - H, status="failed"), Rule.EXPIRED),
    (session(expires_at=NOW - H, status="a status of later days"), Rule.EXPIRED),
    (session(expires_at=NOW - H, alive=False, batch_id=None, scenario_id=None), Rule.EXPIRED),
    (session(expires_at=NOW - H, alive=None, clone_ids=()), Rule.EXPIRED),
    # overdue: older than 24 h + grace
    (session(created_at=NOW - DAY - GRACE), Rule.LIVE),
    (session(created_at=NOW - DAY - GRACE - 0.001), Rule.OVERDUE),
    (session(created_at=NOW - 30 * DAY, expires_at=NOW + 30 * DAY), Rule.OVERDUE),
    # failed
    (session(status="failed"), Rule.FAILED),
    (session(status="failed", created_at=NOW), Rule.FAILED),
    (session(status="Failed"), Rule.LIVE),
    # starting, younger than 15 min
    (session(status="starting", created_at=NOW - 899.999, expires_at=NOW - H), Rule.STARTING),
    (session(status="starting", created_at=NOW - 900, expires_at=NOW - H), Rule.EXPIRED),
    (session(status="starting", created_at=NOW - 900), Rule.LIVE),
    (session(status="starting", created_at=NOW - 2 * DAY), Rule.OVERDUE),
    (session(status="running", created_at=NOW - 60, expires_at=NOW - 121), Rule.EXPIRED),
    # it has ended already: there is nothing to stop
    (session(status="ended", expires_at=NOW - DAY), Rule.ENDED),
    # a missing field, or one that can't be read
    *[
        (session(**{"expires_at": NOW - DAY, "status": "failed"} | {name: None}), Rule.UNCLEAR)
        for name in ("status", "created_at", "expires_at", "clone_ids")
    ],
    *[
        (session(expires_at=NOW - DAY, status="failed", odd=(name,)), Rule.UNCLEAR)
        for name in ("createdAt", "batchId", "scenarioId", "alive")
    ],
    # made later than now, by the server's own clock: one of both is wrong
    (session(created_at=NOW, status="failed"), Rule.FAILED),
    (session(created_at=NOW + 0.001, status="failed"), Rule.UNCLEAR),
    (session(created_at=NOW + 120, status="failed"), Rule.UNCLEAR),
]


@pytest.mark.parametrize(("it", "rule"), TABLE)
def test_the_table(it: SessionSummary, rule: Rule) -> None:
    verdict = judged(it)
    assert verdict.rule is rule
    assert verdict.action is (Action.REAP if rule.value in REAPED_BY else Action.KEEP)
    assert verdict.reason
    assert verdict.reason.isprintable()


ORPHANS = [
    # owners, first seen, batch
    (OTHERS, NOW - 60, "batch-1", Rule.ORPHANED),
    (OTHERS, NOW - 59.999, "batch-1", Rule.LIVE),
    (OTHERS, NOW, "batch-1", Rule.LIVE),
    (OTHERS, NOW + H, "batch-1", Rule.LIVE),
    (OTHERS, None, "batch-1", Rule.LIVE),
    (OTHERS, NOW - H, "batch-2", Rule.LIVE),
    (OTHERS, NOW - H, None, Rule.LIVE),
    (None, NOW - H, "batch-1", Rule.LIVE),
    (frozenset[str](), NOW - H, "batch-1", Rule.LIVE),
]


@pytest.mark.parametrize(("owners", "seen", "batch", "rule"), ORPHANS)
def test_orphans_need_two_sightings_and_known_owners(
    owners: Owners, seen: float | None, batch: str | None, rule: Rule
) -> None:
    assert judged(session(batch_id=batch), owners=owners, seen=seen).rule is rule


def test_a_young_starting_orphan_is_kept() -> None:
    young = session(status="starting", created_at=NOW - 899)
    assert judged(young, owners=OTHERS, seen=NOW - 800).rule is Rule.STARTING


@pytest.mark.parametrize(
    ("it", "rule"),
    [
        (session(expires_at=NOW - DAY), Rule.LIVE),
        (session(created_at=NOW - 9 * DAY), Rule.LIVE),
        (session(status="starting", created_at=NOW - 9 * DAY), Rule.STARTING),
        (session(status="failed"), Rule.FAILED),
    ],
)
def test_without_the_servers_time_no_rule_by_time_reaps(it: SessionSummary, rule: Rule) -> None:
    verdict = judged(it, now=None, owners=OTHERS, seen=NOW - DAY)
    assert verdict.rule is rule
    assert verdict.reason.isprintable()


REAPED = [
    (session(expires_at=NOW - DAY), Rule.EXPIRED),
    (session(created_at=NOW - 9 * DAY), Rule.OVERDUE),
    (session(status="failed"), Rule.FAILED),
    (session(), Rule.ORPHANED),
]


@pytest.mark.parametrize(("it", "rule"), REAPED)
@pytest.mark.parametrize("name", ["ses-1", "batch-1", "scenario-1", "github"])
@pytest.mark.parametrize("by_glob", [False, True])
def test_protection_wins_over_every_rule(it: SessionSummary, rule: Rule, name: str, by_glob: bool) -> None:
    assert judged(it, owners=OTHERS, seen=NOW - H).rule is rule
    shield = Protection(globs=(f"{name[:3]}*",)) if by_glob else Protection(frozenset({name}))
    verdict = judged(it, owners=OTHERS, seen=NOW - H, protection=shield)
    assert (verdict.rule, verdict.action) == (Rule.PROTECTED, Action.KEEP)
    assert name in verdict.reason


def test_reasons_state_the_figures_and_name_the_fields() -> None:
    assert judged(session(expires_at=NOW - 2 * H)).reason == "it expired 2 h ago"
    assert judged(session(expires_at=NOW - 60)).reason == "it expired 1 m ago, within the grace"
    assert judged(session()).reason == "it expires in 1 h"
    assert judged(session(expires_at=NOW)).reason == "it expires in 0 s"
    assert judged(session(created_at=NOW - 2 * DAY)).reason == "it is 2 d old, and none may live longer than 24 h"
    odd = session(created_at=None, expires_at=None, odd=("expiresAt",))
    assert judged(odd).reason == "createdAt is missing, expiresAt cannot be read"
    hostile = judged(session(batch_id="\x1b[2J archal_ws_secret"), owners=OTHERS).reason
    assert hostile.isprintable()
    assert "secret" not in hostile


def test_the_grace_is_two_minutes() -> None:
    assert PolicyOptions().grace_s == GRACE

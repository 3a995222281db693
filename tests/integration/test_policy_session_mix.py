"""The policy over a list as a server sends it: 500 sessions of every state and age, against a table of its own."""

import time
from collections import Counter
from datetime import datetime
from functools import partial

import httpx
import pytest

from reaper.core.discovery.guard import GuardLimits, Pass, Sweep, UnusableListing, check_guards
from reaper.core.discovery.holds import Guard, Hold
from reaper.core.discovery.listing import Listing, Unreadable, parse_list
from reaper.core.discovery.policy import Judged, PolicyOptions, judge
from reaper.core.discovery.protection import protection
from reaper.core.discovery.server_clock import ClockReading, read_date
from reaper.core.discovery.sightings import Sightings, update_sightings
from reaper.sandbox.server import Sandbox
from tests.support.session_mix import session_mix

pytestmark = pytest.mark.anyio

OWNERS = frozenset(f"batch-{n:02d}" for n in range(5))
SHIELD = protection(["batch-01"], ["env_00000??"])
H = 3600


def table(summary: dict[str, object], now: float) -> str:
    """docs/discovery.md: the answer's own JSON in, the rule out. Orphans were seen an hour before."""
    age_s, past_s = (now - datetime.fromisoformat(str(summary[key])).timestamp() for key in ("createdAt", "expiresAt"))
    if summary.get("batchId") == "batch-01" or str(summary["sessionId"]).startswith("env_00000"):
        return "protected"
    if summary["status"] == "ended":
        return "ended"
    if past_s > age_s + 24 * H:
        return "unclear"
    if summary["status"] == "starting" and age_s < 15 * 60:
        return "starting"
    if past_s > 120:
        return "expired"
    if age_s > 24 * H + 120:
        return "overdue"
    if summary["status"] == "failed":
        return "failed"
    return "orphaned" if summary.get("batchId", "batch-00") not in OWNERS else "live"


async def swept(sandbox: Sandbox, local_off_s: float = 0.0) -> tuple[Listing, tuple[Judged, ...], dict[str, str]]:
    """Read and judge the list, on a machine whose clock is off by so much; with it, what the table says."""
    headers = {"authorization": f"Bearer {sandbox.token}"}
    async with httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as api:
        answer = await api.get("/api/sessions")
    reading = read_date(
        answer.headers["date"], local_at=time.time() + local_off_s, monotonic_at=time.monotonic(), round_trip_s=0.1
    )
    listing = parse_list(answer.content)
    assert isinstance(reading, ClockReading)
    assert isinstance(listing, Listing)
    now = reading.server_at
    policy = partial(
        judge,
        server_now=now,
        sightings=update_sightings(Sightings(), listing.sessions, OWNERS, now - H),
        owners=OWNERS,
        rules=PolicyOptions(120),
        protection=SHIELD,
    )
    judged = tuple(Judged(session, policy(session)) for session in listing.sessions)
    expected = {}
    if not listing.malformed:
        expected = {summary["sessionId"]: table(summary, now) for summary in answer.json()["sessions"]}
    return listing, judged, expected


@pytest.mark.parametrize("off_s", [0, H, -H, 24 * H, -24 * H])
async def test_500_sessions_get_the_verdicts_of_the_table_whatever_this_machines_clock(off_s: float) -> None:
    async with Sandbox(session_mix(500)) as sandbox:
        _, judged, expected = await swept(sandbox, off_s)
    assert {each.session.session_id: each.verdict.rule.value for each in judged} == expected
    rules = {"expired", "overdue", "failed", "orphaned", "protected", "ended", "starting", "live", "unclear"}
    assert Counter(expected.values()).keys() == rules


@pytest.mark.parametrize("off_s", [24 * H, -24 * H])
async def test_the_servers_clock_is_what_counts(off_s: float) -> None:
    async with Sandbox(session_mix(500, now=time.time() + off_s), skew_s=off_s) as sandbox:
        _, judged, expected = await swept(sandbox)
        assert {each.session.session_id: each.verdict.rule.value for each in judged} == expected
        assert len(set(expected.values())) == 9


async def test_a_list_that_is_wrong_is_held_or_stopped() -> None:
    async with Sandbox(session_mix(500)) as sandbox:
        listing, judged, _ = await swept(sandbox)
        previous = Sweep(listing, judged).listed
        wide = GuardLimits(1000, 1.0, 0.5)
        passed = check_guards(Sweep(listing, judged), wide, previous=None, hold_id="h", now=0)
        assert isinstance(passed, Pass)
        assert len(passed.sessions) > 200
        first = check_guards(Sweep(listing, judged), GuardLimits(), previous=None, hold_id="h", now=0)
        assert isinstance(first, Hold)
        assert (first.guards, first.sessions) == ((Guard.MAX_PER_SWEEP, Guard.MAX_SHARE), passed.sessions)
        for fault in ("duplicates", "malformed"):
            sandbox.set_list(fault)
            wrong = Sweep(*(await swept(sandbox))[:2])
            assert isinstance(check_guards(wrong, wide, previous=previous, hold_id="h", now=0), UnusableListing)
        sandbox.set_list("half")
        half = check_guards(Sweep(*(await swept(sandbox))[:2]), wide, previous=previous, hold_id="h", now=0)
        assert isinstance(half, Hold)
        assert half.guards == (Guard.LIST_SHRINK,)


@pytest.mark.parametrize("body", [b"<!doctype html>", b'{"sessions":[{"sessionId":"env_1"},'])
def test_a_page_or_an_endless_list_that_was_cut_is_unreadable(body: bytes) -> None:
    assert isinstance(parse_list(body), Unreadable)

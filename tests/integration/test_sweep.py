"""A sweep as a whole: the server's clock, an answer of 429, a judge that breaks, and what earlier holds keep."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from reaper.core.classify import Proven, ReadVerdict, Throttled
from reaper.core.discovery.findings import Findings
from reaper.core.discovery.guard import GuardLimits, Pass, heed_holds
from reaper.core.discovery.holds import Hold, Holds, Refused, discard
from reaper.core.discovery.listing import SessionSummary
from reaper.core.discovery.policy import Judgement, PolicyOptions, Rule, judge
from reaper.core.discovery.protection import Protection
from reaper.core.discovery.sightings import Owners
from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Answered, Reply, SessionId
from reaper.intake.discovery.held_sweeps import change_holds
from reaper.intake.discovery.sweep import Discovery, Observation, SweepOptions
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.memory_store import Store

pytestmark = pytest.mark.anyio

YEAR = 365 * 86_400.0


class Silent:
    """A report that keeps the findings of the last sweep."""

    findings: Findings

    def judged(self, findings: Findings, **_: Any) -> None:
        self.findings = findings

    def held(self, *_: Any, **__: Any) -> None: ...

    stopped = ghost = open_items = imported = held


def session(name: str, expires_at: float) -> dict[str, object]:
    def rfc3339(at: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

    return {
        "sessionId": name,
        "status": "running",
        "createdAt": rfc3339(expires_at - 3600),
        "expiresAt": rfc3339(expires_at),
        "cloneIds": ["github"],
    }


@pytest.mark.parametrize("off_s", [-YEAR, 0.0, YEAR])
async def test_a_sweep_judges_by_the_servers_clock(off_s: float) -> None:
    """The server's clock is `off_s` ahead of ours; one session expired on it, another has an hour to go."""
    server_now = time.time() + off_s
    body = {"sessions": [session("old", server_now - 600), session("young", server_now + 3600)]}
    answer = Answered(200, json.dumps(body).encode(), 0.01, date=formatdate(server_now, usegmt=True))

    async def read() -> tuple[Reply, ReadVerdict]:
        return answer, Proven()

    async def owners() -> Owners:
        return None

    queue, report = MemoryQueue(), Silent()
    options = SweepOptions(enforce=True, rules=PolicyOptions(), limits=GuardLimits())
    swept = await Discovery(queue, read, owners, Protection, options, report).sweep()
    assert {each.session.session_id: each.verdict.rule for each in swept.judged} == {
        "old": Rule.EXPIRED,
        "young": Rule.LIVE,
    }
    assert swept.added.accepted == 1


async def test_a_429_is_heeded_also_while_the_queue_is_away() -> None:
    """Else the DELETEs go on in the silence until the queue answers, and for good if it does not."""
    heeded: list[ReadVerdict] = []

    async def read() -> tuple[Reply, ReadVerdict]:
        store.away = True
        return Answered(429, b"", 0.01, retry_after="20"), Throttled(20.0)

    async def owners() -> Owners:
        return None

    store = Store()
    options = SweepOptions(enforce=True, rules=PolicyOptions(), limits=GuardLimits())
    discovery = Discovery(MemoryQueue(store), read, owners, Protection, options, Silent())
    with pytest.raises(QueueUnavailableError):
        await discovery.sweep(on_unread=heeded.append)
    assert heeded == [Throttled(20.0)]


async def test_a_session_that_breaks_the_judge_is_kept_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    body = {"sessions": [session("a", now - 600), session("odd", now - 600), session("b", now - 600)]}
    answer = Answered(200, json.dumps(body).encode(), 0.01, date=formatdate(now, usegmt=True))

    async def read() -> tuple[Reply, ReadVerdict]:
        return answer, Proven()

    async def owners() -> Owners:
        return None

    def break_on(one: SessionSummary, **facts: Any) -> Judgement:
        if one.session_id == "odd":
            raise ZeroDivisionError("nobody foresaw this")
        return judge(one, **facts)

    monkeypatch.setattr("reaper.intake.discovery.sweep.judge", break_on)
    options = SweepOptions(enforce=True, rules=PolicyOptions(), limits=GuardLimits())
    swept = await Discovery(MemoryQueue(), read, owners, Protection, options, Silent()).sweep()
    assert [each.verdict.rule for each in swept.judged] == [Rule.EXPIRED, Rule.UNCLEAR, Rule.EXPIRED]
    assert "nobody foresaw this" in swept.judged[1].verdict.reason


@pytest.mark.parametrize("discarded", [True, False])
async def test_what_a_hold_keeps_is_not_stopped_by_a_smaller_sweep(discarded: bool) -> None:
    """An operator has said that these are in use, or has not decided; then two are renewed, and no guard trips."""
    now = time.time()
    expires = dict.fromkeys("abcd", now - 600)
    queue, report = MemoryQueue(), Silent()

    async def read() -> tuple[Reply, ReadVerdict]:
        body = {"sessions": [session(name, at) for name, at in expires.items()]}
        return Answered(200, json.dumps(body).encode(), 0.01, date=formatdate(now, usegmt=True)), Proven()

    async def owners() -> Owners:
        return None

    options = SweepOptions(enforce=True, rules=PolicyOptions(), limits=GuardLimits(max_per_sweep=3))
    discovery = Discovery(queue, read, owners, Protection, options, report)
    held = (await discovery.sweep()).ruling
    assert isinstance(held, Hold)
    if discarded:
        await change_holds(
            queue, lambda holds: holds_after(discard(holds, held.id, by="ann", why=None, now=queue.now()))
        )
    expires |= dict.fromkeys("ab", now + 3600)
    smaller = await discovery.sweep()
    assert isinstance(smaller.ruling, Hold)
    assert (smaller.ruling.id, smaller.added.accepted, smaller.kept_back) == (held.id, 0, 2)
    expires["e"] = now - 600
    assert (await discovery.simulate(await observed(discovery))).kept_back == 2
    more = await discovery.sweep()
    assert isinstance(more.ruling, Pass)
    assert (set(more.ruling.sessions), more.added.accepted, more.kept_back) == ({"e"}, 1, 2)
    assert heed_holds(Pass({SessionId("c"): Rule.EXPIRED}), (held,), held.expires_at) == (
        Pass({SessionId("c"): Rule.EXPIRED}),
        0,
    ), "a day later it is over"


def holds_after(decided: tuple[Holds, Hold] | Refused) -> Holds:
    assert not isinstance(decided, Refused)
    return decided[0]


async def observed(discovery: Discovery) -> Observation:
    seen = await discovery.observe()
    assert isinstance(seen, Observation)
    return seen

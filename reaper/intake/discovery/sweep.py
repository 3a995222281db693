"""Discovery: read the API's list, judge it, weigh the sweep, and queue what passed (SPEC 7).

What has to be known from one reading to the next is kept as notes of the queue, so that two runs from cron are two
readings, whoever makes them.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from anyio import to_thread

from reaper.core.classify import OtherAccount, Proven, ReadVerdict
from reaper.core.discovery import ghosts as core_ghosts
from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.guard import GuardLimits, Pass, Ruling, Sweep, UnusableListing, check_guards, next_baseline
from reaper.core.discovery.holds import Guard, Hold, Holds
from reaper.core.discovery.listing import Listing, parse_list
from reaper.core.discovery.policy import Judged, PolicyOptions, Rule, judge_all
from reaper.core.discovery.protection import Protection
from reaper.core.discovery.server_clock import ClockJump, NoServerTime, ServerClock, follow, read_date
from reaper.core.discovery.sightings import Owners, read_sightings, update_sightings
from reaper.core.ids import check_id
from reaper.core.model import Answered, Outcome, Reply, SessionId
from reaper.intake.events import NOTHING, add_up
from reaper.queues.base import IntakePort, LedgerReader, RunSet, ValuePort
from reaper.queues.values import Added, Batch, NewItem

SOURCE = "discovery"
"""The source of what a sweep queued is this, a colon and the rule."""
SIGHTINGS, LISTED = "sightings", "listed"
AGAIN = frozenset({Outcome.PROTECTED})
"""Spared once is not spared for good: what was renewed then may have expired since."""


class SweepReport(Protocol):
    """Where it is told what a sweep came to. Must not raise, nor block."""

    def judged(self, rules: Mapping[Rule, int], *, queued: int, enforced: bool) -> None: ...

    def held(self, hold: Hold, *, new: bool) -> None: ...

    def stopped(self, reason: str) -> None: ...

    def ghost(self, session_id: SessionId, outcome: Outcome) -> None: ...

    def left(self, *, holds: int, ghosts: int) -> None: ...

    def imported(self, kind: str, source: str, added: Added) -> None: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of a sweep. Not `enforce`: it is only reported."""

    enforce: bool
    rules: PolicyOptions
    limits: GuardLimits


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep came to. `server_now` is None when the API did not tell the time."""

    ruling: Ruling
    judged: tuple[Judged, ...] = ()
    server_now: float | None = None
    added: Added = NOTHING
    unread: ReadVerdict | None = None
    """Why the list could not be read, when that is what stopped the sweep."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One reading of the list, judged, and what the queue knows of its sessions."""

    listing: Listing
    judged: tuple[Judged, ...]
    server_now: float | None
    outcomes: dict[SessionId, Outcome | None]
    previous: frozenset[SessionId] | None
    """The sessions of the reading before; None: there was none."""


@dataclass(frozen=True, slots=True)
class UnfitListing:
    """The list cannot be read, or not be acted on."""

    reason: str
    verdict: ReadVerdict | None = None


class DiscoveryQueue(IntakePort, ValuePort, LedgerReader, Protocol):
    """The ports of the queue that a sweep uses."""


@dataclass(slots=True, eq=False)
class Discovery:
    """Sweeps for one process. Raises QueueError as the queue does, ConfigError as `protection` does."""

    queue: DiscoveryQueue
    read: Callable[[], Awaitable[tuple[Reply, ReadVerdict]]]
    """Reads the list and proves whose it is."""
    owners: Callable[[], Awaitable[Owners]]
    protection: Callable[[], Protection]
    policy: Policy
    report: SweepReport
    _clock: ServerClock = field(default_factory=ServerClock)

    async def sweep(self, into: RunSet | None = None) -> Swept:
        """Read and judge once; queue what passed, or hold it whole. `into` takes what is queued."""
        swept = await self._sweep(into)
        self.report.left(**await open_holds_and_ghosts(self.queue))
        return swept

    async def _sweep(self, into: RunSet | None) -> Swept:
        seen = await self.look()
        if isinstance(seen, UnfitListing):
            self.report.stopped(seen.reason)
            return Swept(UnusableListing(seen.reason), unread=seen.verdict)
        sweep, ruling = self.weigh(seen)
        added = NOTHING
        if isinstance(ruling, UnusableListing):
            self.report.stopped(ruling.reason)
        else:
            await self._remember(sweep, ruling, seen)
            added = await self._carry_out(ruling, seen.judged, into)
        return Swept(ruling, seen.judged, seen.server_now, added)

    async def look(self) -> Observation | UnfitListing:
        """Read the list and judge it; change nothing but, at first sight, the account's name."""
        reply, verdict = await self.read()
        if not isinstance(verdict, Proven) or not isinstance(reply, Answered):
            return UnfitListing(_unread(verdict, reply), verdict)
        server_now = self._server_now(reply)
        if isinstance(server_now, ClockJump):
            return UnfitListing(server_now.reason)
        listing = await to_thread.run_sync(parse_list, reply.body)
        if not isinstance(listing, Listing):
            return UnfitListing(listing.reason)
        judged = judge_all(
            listing.sessions,
            server_now=server_now,
            sightings=read_sightings(await self.queue.read_value(SIGHTINGS)),
            owners=await self.owners(),
            rules=self.policy.rules,
            protection=self.protection(),
        )
        previous = _read_listed(await self.queue.read_value(LISTED), self.queue.now())
        asked = {each.session_id for each in listing.sessions} | (previous or frozenset())
        return Observation(listing, judged, server_now, await self.queue.outcomes_of(sorted(asked)), previous)

    def weigh(self, seen: Observation) -> tuple[Sweep, Ruling]:
        """Return the sweep, and whether it may go on; change nothing."""
        known = frozenset(each for each, outcome in seen.outcomes.items() if outcome not in AGAIN)
        sweep = Sweep(seen.listing, seen.judged, known)
        ruling = check_guards(
            sweep, self.policy.limits, previous=seen.previous, hold_id=secrets.token_hex(3), now=self.queue.now()
        )
        return sweep, ruling

    def _server_now(self, reply: Answered) -> float | ClockJump | None:
        # CLOCK_BOOTTIME counts sleep, as the server's clock does.
        at, steadily = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
        reading = read_date(reply.date, local_at=at, monotonic_at=steadily, round_trip_s=reply.duration_s)
        if isinstance(reading, NoServerTime):
            return None
        self._clock, jumped = follow(self._clock, reading)
        return jumped or reading.server_at

    async def _remember(self, sweep: Sweep, ruling: Ruling, seen: Observation) -> None:
        """Keep what the next reading is held against, and report ghosts."""
        sessions = sweep.listing.sessions
        text = await self.queue.read_value(SIGHTINGS)
        sighted = update_sightings(read_sightings(text), sessions, await self.owners(), seen.server_now)
        await self.queue.compare_and_set(SIGHTINGS, sighted.to_text(), was=text)
        measured = next_baseline(sweep, ruling, seen.previous)
        if measured is not None and measured is not seen.previous:
            listed = json.dumps({"at": self.queue.now(), "ids": sorted(measured)})
            await self.queue.compare_and_set(LISTED, listed, was=await self.queue.read_value(LISTED))
        text = await self.queue.read_value(core_ghosts.NOTE)
        ghosts, new = core_ghosts.update_ghosts(
            core_ghosts.read_ghosts(text), sessions, seen.outcomes, self.queue.now()
        )
        if ghosts.to_text() != text and await self.queue.compare_and_set(core_ghosts.NOTE, ghosts.to_text(), was=text):
            for session_id in new:
                outcome = seen.outcomes[session_id]
                assert outcome is not None
                self.report.ghost(session_id, outcome)

    async def _carry_out(self, ruling: Pass | Hold, judged: Sequence[Judged], into: RunSet | None) -> Added:
        rules = {rule: sum(each.verdict.rule is rule for each in judged) for rule in Rule}
        if isinstance(ruling, Hold):
            self.report.judged(rules, queued=0, enforced=self.policy.enforce)
            new = False
            if self.policy.enforce:
                _, new = await change_holds(self.queue, lambda holds: core_holds.add_hold(holds, ruling))
            self.report.held(ruling, new=new)
            return NOTHING
        added = await add_chosen(self.queue, ruling.sessions, into) if self.policy.enforce else NOTHING
        self.report.judged(rules, queued=added.accepted, enforced=self.policy.enforce)
        if added.accepted:
            self.report.imported(SOURCE, SOURCE, added)
        return added


async def add_chosen(
    queue: DiscoveryQueue, sessions: Mapping[SessionId, Rule], into: RunSet | None = None, by: str | None = None
) -> Added:
    """Queue chosen sessions, each under its rule; what was spared before is chosen anew."""
    total = NOTHING
    outcomes = await queue.outcomes_of(list(sessions))
    groups: dict[tuple[Rule, bool], list[NewItem]] = {}
    for session_id, rule in sessions.items():
        groups.setdefault((rule, outcomes.get(session_id) in AGAIN), []).append(NewItem(session_id))
    for (rule, again), items in groups.items():
        batch = Batch(f"{SOURCE}:{rule.value}", items)
        total = add_up(total, await queue.add(batch, again=again, by=by, into=into))
    return total


async def open_holds_and_ghosts(queue: ValuePort) -> dict[str, int]:
    """Return how many holds are open, and how many sessions are ghosts."""
    try:
        holds = core_holds.open_holds(core_holds.read_holds(await queue.read_value(core_holds.NOTE)), queue.now())
    except ValueError:
        holds = ()  # `reaper holds` says so
    ghosts = core_ghosts.read_ghosts(await queue.read_value(core_ghosts.NOTE))
    return {"holds": len(holds), "ghosts": len(ghosts.proven)}


async def reset_baseline(queue: ValuePort, hold: Hold) -> None:
    """Let the next list be measured by none before it, once somebody decided about a hold for its shrinking."""
    if Guard.LIST_SHRINK in hold.guards:
        await queue.compare_and_set(LISTED, None, was=await queue.read_value(LISTED))


async def change_holds(queue: ValuePort, change: Callable[[Holds], Holds]) -> tuple[Holds, bool]:
    """Change the holds of the queue; return them, and whether anything changed. Another's change comes first."""
    while True:
        text = await queue.read_value(core_holds.NOTE)
        holds = core_holds.expire(core_holds.read_holds(text), queue.now())
        changed = change(holds)
        if changed == core_holds.read_holds(text):
            return changed, False
        if await queue.compare_and_set(core_holds.NOTE, core_holds.to_text(changed), was=text):
            return changed, changed != holds


def _read_listed(text: str | None, now: float) -> frozenset[SessionId] | None:
    """Read what the reading before listed; None when it is older than a hold for its shrinking would live."""
    try:
        value = json.loads(text or "null")
        if now - value["at"] > core_holds.HOLD_LIFE_S:
            return None
        return frozenset(check_id(each) for each in value["ids"])
    except (ValueError, TypeError, KeyError):
        return None


def _unread(verdict: ReadVerdict, reply: Reply) -> str:
    if isinstance(verdict, OtherAccount):
        return f"the token is that of {verdict.found}, the queue was filled for {verdict.pinned}; see: reaper check"
    if isinstance(reply, Answered):
        what = "something that is no list of sessions" if reply.status == 200 else str(reply.status)
        return f"GET /api/sessions answered {what}"
    return f"the list cannot be read: {reply.error}"

"""Discovery: read the session list of the API, judge each session, apply the guards, queue the chosen ones.

The state between two readings is kept as values of the queue, so that two runs from cron count as two readings.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from anyio import to_thread

from reaper.core.classify import OtherAccount, Proven, ReadVerdict
from reaper.core.discovery import ghosts as core_ghosts
from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.findings import Findings, count_findings
from reaper.core.discovery.guard import (
    GuardLimits,
    Pass,
    Ruling,
    Sweep,
    UnusableListing,
    check_guards,
    heed_holds,
    next_baseline,
)
from reaper.core.discovery.holds import Hold
from reaper.core.discovery.listing import Listing, SessionSummary, parse_list
from reaper.core.discovery.policy import Judged, Judgement, PolicyOptions, Rule, judge
from reaper.core.discovery.protection import Protection
from reaper.core.discovery.server_clock import ClockJump, NoServerTime, ServerClock, follow, read_date
from reaper.core.discovery.sightings import Owners, read_sightings, update_sightings
from reaper.core.model import Answered, Outcome, Reply, SessionId
from reaper.core.target import OtherTarget
from reaper.core.text import describe_unforeseen
from reaper.intake.discovery.held_sweeps import (
    LISTED,
    REOPENED,
    SOURCE,
    DiscoveryQueue,
    add_chosen,
    change_holds,
    holds_of,
    open_holds_and_ghosts,
    read_listed,
)
from reaper.intake.events import NOTHING
from reaper.queues.base import RunSet
from reaper.queues.values import Added

SIGHTINGS = "sightings"
"""Key of the value that stores when each session was first seen orphaned."""


class SweepReport(Protocol):
    """Receives the events of sweeps. No method may raise or block."""

    def judged(self, findings: Findings, *, queued: int, kept_back: int, enforced: bool) -> None: ...

    def held(self, hold: Hold, *, new: bool, kept: bool) -> None: ...

    def stopped(self, reason: str) -> None: ...

    def ghost(self, session_id: SessionId, outcome: Outcome) -> None: ...

    def open_items(self, *, holds: int, ghosts: int) -> None: ...

    def imported(self, kind: str, source: str, added: Added) -> None: ...


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """The settings of a sweep. Without `enforce` it only reports what it would do."""

    enforce: bool
    rules: PolicyOptions
    limits: GuardLimits


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The result of one sweep. `server_now` is None when the API sent no time."""

    ruling: Ruling
    """A hold is the one that is kept, which an earlier sweep may have made."""
    findings: Findings = field(default_factory=Findings)
    judged: tuple[Judged, ...] = ()
    server_now: float | None = None
    added: Added = NOTHING
    unread: ReadVerdict | None = None
    """Why the list could not be read, if that ended the sweep."""
    hold_is_kept: bool = False
    """Whether the ruling is a hold that the queue keeps, for an operator to decide about."""
    kept_back: int = 0
    """Sessions that the sweep would have stopped, and that an open or a discarded hold keeps."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One reading of the list: its sessions, the judgements, and their outcomes in the queue."""

    listing: Listing
    judged: tuple[Judged, ...]
    server_now: float | None
    outcomes: dict[SessionId, Outcome | None]
    known: frozenset[SessionId]
    """The sessions that the queue has already, so that no sweep chooses them."""
    findings: Findings
    previous: frozenset[SessionId] | None
    """The sessions of the previous reading; None: there was none."""


@dataclass(frozen=True, slots=True)
class UnfitListing:
    """The list cannot be read, or must not be acted on."""

    reason: str
    verdict: ReadVerdict | None = None


@dataclass(slots=True, eq=False)
class Discovery:
    """Runs sweeps for one process. Raises QueueError as the queue does, ConfigError as `protection` does."""

    queue: DiscoveryQueue
    read: Callable[[], Awaitable[tuple[Reply | None, ReadVerdict]]]
    """Reads the list and proves which account it belongs to; no reply where nothing may be sent to the address."""
    owners: Callable[[], Awaitable[Owners]]
    protection: Callable[[], Protection]
    options: SweepOptions
    report: SweepReport
    owners_failure: Callable[[], str | None] = lambda: None
    """Returns why the owners are unknown, if a source of them is configured."""
    _clock: ServerClock = field(default_factory=ServerClock)

    async def sweep(
        self, into: RunSet | None = None, on_unread: Callable[[ReadVerdict], None] = lambda verdict: None
    ) -> SweepResult:
        """Read and judge the list once; queue the chosen sessions (into the set `into`), or hold the whole sweep.

        `on_unread` gets the verdict on an answer that is no list at once, before anything waits for the queue.
        """
        result = await self._sweep(into, on_unread)
        self.report.open_items(**await open_holds_and_ghosts(self.queue))
        return result

    async def _sweep(self, into: RunSet | None, on_unread: Callable[[ReadVerdict], None]) -> SweepResult:
        seen = await self.observe()
        if isinstance(seen, UnfitListing):
            if seen.verdict is not None:
                on_unread(seen.verdict)
            self.report.stopped(seen.reason)
            return SweepResult(UnusableListing(seen.reason), unread=seen.verdict)
        sweep, ruling = await to_thread.run_sync(self.apply_guards, seen)
        added, kept_back = NOTHING, 0
        if isinstance(ruling, UnusableListing):
            self.report.stopped(ruling.reason)
        else:
            await self._save_reading(sweep, ruling, seen)
            if self.options.enforce:
                ruling, kept_back = heed_holds(ruling, await holds_of(self.queue), self.queue.now())
            ruling, added = await self._execute(ruling, seen.findings, into, kept_back)
        kept = isinstance(ruling, Hold) and self.options.enforce
        return SweepResult(
            ruling, seen.findings, seen.judged, seen.server_now, added, hold_is_kept=kept, kept_back=kept_back
        )

    async def observe(self) -> Observation | UnfitListing:
        """Read the list and judge it. Changes nothing, except that the first reading pins the account."""
        reply, verdict = await self.read()
        if not isinstance(verdict, Proven) or not isinstance(reply, Answered):
            return UnfitListing(_why_unread(verdict, reply), verdict)
        server_now = self._server_now(reply)
        if isinstance(server_now, ClockJump):
            return UnfitListing(server_now.reason)
        listing = await to_thread.run_sync(parse_list, reply.body)
        if not isinstance(listing, Listing):
            return UnfitListing(listing.reason)
        owners, sightings = await self.owners(), read_sightings(await self.queue.read_value(SIGHTINGS))
        policy = partial(
            judge,
            server_now=server_now,
            sightings=sightings,
            owners=owners,
            rules=self.options.rules,
            protection=self.protection(),
        )
        sessions = listing.sessions
        judged = await to_thread.run_sync(lambda: tuple(Judged(one, _judge_safely(policy, one)) for one in sessions))
        previous = read_listed(await self.queue.read_value(LISTED), self.queue.now())
        asked = {each.session_id for each in listing.sessions} | (previous or frozenset())
        outcomes = await self.queue.outcomes_of(sorted(asked))
        known = frozenset(each for each, outcome in outcomes.items() if outcome not in REOPENED)
        count = partial(
            count_findings,
            judged,
            outcomes=outcomes,
            known=known,
            owners=owners,
            owners_failure=self.owners_failure(),
            sightings=sightings,
            server_now=server_now,
        )
        return Observation(listing, judged, server_now, outcomes, known, await to_thread.run_sync(count), previous)

    def apply_guards(self, seen: Observation) -> tuple[Sweep, Ruling]:
        """Return the sweep and the ruling of the guards; change nothing."""
        sweep = Sweep(seen.listing, seen.judged, seen.known)
        ruling = check_guards(
            sweep, self.options.limits, previous=seen.previous, hold_id=secrets.token_hex(3), now=self.queue.now()
        )
        return sweep, ruling

    async def simulate(self, seen: Observation) -> SweepResult:
        """Return what a sweep of this reading would come to; change nothing."""
        ruling: Ruling = (await to_thread.run_sync(self.apply_guards, seen))[1]
        kept, kept_back = None, 0
        if self.options.enforce:
            holds = await holds_of(self.queue)
            ruling, kept_back = heed_holds(ruling, holds, self.queue.now())
            kept = core_holds.covering(holds, ruling) if isinstance(ruling, Hold) else None
        return SweepResult(
            kept or ruling, seen.findings, seen.judged, seen.server_now, NOTHING, None, kept is not None, kept_back
        )

    def _server_now(self, reply: Answered) -> float | ClockJump | None:
        # CLOCK_BOOTTIME continues during suspend, as the clock of the server does.
        at, monotonic_at = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
        reading = read_date(reply.date, local_at=at, monotonic_at=monotonic_at, round_trip_s=reply.duration_s)
        if isinstance(reading, NoServerTime):
            return None
        self._clock, jumped = follow(self._clock, reading)
        return jumped or reading.server_at

    async def _save_reading(self, sweep: Sweep, ruling: Ruling, seen: Observation) -> None:
        """Store sightings, baseline and ghosts for the next reading, and report new ghosts.

        A long list is compared in threads: the event loop goes on in the meantime.
        """
        sessions = sweep.listing.sessions
        text = await self.queue.read_value(SIGHTINGS)
        before, owners = read_sightings(text), await self.owners()
        sighted = await to_thread.run_sync(update_sightings, before, sessions, owners, seen.server_now)
        await self.queue.compare_and_set(SIGHTINGS, sighted.to_text(), was=text)
        baseline = await to_thread.run_sync(next_baseline, sweep, ruling, seen.previous)
        if baseline is not None and baseline is not seen.previous:
            listed = json.dumps({"at": self.queue.now(), "ids": sorted(baseline)})
            await self.queue.compare_and_set(LISTED, listed, was=await self.queue.read_value(LISTED))
        text = await self.queue.read_value(core_ghosts.KEY)
        known, now = core_ghosts.read_ghosts(text), self.queue.now()
        ghosts, new = await to_thread.run_sync(core_ghosts.update_ghosts, known, sessions, seen.outcomes, now)
        if ghosts.to_text() != text and await self.queue.compare_and_set(core_ghosts.KEY, ghosts.to_text(), was=text):
            for session_id in new:
                outcome = seen.outcomes[session_id]
                assert outcome is not None
                self.report.ghost(session_id, outcome)

    async def _execute(
        self, ruling: Ruling, findings: Findings, into: RunSet | None, kept_back: int
    ) -> tuple[Ruling, Added]:
        """Queue the sessions of a sweep that passed; keep a hold. Return the hold that is kept, and what was added."""
        enforce = self.options.enforce
        if isinstance(ruling, Hold):
            self.report.judged(findings, queued=0, kept_back=kept_back, enforced=enforce)
            new, kept = False, ruling
            if enforce:
                holds, new = await change_holds(self.queue, lambda holds: core_holds.add_hold(holds, ruling))
                kept = core_holds.covering(holds, ruling) or ruling
            self.report.held(kept, new=new, kept=enforce)
            return kept, NOTHING
        chosen = ruling.sessions if isinstance(ruling, Pass) and enforce else {}
        added = await add_chosen(self.queue, chosen, into)
        self.report.judged(findings, queued=added.accepted, kept_back=kept_back, enforced=enforce)
        if added.accepted:
            self.report.imported(SOURCE, SOURCE, added)
        return ruling, added


def _why_unread(verdict: ReadVerdict, reply: Reply | None) -> str:
    if isinstance(verdict, OtherTarget) or reply is None:
        return verdict.detail if isinstance(verdict, OtherTarget) else "nothing may be sent to this address"
    if isinstance(verdict, OtherAccount):
        return f"the token is that of {verdict.found}, the queue was filled for {verdict.pinned}; see: reaper check"
    if isinstance(reply, Answered):
        what = "something that is no list of sessions" if reply.status == 200 else str(reply.status)
        return f"GET /api/sessions answered {what}"
    return f"the list cannot be read: {reply.error}"


def _judge_safely(policy: Callable[[SessionSummary], Judgement], session: SessionSummary) -> Judgement:
    """Judge one session. An error that nobody foresaw keeps it, and stops no other judgement."""
    try:
        return policy(session)
    except Exception as error:  # noqa: BLE001 - no single session may stop the others
        return Judgement(Rule.UNCLEAR, describe_unforeseen(error))

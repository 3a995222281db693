"""Turns what the worker and the intake did into log events and metrics (SPEC 6)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reaper.core.discovery.holds import Hold
from reaper.core.discovery.policy import Rule
from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Lease, Outcome, Pause, PauseReason, Release, Retry, Send, SessionId, Settle
from reaper.queues.values import Added, InvalidLine
from reaper.telemetry import events
from reaper.telemetry.logs import get


class Meter(Protocol):
    """Counts sends and outcomes: for `/metrics`, and for what `once` shows of its progress."""

    def sent(self, send: Send) -> None: ...

    def settled(self, outcome: Outcome, at: float) -> None: ...


@dataclass(frozen=True, slots=True)
class LogJournal:
    """The journal of a working process."""

    meter: Meter | None = None
    each: bool = True
    """Whether each session's end and return is told, at info; a display of the whole stands for them."""

    def settled(self, lease: Lease, settle: Settle, send: Send | None) -> None:
        if self.meter is not None:
            self.meter.settled(settle.outcome, time.time())
            if send is not None:
                self.meter.sent(send)
        if not self.each:
            return
        get().info(
            events.SESSION_SETTLED,
            session_id=lease.session_id,
            outcome=settle.outcome.value,
            status=send.status if send else None,
            attempts=lease.attempts + (1 if send and settle.charged else 0),
            duration_s=round(send.duration_s, 4) if send else None,
            source=lease.source,
            **({"detail": settle.detail} if settle.detail else {}),
        )

    def requeued(self, lease: Lease, decision: Retry | Release, send: Send | None) -> None:
        if send is None:
            return
        if self.meter is not None:
            self.meter.sent(send)
        if not self.each:
            return
        get().info(
            events.SESSION_RETRY_SCHEDULED,
            session_id=lease.session_id,
            status=send.status,
            error=send.error,
            charged=isinstance(decision, Retry),
            after_s=round(decision.after_s, 3),
        )

    def lease_lost(self, lease: Lease) -> None:
        get().warning(events.SESSION_LEASE_LOST, session_id=lease.session_id, sends=lease.sends)

    def paused(self, pause: Pause) -> None:
        get().warning(events.API_PAUSED, reason=pause.reason.value, detail=pause.detail)

    def resumed(self, reason: PauseReason, held_s: float, *, last: bool) -> None:
        if last:
            get().warning(events.API_RESUMED, reason=reason.value, held_s=round(held_s, 1))

    def account_pinned(self, account: str) -> None:
        get().info(events.ACCOUNT_PINNED, account=account)

    def account_unknown(self, why: str) -> None:
        get().warning(events.ACCOUNT_UNTOLD, detail=f"{why}: that the token is the right account's is not proven")

    def queue_unavailable(self, why: str) -> None:
        get().error(events.QUEUE_UNAVAILABLE, detail=why)

    def queue_recovered(self, away_s: float) -> None:
        get().warning(events.QUEUE_RECOVERED, away_s=round(away_s, 1))


def note_failure(sentence: str) -> None:
    """Say that something configured cannot be used now; told once per change by whoever uses it."""
    get().warning(events.INTAKE_FAILED, error=sentence)


class Sweeps(Protocol):
    """Counts sweeps for `/metrics`."""

    def swept(self, result: str, rules: Mapping[Rule, int]) -> None: ...

    def ghost(self) -> None: ...

    def open_holds_and_ghosts(self, *, holds: int, ghosts: int) -> None: ...


@dataclass(frozen=True, slots=True)
class SweepLog:
    """What discovery tells, as log events and metrics; `added` is called when there is something new to claim."""

    meter: Sweeps | None = None
    lines: LineMeter | None = None
    added: Callable[[], None] = lambda: None

    def judged(self, rules: Mapping[Rule, int], *, queued: int, enforced: bool) -> None:
        counts = {rule.value: count for rule, count in rules.items() if count}
        get().info(events.SWEEP_JUDGED, **counts, queued=queued, enforced=enforced)
        if self.meter is not None:
            self.meter.swept("judged", rules)

    def held(self, hold: Hold, *, new: bool) -> None:
        tell = get().warning if new else get().info
        tell(events.SWEEP_HELD, hold=hold.id if new else None, sessions=len(hold.sessions), detail=hold.reason)
        if self.meter is not None:
            self.meter.swept("held", {})

    def stopped(self, reason: str) -> None:
        get().warning(events.SWEEP_STOPPED, detail=reason)
        if self.meter is not None:
            self.meter.swept("stopped", {})

    def ghost(self, session_id: SessionId, outcome: Outcome) -> None:
        get().warning(events.SESSION_GHOST, session_id=session_id, outcome=outcome.value)
        if self.meter is not None:
            self.meter.ghost()

    def open_holds_and_ghosts(self, *, holds: int, ghosts: int) -> None:
        if self.meter is not None:
            self.meter.open_holds_and_ghosts(holds=holds, ghosts=ghosts)

    def imported(self, kind: str, source: str, added: Added) -> None:
        counts = {"accepted": added.accepted, "duplicate": added.duplicate, "invalid": added.invalid}
        if self.lines is not None:
            self.lines.taken_in(kind, **counts)
        get().info(events.INTAKE_IMPORTED, source=source, **counts)
        self.added()


class LineMeter(Protocol):
    """Counts lines for `/metrics`."""

    def taken_in(self, source: str, *, accepted: int, duplicate: int, invalid: int) -> None: ...


@dataclass(frozen=True, slots=True)
class LogReport:
    """What the intake tells, as log events; `added` is called when there is something new to claim, `away` when
    the queue takes nothing in.
    """

    meter: LineMeter
    added: Callable[[], None]
    away: Callable[[QueueUnavailableError], None]

    def imported(self, kind: str, source: str, added: Added) -> None:
        counts = {"accepted": added.accepted, "duplicate": added.duplicate, "invalid": added.invalid}
        self.meter.taken_in(kind, **counts)
        get().info(events.INTAKE_IMPORTED, source=source, **counts)
        self.added()

    def invalid(self, source: str, lines: Sequence[InvalidLine]) -> None:
        for line in lines:
            get().warning(events.INTAKE_LINE_INVALID, source=source, line=line.line, reason=line.reason, text=line.text)

    def noted(self, source: str, note: str) -> None:
        get().info(events.INTAKE_NOTED, source=source, note=note)

    def failed(self, source: str, error: str) -> None:
        get().error(events.INTAKE_FAILED, source=source, error=error)

    def recovered(self, source: str) -> None:
        get().info(events.INTAKE_RECOVERED, source=source)

    def unavailable(self, error: QueueUnavailableError) -> None:
        self.away(error)

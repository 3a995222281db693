"""Implements the journals of worker, discovery and intake as log events and metrics (docs/monitoring.md)."""

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
    """Counts sends and outcomes, for `/metrics` or for the progress of `once`."""

    def sent(self, send: Send) -> None: ...

    def settled(self, outcome: Outcome, at: float) -> None: ...


@dataclass(frozen=True, slots=True)
class LogJournal:
    """Logs and counts what a worker did (`worker.ports.Journal`)."""

    meter: Meter | None = None
    log_each_session: bool = True
    """Log each settled and each requeued session; false where a progress display replaces these lines."""

    def settled(self, lease: Lease, settle: Settle, send: Send | None) -> None:
        if self.meter is not None:
            self.meter.settled(settle.outcome, time.time())
            if send is not None:
                self.meter.sent(send)
        if not self.log_each_session:
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

    def retry_scheduled(self, lease: Lease, decision: Retry | Release, send: Send | None) -> None:
        if send is None:
            return
        if self.meter is not None:
            self.meter.sent(send)
        if not self.log_each_session:
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

    def queue_recovered(self, unavailable_s: float) -> None:
        get().warning(events.QUEUE_RECOVERED, away_s=round(unavailable_s, 1))


def log_failed_source(sentence: str) -> None:
    """Log that a configured file or command cannot be used now. Callers call it once per change."""
    get().warning(events.INTAKE_FAILED, error=sentence)


class SweepMeter(Protocol):
    """Counts sweeps for `/metrics`."""

    def swept(self, result: str, rules: Mapping[Rule, int]) -> None: ...

    def ghost(self) -> None: ...

    def open_items(self, *, holds: int, ghosts: int) -> None: ...


@dataclass(frozen=True, slots=True)
class SweepLog:
    """Logs and counts what sweeps did (`intake.discovery.sweep.SweepReport`)."""

    meter: SweepMeter | None = None
    lines: LineMeter | None = None
    on_added: Callable[[], None] = lambda: None
    """Called when there may be a new item to claim."""

    def judged(self, rules: Mapping[Rule, int], *, queued: int, enforced: bool) -> None:
        counts = {rule.value: count for rule, count in rules.items() if count}
        get().info(events.SWEEP_JUDGED, **counts, queued=queued, enforced=enforced)
        if self.meter is not None:
            self.meter.swept("judged", rules)

    def held(self, hold: Hold, *, new: bool) -> None:
        log = get().warning if new else get().info
        log(events.SWEEP_HELD, hold=hold.id if new else None, sessions=len(hold.sessions), detail=hold.reason)
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

    def open_items(self, *, holds: int, ghosts: int) -> None:
        if self.meter is not None:
            self.meter.open_items(holds=holds, ghosts=ghosts)

    def imported(self, kind: str, source: str, added: Added) -> None:
        counts = {"accepted": added.accepted, "duplicate": added.duplicate, "invalid": added.invalid}
        if self.lines is not None:
            self.lines.imported(kind, **counts)
        get().info(events.INTAKE_IMPORTED, source=source, **counts)
        self.on_added()


def log_invalid_line(source: str, line: InvalidLine) -> None:
    """Log a refused line of input."""
    get().warning(events.INTAKE_LINE_INVALID, source=source, line=line.line, reason=line.reason, text=line.text)


class LineMeter(Protocol):
    """Counts lines for `/metrics`."""

    def imported(self, source: str, *, accepted: int, duplicate: int, invalid: int) -> None: ...


@dataclass(frozen=True, slots=True)
class LogReport:
    """Logs and counts what the intake did (`intake.events.IntakeReport`)."""

    meter: LineMeter
    on_added: Callable[[], None]
    """Called when there may be a new item to claim."""
    on_unavailable: Callable[[QueueUnavailableError], None]
    """Called when the queue cannot take items in."""

    def imported(self, kind: str, source: str, added: Added) -> None:
        counts = {"accepted": added.accepted, "duplicate": added.duplicate, "invalid": added.invalid}
        self.meter.imported(kind, **counts)
        get().info(events.INTAKE_IMPORTED, source=source, **counts)
        self.on_added()

    def invalid(self, source: str, lines: Sequence[InvalidLine]) -> None:
        for line in lines:
            log_invalid_line(source, line)

    def noted(self, source: str, note: str) -> None:
        get().info(events.INTAKE_NOTED, source=source, note=note)

    def failed(self, source: str, error: str) -> None:
        get().error(events.INTAKE_FAILED, source=source, error=error)

    def recovered(self, source: str) -> None:
        get().info(events.INTAKE_RECOVERED, source=source)

    def unavailable(self, error: QueueUnavailableError) -> None:
        self.on_unavailable(error)

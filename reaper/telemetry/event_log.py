"""Implements the journals of worker, discovery and intake as log events and metrics (docs/monitoring.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reaper.core.discovery.findings import Findings
from reaper.core.discovery.holds import Hold
from reaper.core.discovery.policy import Rule
from reaper.core.errors import Exit
from reaper.core.model import Lease, LeaseResult, Outcome, Pause, PauseReason, Release, Retry, Send, SessionId, Settle
from reaper.queues.values import Added
from reaper.telemetry import events
from reaper.telemetry.intake_log import LineMeter
from reaper.telemetry.logs import get, is_behind, write_info
from reaper.telemetry.session_lines import attempts_of, settled_line

MAX_SHOWN = 20
"""How many sessions one event names."""
UNPROVEN = "every DELETE is answered 404 or 410, and api.verify=false keeps reaper from comparing that with the list"
LIST_CUT = (
    "the list cannot be read whole, because it is too long or goes on on another page: it shows that this is the API, "
    "and nothing is compared with it"
)


class Meter(Protocol):
    """Counts sends and outcomes, for `/metrics` or for the progress of `once`."""

    def sent(self, send: Send) -> None: ...

    def settled(self, outcome: Outcome, at: float) -> None: ...


class WorkMeter(Meter, Protocol):
    """Counts all that a worker does, for `/metrics` and for the metrics file of `once`."""

    def latency(self, waited_s: float) -> None: ...

    def retried(self) -> None: ...

    def paused(self, reason: PauseReason) -> None: ...

    def resumed(self, reason: PauseReason) -> None: ...


@dataclass(frozen=True, slots=True)
class LogJournal:
    """Logs and counts what a worker did (`worker.ports.Journal`)."""

    meter: Meter | None = None
    log_each_session: bool = True
    """Log stopped and requeued sessions, too; false where a person reads the log, for whom they are too many."""
    metrics: WorkMeter | None = None

    @property
    def is_behind(self) -> bool:
        return is_behind()

    def settled(self, lease: Lease, settle: Settle, send: Send | None, waited_s: float) -> None:
        for meter in (self.meter, self.metrics):
            if meter is not None:
                meter.settled(settle.outcome, time.time())
                if send is not None and not send.is_check:
                    meter.sent(send)
        if self.metrics is not None and settle.outcome is not Outcome.CANCELLED:
            self.metrics.latency(waited_s)
        if settle.outcome is Outcome.STOPPED and not self.log_each_session:
            return
        if write_info(lambda at: settled_line(at, lease, settle, send, waited_s)):
            return
        get().info(
            events.SESSION_SETTLED,
            session_id=lease.session_id,
            outcome=settle.outcome.value,
            status=send.status if send else None,
            attempts=attempts_of(lease, settle, send),
            duration_s=round(send.duration_s, 4) if send else None,
            waited_s=round(waited_s, 3),
            source=lease.source,
            request_id=send.request_id if send else None,
            **({"detail": settle.detail} if settle.detail else {}),
            **({"unanswered": lease.unanswered} if lease.unanswered else {}),
        )

    def retry_scheduled(self, lease: Lease, decision: Retry | Release, send: Send | None) -> None:
        if send is None:
            return
        for meter in (self.meter, self.metrics):
            if meter is not None and not send.is_check:
                meter.sent(send)
        if self.metrics is not None:
            self.metrics.retried()
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

    def results_unwritten(self, results: Sequence[LeaseResult]) -> None:
        shown = {result.lease.session_id: _answer(result.send) for result in results[:MAX_SHOWN]}
        get().error(
            events.SESSION_UNWRITTEN,
            count=len(results),
            sessions=shown,
            detail="the queue did not take these answers: they stay open and are sent again",
        )

    def paused(self, pause: Pause) -> None:
        if self.metrics is not None:
            self.metrics.paused(pause.reason)
        get().warning(events.API_PAUSED, reason=pause.reason.value, detail=pause.detail)

    def pause_changed(self, pause: Pause) -> None:
        get().warning(events.API_PAUSE_CHANGED, reason=pause.reason.value, detail=pause.detail)

    def resumed(self, reason: PauseReason, held_s: float, *, last: bool) -> None:
        if self.metrics is not None:
            self.metrics.resumed(reason)
        if last:
            get().warning(events.API_RESUMED, reason=reason.value, held_s=round(held_s, 1))

    def target_pinned(self, address: str) -> None:
        get().info(events.TARGET_PINNED, api=address)

    def reopened(self, session_ids: Sequence[SessionId], why: str) -> None:
        named = list(session_ids[:MAX_SHOWN])
        get().warning(events.SESSION_REOPENED, sessions=len(session_ids), session_ids=named, detail=why)

    def ghost(self, session_id: SessionId, outcome: Outcome) -> None:
        get().warning(events.SESSION_GHOST, session_id=session_id, outcome=outcome.value)

    def unproven_gone(self, count: int) -> None:
        get().warning(events.API_UNPROVEN, answers=count, detail=UNPROVEN)

    def list_cut(self, size: int) -> None:
        get().warning(events.API_LIST_CUT, bytes=size, detail=LIST_CUT)

    def account_pinned(self, account: str) -> None:
        get().info(events.ACCOUNT_PINNED, account=account)

    def account_unknown(self, why: str) -> None:
        get().warning(events.ACCOUNT_UNTOLD, detail=f"{why}: that the token is the right account's is not proven")

    def queue_unavailable(self, why: str) -> None:
        get().error(events.QUEUE_UNAVAILABLE, detail=why)

    def queue_recovered(self, unavailable_s: float) -> None:
        get().warning(events.QUEUE_RECOVERED, away_s=round(unavailable_s, 1))


def _answer(send: Send | None) -> int | str | None:
    return None if send is None else send.status or send.error


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
    printed: bool = False
    """Whether the command prints the results for a person, too: then they are logged at debug."""

    def judged(self, findings: Findings, *, queued: int, kept_back: int, enforced: bool) -> None:
        counts = {each.rule: each.listed for each in findings.rules}
        facts = {"to_stop": findings.to_stop, "known": findings.to_stop - findings.chosen, "sighted": findings.sighted}
        self._at("info")(events.SWEEP_JUDGED, **counts, **facts, queued=queued, kept_back=kept_back, enforced=enforced)
        if self.meter is not None:
            self.meter.swept("judged", {rule: counts.get(rule, 0) for rule in Rule})

    def held(self, hold: Hold, *, new: bool, kept: bool) -> None:
        log = self._at("warning" if new else "info")
        log(events.SWEEP_HELD, hold=hold.id if kept else None, sessions=len(hold.sessions), detail=hold.reason)
        if self.meter is not None:
            self.meter.swept("held", {})

    def stopped(self, reason: str) -> None:
        self._at("warning")(events.SWEEP_STOPPED, detail=reason)
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
        self._at("info")(events.INTAKE_IMPORTED, source=source, **counts)
        self.on_added()

    def _at(self, level: str) -> Callable[..., object]:
        log: Callable[..., object] = getattr(get(), "debug" if self.printed else level)
        return log


def log_exit(code: int, detail: str = "", *, facts: Mapping[str, object] = {}) -> None:
    """Log the end of the process with its exit code."""
    log = get().info if code == Exit.OK else get().warning if code in (Exit.WORK_LEFT, Exit.DEAD) else get().error
    log(events.REAPER_EXITED, exit=int(code), **({"detail": detail} if detail else {}), **facts)


def log_failure(code: int, error: str, trace: BaseException | None = None, *, facts: Mapping[str, object] = {}) -> None:
    """Log the error that ends the process: `error` and `exit`, as `--json` promises them; `trace`: if it helps."""
    shown = {**facts, **({"exc_info": trace} if trace is not None else {})}
    get().error(events.REAPER_EXITED, exit=int(code), error=error, detail=error, **shown)

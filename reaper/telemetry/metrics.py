"""Defines the metrics of the daemon (docs/monitoring.md). No label holds a session ID; all label sets start at 0."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from reaper.core.discovery.policy import Rule
from reaper.core.model import DEAD, Outcome, Pause, PauseReason, Send, State, Stats
from reaper.core.version import __version__
from reaper.telemetry.session_metrics import SessionMetrics
from reaper.telemetry.settle_rate import SettleRate

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SOURCES = ("file", "spool", "stdin", "argument", "discovery")
SPOOL_DIRS = ("tmp", "new", "bad")
SWEEPS = ("judged", "held", "stopped")
DEAD_LETTERS = tuple(outcome for outcome in Outcome if outcome in DEAD)
LOG_LEVELS = ("info", "warning")
_OPEN = (State.READY, State.SCHEDULED, State.RETRYING, State.IN_FLIGHT)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, *, of_process: bool = True) -> None:
        """`of_process`: with the series `process_*`. A node exporter has some of the same names for itself."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.settle_rate = SettleRate()
        """Settled sessions of the last quarter of an hour, for the page."""
        if of_process:
            ProcessCollector(registry=self.registry)
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        self._sessions = SessionMetrics(time.time())
        self.registry.register(self._sessions)
        self._queue = gauge("reaper_queue_sessions", "Open session IDs.", ["state"])
        self._dead = gauge("reaper_dead_sessions", "Dead letters kept.", ["outcome"])
        self._oldest = gauge("reaper_oldest_due_seconds", "How long the oldest ready ID has been due.")
        self._next_due = gauge(
            "reaper_next_due_timestamp_seconds",
            "When the next session falls due that waits for its time; NaN: none does.",
        )
        self._workers = gauge("reaper_workers", "Reapers at work on the queue, by their heartbeats.")
        self._available = gauge("reaper_queue_available", "1 while the queue can be reached.")
        self._in_flight = gauge("reaper_in_flight", "DELETEs under way in this process.")
        self._limit = gauge("reaper_concurrency_limit", "Most DELETEs in flight admitted now.")
        self._paused = gauge("reaper_paused", "1 while the pause holds.", ["reason"])
        self._pauses = counter("reaper_pauses", "Pauses that began.", ["reason"])
        self._paused_s = counter("reaper_paused_seconds", "For how long pauses held.", ["reason"])
        self._imbalance = gauge("reaper_ledger_imbalance", "Rounds accepted and not accounted for.")
        self._lines = counter("reaper_intake_lines", "Lines taken in.", ["source", "result"])
        self._missing = gauge("reaper_intake_files_missing", "Entries of intake.files that name no file now.")
        self._spool = gauge("reaper_spool_files", "Files in the spool; NaN: the directory cannot be used.", ["dir"])
        self._sweeps = counter("reaper_sweeps", "Readings of the API's list, by what came of them.", ["result"])
        self._last_sweep = gauge(
            "reaper_last_sweep_timestamp_seconds", "When the API's list was last read and judged; 0: not yet."
        )
        self._listed = gauge("reaper_listed_sessions", "Sessions of the last list, by the rule that decided.", ["rule"])
        self._ghosts = counter("reaper_ghosts", "Sessions listed as alive after the API said they were gone.")
        self._open_holds = gauge("reaper_open_holds", "Held sweeps that wait for an operator, as of the last sweep.")
        self._ghost_sessions = gauge(
            "reaper_ghost_sessions",
            "Sessions that live on though the API said they were gone, as of the last sweep.",
        )
        self._log_dropped = counter(
            "reaper_log_lines_dropped", "Log lines that the reader of stderr did not take.", ["level"]
        )
        self._reload = gauge(
            "reaper_config_last_reload_successful", "Whether the last reload of the configuration was accepted."
        )
        self._info = gauge("reaper_info", "Always 1: whose sessions these are.", ["api", "account", "queue"])
        build = gauge("reaper_build_info", "Always 1.", ["version", "python"])
        build.labels(__version__, platform.python_version()).set(1)
        for state in _OPEN:
            self._queue.labels(state.value)
        for reason in PauseReason:
            for by_reason in (self._paused, self._pauses, self._paused_s):
                by_reason.labels(reason.value)
        for one in DEAD_LETTERS:
            self._dead.labels(one.value)
        self._info.labels("", "", "")
        self._paused_since: dict[PauseReason, float] = {}
        self._reload.set(1)
        for directory in SPOOL_DIRS:
            self._spool.labels(directory)
        for result in SWEEPS:
            self._sweeps.labels(result)
        for rule in Rule:
            self._listed.labels(rule.value)
        for source in SOURCES:
            for result in ("accepted", "duplicate", "invalid"):
                self._lines.labels(source, result)
        for level in LOG_LEVELS:
            self._log_dropped.labels(level)
        self._log_counted = dict.fromkeys(LOG_LEVELS, 0)

    def sent(self, send: Send) -> None:
        """Count one send and its duration."""
        self._sessions.sent(send)

    def settled(self, outcome: Outcome, at: float) -> None:
        """Count one settled round; `at`: its instant in Unix seconds."""
        self._sessions.settled(outcome, at)
        self.settle_rate.count()

    def latency(self, waited_s: float) -> None:
        """Count how long a settled session had been due."""
        self._sessions.latency(waited_s)

    def retried(self) -> None:
        """Count a send after which its session waits for another one."""
        self._sessions.retried()

    def paused(self, reason: PauseReason) -> None:
        """Count a pause that begins."""
        self._pauses.labels(reason.value).inc()
        self._paused_since[reason] = time.monotonic()

    def resumed(self, reason: PauseReason) -> None:
        """Count how long a pause held that ends."""
        self._count_paused()
        self._paused_since.pop(reason, None)

    def _count_paused(self) -> None:
        """Count the seconds of the pauses that hold, since they were last counted."""
        now = time.monotonic()
        for reason, since in self._paused_since.items():
            self._paused_s.labels(reason.value).inc(now - since)
            self._paused_since[reason] = now

    def reloaded(self, *, successful: bool) -> None:
        """Note how a reload of the configuration ended."""
        self._reload.set(successful)

    def whose(self, api: str, account: str, queue: str) -> None:
        """Set whose sessions these are. `queue`: its URL without a password."""
        self._info.clear()
        self._info.labels(api, account, queue).set(1)

    def ended(self, exit_code: int) -> None:
        """Add the end of a run: its exit code and when it was. For the metrics file of `once`."""
        for name, meaning, value in (
            ("reaper_once_exit_code", "The exit code of the last `once`.", float(exit_code)),
            ("reaper_once_end_timestamp_seconds", "When the last `once` ended.", time.time()),
        ):
            Gauge(name, meaning, registry=self.registry).set(value)

    def imported(self, source: str, *, accepted: int, duplicate: int, invalid: int) -> None:
        """Count the lines of one import. `source`: one of SOURCES."""
        self._lines.labels(source, "accepted").inc(accepted)
        self._lines.labels(source, "duplicate").inc(duplicate)
        self._lines.labels(source, "invalid").inc(invalid)

    def intake_files(self, missing: int, spool: Mapping[str, int]) -> None:
        """Set the gauges of the intake. `spool`: files by directory, of SPOOL_DIRS; -1: it can't be used."""
        self._missing.set(missing)
        for directory in SPOOL_DIRS:
            count = spool.get(directory, 0)
            self._spool.labels(directory).set(math.nan if count < 0 else count)

    def swept(self, result: str, rules: Mapping[Rule, int]) -> None:
        """Count one sweep; set the sessions by rule if it was judged."""
        self._sweeps.labels(result).inc()
        if result != "stopped":
            self._last_sweep.set(time.time())
        for rule, count in rules.items():
            self._listed.labels(rule.value).set(count)

    def ghost(self) -> None:
        """Count one session listed as alive after the API said that it is gone."""
        self._ghosts.inc()

    def open_items(self, *, holds: int, ghosts: int) -> None:
        """Set the open holds and ghosts, as of the last sweep."""
        self._open_holds.set(holds)
        self._ghost_sessions.set(ghosts)

    def log_dropped(self, dropped: Mapping[str, int]) -> None:
        """Count the log lines that were dropped so far, by level."""
        for level, count in dropped.items():
            self._log_dropped.labels(level).inc(count - self._log_counted[level])
            self._log_counted[level] = count

    def queue(self, stats: Stats | None, workers: int = 0) -> None:
        """Set the gauges of the queue; None: the queue is unavailable, and its gauges become NaN."""
        self._available.set(stats is not None)
        if stats is None:
            for state in _OPEN:
                self._queue.labels(state.value).set(math.nan)
            for outcome in DEAD_LETTERS:
                self._dead.labels(outcome.value).set(math.nan)
            for gauge in (self._oldest, self._imbalance, self._next_due, self._workers):
                gauge.set(math.nan)
            return
        self._queue.labels(State.READY.value).set(stats.ready)
        self._queue.labels(State.SCHEDULED.value).set(stats.scheduled)
        self._queue.labels(State.RETRYING.value).set(stats.retrying)
        self._queue.labels(State.IN_FLIGHT.value).set(stats.in_flight)
        for outcome in DEAD_LETTERS:
            self._dead.labels(outcome.value).set(stats.dead_by_outcome.get(outcome, 0))
        self._next_due.set(math.nan if stats.next_due_at is None else stats.next_due_at)
        self._workers.set(workers)
        self._oldest.set(stats.oldest_due_s)
        self._imbalance.set(stats.imbalance)

    def work(self, *, in_flight: int, limit: int, pauses: Iterable[Pause]) -> None:
        """Set the gauges of this process's work."""
        self._in_flight.set(in_flight)
        self._limit.set(limit)
        self._count_paused()
        held = {pause.reason for pause in pauses}
        for reason in PauseReason:
            self._paused.labels(reason.value).set(reason in held)

    def render(self) -> bytes:
        """Return the text exposition."""
        return generate_latest(self.registry)

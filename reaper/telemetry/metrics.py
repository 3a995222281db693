"""Defines the metrics of the daemon (docs/monitoring.md). No label holds a session ID; all label sets start at 0."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from reaper.core.discovery.policy import Rule
from reaper.core.model import Outcome, Pause, PauseReason, Send, State, Stats
from reaper.core.version import __version__
from reaper.telemetry.settle_rate import SettleRate

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
STATUSES = ("2xx", "3xx", "401", "403", "404", "429", "4xx", "502", "5xx", "none")
SOURCES = ("file", "spool", "stdin", "argument", "discovery")
SWEEPS = ("judged", "held", "stopped")
_OPEN = (State.READY, State.DELAYED, State.IN_FLIGHT)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.settle_rate = SettleRate()
        """Settled sessions of the last quarter of an hour, for the page."""
        ProcessCollector(registry=self.registry)
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        self._settled = counter("reaper_sessions_settled", "Rounds ended by this process.", ["outcome"])
        self._sends = counter("reaper_sends", "DELETEs by the status of their answer; none: no answer.", ["status"])
        self._duration = Histogram(
            "reaper_send_duration_seconds", "From send to answer.", buckets=BUCKETS_S, registry=self.registry
        )
        self._queue = gauge("reaper_queue_sessions", "Open session IDs.", ["state"])
        self._dead = gauge("reaper_dead_sessions", "Dead letters kept.")
        self._oldest = gauge("reaper_oldest_due_seconds", "How long the oldest ready ID has been due.")
        self._available = gauge("reaper_queue_available", "1 while the queue can be reached.")
        self._in_flight = gauge("reaper_in_flight", "DELETEs under way in this process.")
        self._limit = gauge("reaper_concurrency_limit", "Most DELETEs in flight admitted now.")
        self._paused = gauge("reaper_paused", "1 while the pause holds.", ["reason"])
        self._imbalance = gauge("reaper_ledger_imbalance", "Rounds accepted and not accounted for.")
        self._lines = counter("reaper_intake_lines", "Lines taken in.", ["source", "result"])
        self._sweeps = counter("reaper_sweeps", "Readings of the API's list, by what came of them.", ["result"])
        self._listed = gauge("reaper_listed_sessions", "Sessions of the last list, by the rule that decided.", ["rule"])
        self._ghosts = counter("reaper_ghosts", "Sessions listed as alive after the API said they were gone.")
        self._open_holds = gauge("reaper_open_holds", "Held sweeps that wait for an operator, as of the last sweep.")
        self._ghost_sessions = gauge(
            "reaper_ghost_sessions",
            "Sessions that live on though the API said they were gone, as of the last sweep.",
        )
        self._success = gauge(
            "reaper_last_success_timestamp_seconds",
            "When a session was last found stopped or gone; the start of the process before that.",
        )
        build = gauge("reaper_build_info", "Always 1.", ["version", "python"])
        build.labels(__version__, platform.python_version()).set(1)
        for outcome in Outcome:
            self._settled.labels(outcome.value)
        for status in STATUSES:
            self._sends.labels(status)
        for state in _OPEN:
            self._queue.labels(state.value)
        for reason in PauseReason:
            self._paused.labels(reason.value)
        for result in SWEEPS:
            self._sweeps.labels(result)
        for rule in Rule:
            self._listed.labels(rule.value)
        for source in SOURCES:
            for result in ("accepted", "duplicate", "invalid"):
                self._lines.labels(source, result)
        self._success.set(time.time())

    def sent(self, send: Send) -> None:
        """Count one send and its duration."""
        self._sends.labels(status_class(send.status)).inc()
        self._duration.observe(send.duration_s)

    def settled(self, outcome: Outcome, at: float) -> None:
        """Count one settled round; `at`: its instant in Unix seconds."""
        self._settled.labels(outcome.value).inc()
        self.settle_rate.count()
        if outcome in (Outcome.STOPPED, Outcome.ALREADY_GONE):
            self._success.set(at)

    def imported(self, source: str, *, accepted: int, duplicate: int, invalid: int) -> None:
        """Count the lines of one import. `source`: one of SOURCES."""
        self._lines.labels(source, "accepted").inc(accepted)
        self._lines.labels(source, "duplicate").inc(duplicate)
        self._lines.labels(source, "invalid").inc(invalid)

    def swept(self, result: str, rules: Mapping[Rule, int]) -> None:
        """Count one sweep; set the sessions by rule if it was judged."""
        self._sweeps.labels(result).inc()
        for rule, count in rules.items():
            self._listed.labels(rule.value).set(count)

    def ghost(self) -> None:
        """Count one session listed as alive after the API said that it is gone."""
        self._ghosts.inc()

    def open_items(self, *, holds: int, ghosts: int) -> None:
        """Set the open holds and ghosts, as of the last sweep."""
        self._open_holds.set(holds)
        self._ghost_sessions.set(ghosts)

    def queue(self, stats: Stats | None) -> None:
        """Set the gauges of the queue; None: the queue is unavailable, and its gauges become NaN."""
        self._available.set(stats is not None)
        if stats is None:
            for state in _OPEN:
                self._queue.labels(state.value).set(math.nan)
            for gauge in (self._dead, self._oldest, self._imbalance):
                gauge.set(math.nan)
            return
        self._queue.labels(State.READY.value).set(stats.ready)
        self._queue.labels(State.DELAYED.value).set(stats.delayed)
        self._queue.labels(State.IN_FLIGHT.value).set(stats.in_flight)
        self._dead.set(stats.dead)
        self._oldest.set(stats.oldest_due_s)
        self._imbalance.set(stats.imbalance)

    def work(self, *, in_flight: int, limit: int, pauses: Iterable[Pause]) -> None:
        """Set the gauges of this process's work."""
        self._in_flight.set(in_flight)
        self._limit.set(limit)
        held = {pause.reason for pause in pauses}
        for reason in PauseReason:
            self._paused.labels(reason.value).set(reason in held)

    def render(self) -> bytes:
        """Return the text exposition."""
        return generate_latest(self.registry)


def status_class(status: int | None) -> str:
    """Return the label of a status: the status itself if STATUSES has it, else its class."""
    if status is None:
        return "none"
    return str(status) if str(status) in STATUSES else f"{status // 100}xx"

"""Counts what happens to each session, and shows it to Prometheus when it asks.

prometheus_client takes a lock and looks a label up for each count: 9 µs a session, a tenth of what stopping one costs
(`bench.parts`). These are plain integers of the event loop's thread; a scrape reads them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from reaper.core.model import Outcome, Send
from reaper.queues.history import BUCKETS_S as LATENCY_BUCKETS_S

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
STATUSES = ("2xx", "3xx", "401", "403", "404", "429", "4xx", "502", "5xx", "none")
_FOUND_ENDED = frozenset({Outcome.STOPPED, Outcome.ALREADY_GONE})


class Durations:
    """A histogram of seconds. A value belongs to the first bucket whose bound is not below it."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum_s += seconds

    def family(self, name: str, meaning: str) -> HistogramMetricFamily:
        """Return the histogram as Prometheus reads it, each bucket with all that are below it."""
        buckets, total = list[tuple[str, float]](), 0
        for bound, count in zip(self._bounds, self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == math.inf else repr(bound), total))
        return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=self._sum_s)


class SessionMetrics:
    """The counts of one process; a collector of prometheus_client. `now` is when it starts, Unix seconds."""

    def __init__(self, now: float) -> None:
        self._settled = dict.fromkeys(Outcome, 0)
        self._sends = dict.fromkeys(STATUSES, 0)
        self._durations, self._latencies = Durations(BUCKETS_S), Durations(LATENCY_BUCKETS_S)
        self._retries = 0
        self._last_success = now

    def sent(self, send: Send) -> None:
        """Count one send and its duration."""
        label = status_class(send.status)
        self._sends[label] = self._sends.get(label, 0) + 1
        self._durations.observe(send.duration_s)

    def settled(self, outcome: Outcome, at: float) -> None:
        """Count one settled round; `at`: its instant in Unix seconds."""
        self._settled[outcome] += 1
        if outcome in _FOUND_ENDED:
            self._last_success = at

    def latency(self, waited_s: float) -> None:
        """Count how long a settled session had been due."""
        self._latencies.observe(waited_s)

    def retried(self) -> None:
        """Count a send after which its session waits for another one."""
        self._retries += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; called by the registry."""
        settled = CounterMetricFamily("reaper_sessions_settled", "Rounds ended by this process.", labels=["outcome"])
        for outcome, count in self._settled.items():
            settled.add_metric([outcome.value], count)
        yield settled
        sends = CounterMetricFamily(
            "reaper_sends", "DELETEs by the status of their answer; none: no answer.", labels=["status"]
        )
        for status, count in self._sends.items():
            sends.add_metric([status], count)
        yield sends
        yield self._durations.family("reaper_send_duration_seconds", "From send to answer.")
        yield self._latencies.family(
            "reaper_settle_latency_seconds", "From when a session was first due to when it was settled."
        )
        yield CounterMetricFamily(
            "reaper_retries", "Sends after which a session waits for another try.", value=self._retries
        )
        yield GaugeMetricFamily(
            "reaper_last_success_timestamp_seconds",
            "When a session was last found stopped or gone; the start of the process before that.",
            value=self._last_success,
        )


@lru_cache(maxsize=128)
def status_class(status: int | None) -> str:
    """Return the label of a status: the status itself if STATUSES has it, else its class."""
    if status is None:
        return "none"
    return str(status) if str(status) in STATUSES else f"{status // 100}xx"

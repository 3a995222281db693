"""What the counts of sessions show to Prometheus is what its own counters and histograms would show."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

from reaper.core.model import Outcome, Send
from reaper.queues.history import BUCKETS_S as LATENCY_BUCKETS_S
from reaper.telemetry.session_metrics import BUCKETS_S, STATUSES, SessionMetrics, status_class

SECONDS = st.floats(0, 1e6) | st.sampled_from([0.0, *BUCKETS_S, *LATENCY_BUCKETS_S])
ENDS = st.tuples(st.sampled_from(Outcome), st.none() | st.integers(100, 599), SECONDS, SECONDS)


def plain(ends: list[tuple[Outcome, int | None, float, float]]) -> bytes:
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    settled = Counter("reaper_sessions_settled", "Rounds ended by this process.", ["outcome"], registry=registry)
    meaning = "DELETEs by the status of their answer; none: no answer."
    sends = Counter("reaper_sends", meaning, ["status"], registry=registry)
    duration = Histogram("reaper_send_duration_seconds", "From send to answer.", buckets=BUCKETS_S, registry=registry)
    meaning = "From when a session was first due to when it was settled."
    latency = Histogram("reaper_settle_latency_seconds", meaning, buckets=LATENCY_BUCKETS_S, registry=registry)
    retries = Counter("reaper_retries", "Sends after which a session waits for another try.", registry=registry)
    meaning = "When a session was last found stopped or gone; the start of the process before that."
    success = Gauge("reaper_last_success_timestamp_seconds", meaning, registry=registry)
    success.set(1000.5)
    for outcome in Outcome:
        settled.labels(outcome.value)
    for label in STATUSES:
        sends.labels(label)
    for number, (outcome, status, duration_s, waited_s) in enumerate(ends):
        settled.labels(outcome.value).inc()
        if outcome in (Outcome.STOPPED, Outcome.ALREADY_GONE):
            success.set(2000.0 + number)
        sends.labels(status_class(status)).inc()
        duration.observe(duration_s)
        latency.observe(waited_s)
        retries.inc()
    return generate_latest(registry)


@given(st.lists(ENDS, max_size=30))
def test_the_text_is_that_of_prometheus_itself(ends: list[tuple[Outcome, int | None, float, float]]) -> None:
    registry, sessions = CollectorRegistry(), SessionMetrics(1000.5)
    registry.register(sessions)
    for number, (outcome, status, duration_s, waited_s) in enumerate(ends):
        sessions.settled(outcome, 2000.0 + number)
        sessions.sent(Send(0.0, duration_s, status=status))
        sessions.latency(waited_s)
        sessions.retried()
    assert generate_latest(registry) == plain(ends)


def test_a_value_on_a_bound_belongs_to_the_bucket_that_ends_there() -> None:
    registry, sessions = CollectorRegistry(), SessionMetrics(0.0)
    registry.register(sessions)
    sessions.sent(Send(0.0, 0.05, status=204))
    for bound, count in (("0.025", 0.0), ("0.05", 1.0), ("+Inf", 1.0)):
        assert registry.get_sample_value("reaper_send_duration_seconds_bucket", {"le": bound}) == count

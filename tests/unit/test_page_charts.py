"""The charts of the page: what each bar stands for, and the same in words."""

from __future__ import annotations

from reaper.core.model import Outcome
from reaper.queues.history import BUCKETS, HistorySlot
from reaper.telemetry.page.charts import SLOTS, Bar, latency_chart, settled_chart, since
from tests.support.page import NOW

START = int(NOW)
assert START % 300 == 0


def slot(slots_ago: int, settled: dict[Outcome, int] | None = None, **latencies: int) -> HistorySlot:
    """Return a slot; latencies by the number of their bucket, as `b3=7`."""
    counts = tuple(latencies.get(f"b{number}", 0) for number in range(len(BUCKETS)))
    return HistorySlot(START - slots_ago * 300, settled or {}, counts)


def test_the_chart_begins_six_hours_ago_with_a_whole_slot() -> None:
    assert since(NOW + 299) == since(NOW) == START - 71 * 300
    assert since(NOW + 300) == START - 70 * 300


def test_outcomes_are_stacked_by_the_minute() -> None:
    history = [slot(71, {Outcome.STOPPED: 100}), slot(2, {Outcome.STOPPED: 150, Outcome.REJECTED: 50})]
    chart = settled_chart(history, NOW)
    assert chart.bars == (
        Bar(0, 0.5, 0.5, "stopped"),
        Bar(SLOTS - 3, 0.25, 0.75, "stopped"),
        Bar(SLOTS - 3, 0.0, 0.25, "rejected"),
    )
    assert chart.top == "at most 40 a minute"
    assert chart.keys == (("stopped", "stopped 250"), ("rejected", "rejected 50"))
    assert chart.words == ("Settled in the last 6 hours: 300 in all, stopped 250, rejected 50; at most 40 a minute")


def test_the_running_slot_is_a_rate_too_and_no_peak() -> None:
    for seconds, top in ((10, "at most 6.0 a minute"), (120, "at most 3.0 a minute"), (299, "at most 1.2 a minute")):
        assert settled_chart([slot(0, {Outcome.STOPPED: 6})], NOW + seconds).top == top


def test_half_and_nearly_all_within() -> None:
    chart = latency_chart([slot(1, b0=90, b2=4, b4=6), slot(0, b1=1)], NOW)
    assert chart.keys == (("half", "half within 0.5 s"), ("late", "95 of 100 within 1 m"))
    assert [(bar.x, round(bar.height * 12), bar.kind) for bar in chart.bars] == [
        (70, 5, "late"), (70, 1, "half"), (71, 2, "late"), (71, 2, "half"),
    ]  # fmt: skip
    assert chart.top == "at worst within 1 m"
    assert "half over 4 h" in latency_chart([slot(0, b11=2)], NOW).words


def test_nothing_and_what_lies_elsewhere() -> None:
    for history in ([], [slot(72, {Outcome.STOPPED: 5}, b0=5)], [slot(-1, {Outcome.STOPPED: 5}, b0=5)]):
        assert settled_chart(history, NOW).top == latency_chart(history, NOW).top == "none"
        assert settled_chart(history, NOW).bars == latency_chart(history, NOW).bars == ()
    assert latency_chart([slot(0, {Outcome.CANCELLED: 3})], NOW).bars == ()

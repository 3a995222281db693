"""The charts of the page: what was settled on the queue in the last hours, by outcome and by latency. Pure.

A chart is a box, one wide for each slot of the history and 1 high, with bars in it; the page draws them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reaper.core.model import Outcome
from reaper.core.text import format_duration
from reaper.core.words import OUTCOME_WORDS
from reaper.queues.history import BUCKETS_S, SLOT_S, HistorySlot, slot_of

HOURS = 6
SLOTS = HOURS * 3600 // SLOT_S
MIN_SLOT_S = 60.0
"""The running slot is taken for so long at least, so that its first seconds are no peak."""
SHARES = ((0.95, "late"), (0.5, "half"))


class Bar(NamedTuple):
    """One bar: its slot, its upper edge and its height in the box, and what it is of, for its colour."""

    x: int
    y: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `words` say the same aloud, `top` what the highest bar is, `keys` what each colour is."""

    words: str
    top: str
    bars: tuple[Bar, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()


def since(now: float) -> float:
    """Return the beginning of the charts."""
    return slot_of(now) - (SLOTS - 1) * SLOT_S


def settled_chart(slots: Sequence[HistorySlot], now: float) -> Chart:
    """Return what was settled in each minute, by outcome."""
    rates = {place: _rates(slot, now) for place, slot in _placed(slots, now)}
    highest = max((sum(rate.values()) for rate in rates.values()), default=0.0)
    counts = {one: sum(slot.settled.get(one, 0) for _, slot in _placed(slots, now)) for one in Outcome}
    if not highest:
        return Chart(f"Nothing was settled in the last {HOURS} hours", "none")
    bars = tuple(bar for place, rate in rates.items() for bar in _stacked(place, rate, highest))
    keys = tuple((one.value, f"{OUTCOME_WORDS[one]} {count:,}") for one, count in counts.items() if count)
    top = f"at most {_rate(highest)} a minute"
    total = sum(counts.values())
    words = f"Settled in the last {HOURS} hours: {total:,} in all, {', '.join(text for _, text in keys)}; {top}"
    return Chart(words, top, bars, keys)


def latency_chart(slots: Sequence[HistorySlot], now: float) -> Chart:
    """Return how long IDs waited from due to settled: half of them, and 95 of 100."""
    places = [(place, slot.latencies) for place, slot in _placed(slots, now) if sum(slot.latencies)]
    if not places:
        return Chart(f"No latency in the last {HOURS} hours", "none")
    bars = []
    for place, latencies in places:
        for share, kind in SHARES:
            height = (_bucket(latencies, share) + 1) / (len(BUCKETS_S) + 1)
            bars.append(Bar(place, 1 - height, height, kind))
    whole = [sum(column) for column in zip(*(latencies for _, latencies in places), strict=True)]
    late, half = (_within(_bucket(whole, share)) for share, _ in SHARES)
    worst = _within(max(_bucket(latencies, SHARES[0][0]) for _, latencies in places))
    words = f"From due to settled in the last {HOURS} hours: half {half}, 95 of 100 {late}"
    return Chart(
        f"{words}; at worst 95 of 100 {worst}", f"at worst {worst}", tuple(bars),
        (("half", f"half {half}"), ("late", f"95 of 100 {late}")),
    )  # fmt: skip


def _placed(slots: Sequence[HistorySlot], now: float) -> Iterator[tuple[int, HistorySlot]]:
    """Yield the slots of the chart, each with its place. One from a clock that was set back since is left out."""
    for slot in slots:
        place = round((slot.at - since(now)) / SLOT_S)
        if 0 <= place < SLOTS:
            yield place, slot


def _rates(slot: HistorySlot, now: float) -> Mapping[Outcome, float]:
    minutes = min(max(now - slot.at, MIN_SLOT_S), SLOT_S) / 60
    return {outcome: count / minutes for outcome, count in slot.settled.items()}


def _stacked(place: int, rate: Mapping[Outcome, float], highest: float) -> Iterator[Bar]:
    below = 0.0
    for outcome in Outcome:
        if count := rate.get(outcome, 0.0):
            height = count / highest
            below += height
            yield Bar(place, round(1 - below, 4), round(height, 4), outcome.value)


def _bucket(latencies: Sequence[int], share: float) -> int:
    """Return the first bucket up to which a share of the latencies lies."""
    need, found = share * sum(latencies), 0
    for bucket, count in enumerate(latencies):
        found += count
        if found >= need:
            return bucket
    return len(latencies) - 1


def _within(bucket: int) -> str:
    if bucket >= len(BUCKETS_S):
        return f"over {format_duration(BUCKETS_S[-1])}"
    bound = BUCKETS_S[bucket]
    return f"within {format_duration(bound) if bound >= 1 else f'{bound:g} s'}"


def _rate(per_minute: float) -> str:
    return f"{per_minute:,.0f}" if per_minute >= 9.95 else f"{per_minute:.1f}"

"""The history of a queue: what was settled in the last day, in slots of five minutes, by outcome and by latency.

An engine keeps one count for each slot and name, and writes it in the atomic step that settles. The latency of an ID is
the time from when its round first fell due until it was settled. Cancelled IDs have none: an operator ended them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from reaper.core.model import Outcome

SLOT_S = 300
KEPT_S = 86_400.0
"""Older slots are pruned: at most 288 are kept, each with one count per outcome and bucket that occurred."""
BUCKETS_S = (0.5, 1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0)
"""The upper bounds of the latencies. `reaper_settle_latency_seconds` has the same."""
BUCKETS = (*(f"waited.{bound:g}" for bound in BUCKETS_S), "waited.more")
"""The names under which latencies are counted: shorter than each of the bounds, and the rest."""
KEPT_AHEAD_S = 86_400.0
"""Slots further ahead come from a clock that was set back since; they are pruned, too."""


@dataclass(frozen=True, slots=True)
class HistorySlot:
    """The rounds that were settled in the five minutes from `at` on, Unix seconds by the engine's clock.

    `latencies` has the number of IDs for each of `BUCKETS_S`, those shorter than the bound and not than the one before;
    its last number counts the longer ones.
    """

    at: int
    settled: dict[Outcome, int] = field(default_factory=dict)
    latencies: tuple[int, ...] = (0,) * len(BUCKETS)


def slot_of(at: float) -> int:
    """Return the beginning of an instant's slot."""
    return math.floor(at / SLOT_S) * SLOT_S


@dataclass(frozen=True, slots=True)
class Ended:
    """Rounds that are settled together: their outcomes, and when those fell due that were not cancelled."""

    outcomes: list[Outcome] = field(default_factory=list)
    due_at: list[float] = field(default_factory=list)

    def counts(self, now: float) -> dict[str, int]:
        """Return the number for each name that occurs, settled at `now`."""
        counts: dict[str, int] = Counter[str](self.outcomes)
        due_at = sorted(self.due_at)
        after = len(due_at)
        for name, bound in zip(BUCKETS, (*BUCKETS_S, math.inf), strict=True):
            if not after:
                break
            before = bisect_right(due_at, now - bound, 0, after)
            if before < after:
                counts[name] = after - before
            after = before
        return counts


def slots(counts: Iterable[tuple[int, str, int]]) -> list[HistorySlot]:
    """Return the slots of some counts (slot, name, number), oldest first. Names of newer versions are left out."""
    found: dict[int, Counter[str]] = {}
    for slot, name, number in counts:
        found.setdefault(slot, Counter())[name] += number
    return [
        HistorySlot(
            at,
            {outcome: names[outcome.value] for outcome in Outcome if names[outcome.value]},
            tuple(names[bucket] for bucket in BUCKETS),
        )
        for at, names in sorted(found.items())
    ]

"""How many were settled of late: a small ring in memory, for the page that draws it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

BUCKET_S = 15
BUCKETS = 60
"""A quarter of an hour in all."""


class SettleRate:
    """Counts by quarter minutes, of the last quarter of an hour. `now` runs steadily."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._turn = self._turn_now()
        self._counts = deque([0], maxlen=BUCKETS)

    def note(self) -> None:
        """Count one, now."""
        self._turn_on()
        self._counts[-1] += 1

    @property
    def counts(self) -> list[int]:
        """What was counted in each quarter minute, oldest first; the last one is under way."""
        self._turn_on()
        return [0] * (BUCKETS - len(self._counts)) + list(self._counts)

    def per_minute(self, minutes: int) -> float:
        """Return the rate over the last minutes, or since the beginning where that is later."""
        counts, now = self.counts, self._now()
        whole = min(minutes * 60 // BUCKET_S, BUCKETS - 1)
        over_s = min(whole * BUCKET_S + (now - self._began) % BUCKET_S, now - self._began)
        return sum(counts[-1 - whole :]) * 60 / max(over_s, 1.0)

    def _turn_now(self) -> int:
        return int((self._now() - self._began) // BUCKET_S)

    def _turn_on(self) -> None:
        turn = self._turn_now()
        self._counts.extend([0] * min(turn - self._turn, BUCKETS))
        self._turn = turn

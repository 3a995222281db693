"""Counts settled sessions of the last quarter of an hour in memory, for the page's chart."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

BUCKET_S = 15
BUCKETS = 60
"""Buckets of BUCKET_S: a quarter of an hour in all."""


class SettleRate:
    """Counts per quarter minute. `now`: a monotonic clock, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._bucket = 0
        self._counts = deque([0], maxlen=BUCKETS)

    def count(self) -> None:
        """Count one session, now."""
        if self._now() - self._began >= (self._bucket + 1) * BUCKET_S:
            self._advance()
        self._counts[-1] += 1

    @property
    def counts(self) -> list[int]:
        """The counts of each quarter minute, oldest first; the last one is not over."""
        self._advance()
        return [0] * (BUCKETS - len(self._counts)) + list(self._counts)

    def per_minute(self, minutes: int) -> float:
        """Return the rate per minute over the last `minutes`, or since the start if that is later."""
        counts, now = self.counts, self._now()
        complete = min(minutes * 60 // BUCKET_S, BUCKETS - 1)
        over_s = min(complete * BUCKET_S + (now - self._began) % BUCKET_S, now - self._began)
        return sum(counts[-1 - complete :]) * 60 / max(over_s, 1.0)

    def _current_bucket(self) -> int:
        return int((self._now() - self._began) // BUCKET_S)

    def _advance(self) -> None:
        bucket = self._current_bucket()
        self._counts.extend([0] * min(bucket - self._bucket, BUCKETS))
        self._bucket = bucket

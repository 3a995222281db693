"""The rate limit of starts, evenly spaced (docs/configuration.md, `worker.rate_per_s`). Pure: time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass

CATCH_UP_S = 0.02
"""The delay that a late caller may catch up at once, seconds: over any second at most 2 % + 1 above the rate."""


@dataclass(slots=True)
class RateLimit:
    """The state: at most `per_s` starts per second, 0 means no limit. Instants are seconds of any steady clock."""

    per_s: float
    _next_at: float = -math.inf

    def allowed(self, now: float) -> int:
        """Return how many sends may start now."""
        if self.per_s <= 0:
            return 1_000_000
        behind_s = now - max(self._next_at, now - CATCH_UP_S)
        return 0 if behind_s < 0 else 1 + int(behind_s * self.per_s)

    def take(self, now: float) -> None:
        """Count one start."""
        if self.per_s > 0:
            self._next_at = max(self._next_at, now - CATCH_UP_S) + 1 / self.per_s

    def next_at(self, now: float) -> float:
        """Return the instant at which the next send may start."""
        return max(now, self._next_at)

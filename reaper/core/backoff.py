"""The one exponential backoff. Pure: jitter is added by the caller."""

from __future__ import annotations


def backoff_s(earlier: int, first_s: float, max_s: float) -> float:
    """Return `first_s` doubled `earlier` times (0 or more), at most `max_s`; all waits in seconds."""
    # Any exponent beyond 60 is the cap; a float cannot hold 2 ** 1024.
    return min(max_s, first_s * 2.0 ** min(earlier, 60))

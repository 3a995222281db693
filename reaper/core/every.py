"""Limits how often something is done, such as a warning that anybody can cause."""

from __future__ import annotations

from collections.abc import Callable


def every(interval_s: float, now: Callable[[], float]) -> Callable[[], bool]:
    """Return a function that is true at its first call, and then at most once per interval."""
    last: float | None = None

    def is_time() -> bool:
        nonlocal last
        if last is not None and now() - last < interval_s:
            return False
        last = now()
        return True

    return is_time

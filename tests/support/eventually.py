"""Wait for a condition that nothing announces: ask again until it holds, and fail when the time is over."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable

import anyio


def eventually(
    condition: Callable[[], object], within_s: float = 30.0, *, what: str = "", every_s: float = 0.02
) -> None:
    """Wait in a test without a loop, or for another process. Fails after `within_s`; `what` says what did not come."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, _failure(within_s, what)
        time.sleep(every_s)


async def eventually_async(
    condition: Callable[[], object], within_s: float = 5.0, *, what: str = "", every_s: float = 0.005
) -> None:
    """Wait while the loop runs on; the condition may be a coroutine function. Fails as `eventually` does."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < deadline, _failure(within_s, what)
        await anyio.sleep(every_s)


def _failure(within_s: float, what: str) -> str:
    return f"within {within_s:g} s it did not come to pass that {what or 'the condition holds'}"

"""Bound the time that a file may take: on a network mount that stalled, even `stat` never returns."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import TypeVar

LIMIT_S = 0.5
"""The event loop stands still for so long at most, once per stall."""

_T = TypeVar("_T")


class Bounded:
    """Runs calls in threads, one at a time (`core.blocking.RunBlocking`).

    A call that takes longer than `limit_s` is left behind. Until it returns, further ones are refused at once, so that
    a mount that stalled costs one thread.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._left_behind: threading.Event | None = None

    def __call__(self, call: Callable[[], _T], /) -> _T:
        if self._left_behind is not None and not self._left_behind.is_set():
            raise self._stalled()
        self._left_behind, done = None, threading.Event()
        results: list[_T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                errors.append(error)
            finally:
                done.set()

        threading.Thread(target=run, name="file", daemon=True).start()
        if not done.wait(self._limit_s):
            self._left_behind = done
            raise self._stalled()
        if errors:
            raise errors[0]
        return results[0]

    def _stalled(self) -> OSError:
        return OSError(errno.ETIMEDOUT, f"no answer within {self._limit_s:g} s (a mount that stalled?)")

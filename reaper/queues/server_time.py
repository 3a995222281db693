"""The time of an engine on another machine, between two measurements of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class ServerTime:
    """Knows an engine's clock from the last time it told it; goes on by this machine's steady one."""

    clock: Callable[[], float] | None = None
    """For tests: tells the time in the engine's stead."""
    _ahead_s: float = 0.0

    def measured(self, at: float) -> None:
        """The engine has just told the time, Unix seconds."""
        self._ahead_s = at - time.monotonic()

    def now(self) -> float:
        """Tell the engine's time."""
        return self._ahead_s + time.monotonic() if self.clock is None else self.clock()

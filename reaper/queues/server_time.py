"""The time of an engine on another machine, between two measurements of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class ServerTime:
    """Estimates an engine's clock from its last answer and this machine's monotonic clock."""

    clock: Callable[[], float] | None = None
    """For tests: replaces the engine's clock."""
    _ahead_s: float = 0.0

    def measured(self, at: float) -> None:
        """Note the engine's time, just received, Unix seconds."""
        self._ahead_s = at - time.monotonic()

    def now(self) -> float:
        """Tell the engine's time."""
        return self._ahead_s + time.monotonic() if self.clock is None else self.clock()

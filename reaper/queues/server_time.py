"""The clock of an engine on another machine, between two measurements."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class ServerTime:
    """Extrapolates an engine's time from its last measurement, by this machine's monotonic clock."""

    clock: Callable[[], float] | None = None
    """Replaces the engine's time in tests."""
    _ahead_s: float = 0.0

    def measured(self, at: float) -> None:
        """Set the engine's time, Unix seconds, as just received from it."""
        self._ahead_s = at - time.monotonic()

    def now(self) -> float:
        """Return the engine's time, Unix seconds."""
        return self._ahead_s + time.monotonic() if self.clock is None else self.clock()

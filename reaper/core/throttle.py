"""The silence that the API asks for with a 429 : nothing is sent before its end, plus up to 10 % (docs/concepts.md)."""

from __future__ import annotations

from dataclasses import dataclass

from reaper.core.backoff import backoff_s
from reaper.core.model import Pause, PauseReason

MIN_S, MAX_S, JITTER = 1.0, 900.0, 0.1
"""The shortest and longest silence in seconds, and the share that jitter adds at most (docs/concepts.md)."""
MAX_UNSTATED_S = 60.0
"""The cap of the doubling silence after 429 answers that state no length."""


@dataclass(slots=True)
class Throttle:
    """The state. Instants are seconds of any clock that never runs backwards."""

    _pause: Pause | None = None
    _unstated: int = 0
    """Silences without a stated length since the last final answer."""

    def hold(self, now: float, after_s: float | None, jitter: float) -> None:
        """Take in a 429 that asks for `after_s` seconds (None: it states none); `jitter` is uniform in [0, 1)."""
        current = self.pause(now)
        if after_s is None:
            # Doubled once per silence: the other answers of the same burst add nothing.
            after_s = MIN_S if current else backoff_s(self._unstated, MIN_S, MAX_UNSTATED_S)
            self._unstated += current is None
        wait_s = min(max(after_s, MIN_S), MAX_S) * (1 + JITTER * jitter)
        until = max(now + wait_s, (current.until or now) if current else now)
        detail = f"the API answered 429: nothing is sent to it for {wait_s:.0f} s"
        self._pause = Pause(PauseReason.THROTTLED, current.since if current else now, detail, until)

    def calm(self) -> None:
        """Take in a final answer: the next silence without a stated length begins at `MIN_S` again."""
        self._unstated = 0

    def pause(self, now: float) -> Pause | None:
        """Return the pause if it holds."""
        return self._pause if self._pause and now < (self._pause.until or now) else None

    @property
    def until(self) -> float:
        """The end of the last silence, past or future; 0 when there was none."""
        return (self._pause.until or 0.0) if self._pause else 0.0

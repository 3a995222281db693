"""The instants of the reads of `GET /api/sessions` that a pause or a missing proof asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from reaper.core.backoff import backoff_s

READ_FIRST_S, READ_MAX_S = 1.0, 5.0
"""The gap between the first two reads, doubled after each one, and the longest gap (docs/concepts.md)."""


@dataclass(slots=True)
class ReadSchedule:
    """The next read, in seconds of the gate's clock, and the reads made since the last reason to read anew."""

    due_at: float = float("-inf")
    reads: int = 0

    def begin_pause(self, now: float, *, refused: bool) -> None:
        """Begin anew for a pause; `refused`: for the pause `credentials`."""
        self.reads, self.due_at = 0, now + (READ_MAX_S if refused else READ_FIRST_S)

    def count(self, now: float, *, refused: bool) -> None:
        """Count a read that was answered."""
        self.due_at = now + (READ_MAX_S if refused else backoff_s(self.reads, READ_FIRST_S, READ_MAX_S))
        self.reads += 1

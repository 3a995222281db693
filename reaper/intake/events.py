"""What the intake tells about itself; whoever wires it makes log events and metrics of it (SPEC 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import SessionId
from reaper.queues.values import Added, InvalidLine

NAMED = 100
"""How many duplicates a sum names, as the queue does."""

NOTHING = Added(0, 0, 0)


class Report(Protocol):
    """Where sources tell what happened. `source` is a path. Must not raise, nor block."""

    def imported(self, kind: str, source: str, added: Added) -> None:
        """What one poll brought from one file is durable. `kind` is `file` or `spool`."""

    def invalid(self, source: str, lines: Sequence[InvalidLine]) -> None:
        """These lines were not accepted; the queue has recorded them."""

    def noted(self, source: str, note: str) -> None:
        """Something happened to the source that its operator should know; told once. `note` is a sentence."""

    def failed(self, source: str, error: str) -> None:
        """The source cannot be used now, which is told once per change; it is tried again at every poll."""

    def recovered(self, source: str) -> None:
        """The source can be used again."""

    def unavailable(self, error: QueueUnavailableError) -> None:
        """The queue takes nothing in now; what is new stays in its source."""


def add_up(one: Added, other: Added) -> Added:
    """Return the sum of what became of two batches."""
    duplicates: tuple[SessionId, ...] = one.duplicates
    if len(duplicates) < NAMED:
        duplicates = (duplicates + other.duplicates)[:NAMED]
    return Added(
        one.accepted + other.accepted, one.duplicate + other.duplicate, one.invalid + other.invalid, duplicates
    )

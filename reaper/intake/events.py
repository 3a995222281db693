"""The events of the intake; telemetry turns them into log events and metrics (docs/monitoring.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import SessionId
from reaper.queues.values import Added, InvalidLine

MAX_NAMED = 100
"""A sum names at most so many duplicates, as the queue does."""

NOTHING = Added(0, 0, 0)


class IntakeReport(Protocol):
    """Receives the events of sources. `source` is a path. No method may raise or block."""

    def imported(self, kind: str, source: str, added: Added) -> None:
        """Report that the IDs of one poll of one file are durable. `kind` is `file` or `spool`."""

    def invalid(self, source: str, lines: Sequence[InvalidLine]) -> None:
        """Report lines that were refused; the queue has recorded them."""

    def noted(self, source: str, note: str) -> None:
        """Report a problem that the operator should know. `note` is a sentence; called once per problem."""

    def failed(self, source: str, error: str) -> None:
        """Report that the source cannot be used now. Called once per change of the error; every poll tries again."""

    def recovered(self, source: str) -> None:
        """Report that the source works again."""

    def counted(self, missing: int, spool: Mapping[str, int] | None) -> None:
        """Report how many entries of `intake.files` name no file, and the files in each directory of the spool.

        Called after each round. None: no spool is configured; -1: the directory can't be used.
        """

    def unavailable(self, error: QueueUnavailableError) -> None:
        """Report that the queue is unavailable; new lines stay in their source."""


def add_up(one: Added, other: Added) -> Added:
    """Return the sum of two results of `Queue.add`."""
    duplicates: tuple[SessionId, ...] = one.duplicates
    if len(duplicates) < MAX_NAMED:
        duplicates = (duplicates + other.duplicates)[:MAX_NAMED]
    return Added(
        one.accepted + other.accepted,
        one.duplicate + other.duplicate,
        one.invalid + other.invalid,
        duplicates,
        one.postponed + other.postponed,
    )

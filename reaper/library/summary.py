"""The result of one `Reaper.stop`."""

from __future__ import annotations

from dataclasses import dataclass

from reaper.app.once import Summary as RunSummary
from reaper.core.errors import Exit
from reaper.core.model import Outcome


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts of one stop, as in `reaper once --json`.

    They cover the IDs added since the last stop and, unless `leftovers` was false, those that were open and due.
    """

    accepted: int
    """IDs that were new to the ledger."""
    duplicate: int
    """IDs that it knew already; open ones among them are stopped, too."""
    invalid: int
    """Lines of files that contain no valid ID."""
    stopped: int
    already_gone: int
    forbidden: int
    rejected: int
    exhausted: int
    protected: int
    cancelled: int
    waiting: int
    """IDs that are still open, including `delayed` ones."""
    delayed: int
    """IDs that are not due yet and were never sent."""
    sends: int
    """DELETEs that this stop sent."""
    duration_s: float
    exit: Exit
    """The exit code that `reaper once` would have returned."""
    why: str | None = None
    """Why due work remains, in words."""

    @property
    def ok(self) -> bool:
        """Return True when no due ID is open and none ended dead."""
        return self.exit is Exit.OK

    @property
    def dead(self) -> int:
        """Return the number of sessions that could not be stopped; the ledger keeps them until a retry or purge."""
        return self.forbidden + self.rejected + self.exhausted

    def __str__(self) -> str:
        """Return one line for people: `3 sessions in 0.2 s: 2 stopped, 1 already gone`."""
        counts = [(outcome.value.replace("_", " "), getattr(self, outcome.value)) for outcome in Outcome]
        counts += [("still waiting", self.waiting - self.delayed), ("delayed", self.delayed)]
        parts = ", ".join(f"{count} {word}" for word, count in counts if count)
        total = sum(count for _, count in counts)
        head = f"{total} session{'s' * (total != 1)} in {self.duration_s:.1f} s"
        return f"{head}: {parts}" if parts else head


def summary_of(run: RunSummary) -> Summary:
    """Return the flat form of the summary of a run."""
    return Summary(**run.counts(), duration_s=run.duration_s, exit=run.exit, why=run.why)

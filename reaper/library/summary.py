"""The result of one `Reaper.stop`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reaper.app.run_summary import Summary as RunSummary
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
    """IDs that are due later: `scheduled` and `retrying`."""
    scheduled: int
    """IDs that are not due yet and were never sent in this round."""
    retrying: int
    """IDs that were sent and wait for another try."""
    sends: int
    """DELETEs that this stop sent."""
    retries: int
    """Those of them that were not the first of their ID's round."""
    duration_s: float
    exit: Exit
    """The exit code that `reaper once` would have returned."""
    why: str | None = None
    """Why due work remains, in words."""
    notes: Sequence[str] = ()
    """What a person should know of the outcomes beside their counts, in words."""
    earlier: Mapping[str, int] = field(default_factory=dict)
    """How many of the counts of the outcomes, by their names, are of IDs that were settled before this stop."""

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
        counts = {outcome.value: getattr(self, outcome.value) for outcome in Outcome}
        counts |= {"still waiting": self.waiting - self.delayed}
        counts |= {"retrying": self.retrying, "scheduled": self.scheduled}
        total = sum(counts.values())
        parts = ", ".join(self._part(word, count) for word, count in counts.items() if count)
        head = f"{total} session{'s' * (total != 1)} in {self.duration_s:.1f} s"
        return f"{head}: {parts}" if parts else head

    def _part(self, word: str, count: int) -> str:
        words, earlier = word.replace("_", " "), self.earlier.get(word, 0)
        return f"{count - earlier} {words} now, {earlier} by earlier runs" if earlier else f"{count} {words}"


def summary_of(run: RunSummary) -> Summary:
    """Return the flat form of the summary of a run."""
    return Summary(
        **run.counts(),
        duration_s=run.duration_s,
        exit=run.exit,
        why=run.why,
        notes=tuple(run.notes),
        earlier=run.earlier_counts(),
    )

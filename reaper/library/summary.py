"""What a stop came to."""

from __future__ import annotations

from dataclasses import dataclass

from reaper.app import once as oneshot
from reaper.core.errors import Exit
from reaper.core.model import Outcome


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts of one stop, as `reaper once --json` has them; they are of its set.

    The set is what was added since the last stop and, unless `leftovers` was false, what was open and due then.
    """

    accepted: int
    """IDs that were new to the ledger."""
    duplicate: int
    """IDs that it knew already; what is open of them is stopped too."""
    invalid: int
    """Lines of files that hold no ID."""
    stopped: int
    already_gone: int
    forbidden: int
    rejected: int
    exhausted: int
    protected: int
    cancelled: int
    waiting: int
    """IDs that are open still, `delayed` ones included."""
    delayed: int
    """IDs that are not due yet and were never sent."""
    sends: int
    """DELETEs that were sent by this stop."""
    duration_s: float
    exit: Exit
    """The exit code with which `reaper once` would have ended."""
    why: str | None = None
    """Why work was left behind, a sentence for people."""

    @property
    def ok(self) -> bool:
        """Whether nothing that was due is left, and nothing ended dead."""
        return self.exit is Exit.OK

    @property
    def dead(self) -> int:
        """Sessions that could not be stopped: the ledger keeps them until somebody retries or purges them."""
        return self.forbidden + self.rejected + self.exhausted

    def __str__(self) -> str:
        """Return one line for people: `3 sessions in 0.2 s: 2 stopped, 1 already gone`."""
        counts = [(outcome.value.replace("_", " "), getattr(self, outcome.value)) for outcome in Outcome]
        counts += [("still waiting", self.waiting - self.delayed), ("delayed", self.delayed)]
        told = ", ".join(f"{count} {word}" for word, count in counts if count)
        total = sum(count for _, count in counts)
        head = f"{total} session{'s' * (total != 1)} in {self.duration_s:.1f} s"
        return f"{head}: {told}" if told else head


def summary_of(found: oneshot.Summary) -> Summary:
    """Return the flat form of what `once` found."""
    settled = {outcome.value: found.view.settled.get(outcome, 0) for outcome in Outcome}
    return Summary(
        accepted=found.added.accepted,
        duplicate=found.added.duplicate,
        invalid=found.added.invalid,
        **settled,
        waiting=found.view.open,
        delayed=found.view.delayed,
        sends=found.sends,
        duration_s=found.duration_s,
        exit=found.exit,
        why=found.why,
    )

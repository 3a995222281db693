"""The result of a run over one set: how each of its IDs stands, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reaper.core.errors import Exit
from reaper.core.model import DEAD, Outcome
from reaper.queues.base import RunSet
from reaper.queues.values import Added, SetView

ALL_GONE = "every session of this run was already gone; if that is a surprise: reaper check"
UNANSWERED = "an earlier send, whose process ended before its reply was recorded, may have stopped them"
UNPROVEN = "api.verify=false keeps reaper from comparing them with the API's list"


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run; counts are of its set."""

    added: Added
    view: SetView
    sends: int
    duration_s: float
    exit: Exit
    why: str | None = None
    """Why work was left, in words."""
    earlier: Mapping[Outcome, int] = field(default_factory=dict)
    """How many of the settled IDs of the set were settled before this run began its work."""
    unproven: int = 0
    """Answers of 404 in a row that nothing could be compared with, where they are worth a warning."""
    retries: int = 0
    """How many of the sends were not the first of their ID's round."""
    gone_after_unanswered: int = 0
    """How many were already gone that an earlier send without a recorded reply may have stopped."""
    now: float = 0.0
    """When the set was counted, by the engine's clock."""
    discovery: Mapping[str, object] | None = None
    """The result of the sweep that this run began with, as JSON; None: without one."""

    @property
    def notes(self) -> list[str]:
        """What a person should know of the outcomes beside their counts, in words."""
        now = {outcome: count - self.earlier.get(outcome, 0) for outcome, count in self.view.settled.items()}
        notes = []
        gone = now.get(Outcome.ALREADY_GONE, 0)
        if gone and gone == sum(now.values()) and not self.view.to_do:
            notes.append(ALL_GONE)
        if count := min(gone, self.gone_after_unanswered):
            notes.append(f"{count:,} of the {gone:,} already gone: {UNANSWERED}")
        if self.unproven:
            notes.append(f"{self.unproven:,} answers of 404 or 410 in a row: {UNPROVEN}")
        return notes

    def counts(self) -> dict[str, int]:
        """Return every count by its name in `once --json` and in `reaper.Summary`."""
        settled = {outcome.value: self.view.settled.get(outcome, 0) for outcome in Outcome}
        return {
            "accepted": self.added.accepted,
            "duplicate": self.added.duplicate,
            "invalid": self.added.invalid,
            **settled,
            "waiting": self.view.open,
            "scheduled": self.view.scheduled,
            "retrying": self.view.retrying,
            "delayed": self.view.delayed,
            "sends": self.sends,
            "retries": self.retries,
        }

    def earlier_counts(self) -> dict[str, int]:
        """Return `earlier` by the names of all outcomes."""
        return {outcome.value: self.earlier.get(outcome, 0) for outcome in Outcome}

    def as_json(self) -> dict[str, object]:
        return {
            **self.counts(),
            "earlier": self.earlier_counts(),
            "notes": self.notes,
            "discovery": self.discovery,
            "duration_s": round(self.duration_s, 3),
            "exit": int(self.exit),
        }


async def summarize(
    members: RunSet,
    added: Added,
    sends: int = 0,
    duration_s: float = 0.0,
    *,
    now: float,
    why: str | None = None,
    if_left: Exit = Exit.WORK_LEFT,
    doubts: bool = False,
) -> Summary:
    """Return how the set stands and the exit code that follows; `why` and `if_left` count only where work is left.

    `now`: by the engine's clock.

    `doubts`: something was booked as gone that no list confirmed, which the next run makes good.
    """
    view = await members.view()
    if view.to_do or doubts:
        return Summary(added, view, sends, duration_s, if_left, why, now=now)
    dead = any(view.settled.get(outcome, 0) for outcome in DEAD)
    return Summary(added, view, sends, duration_s, Exit.DEAD if dead or added.invalid else Exit.OK, now=now)

"""Dead letters in groups: those that ended alike, by outcome, status and message. Pure.

A message that names its own session differs for each; there `ID` stands for the name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from reaper.core.error_body import readable_detail
from reaper.core.model import Item, Outcome

SESSION = "ID"


class DeadGroup(NamedTuple):
    """What the letters of one group have in common; `status` is None where no answer was recorded."""

    outcome: Outcome
    status: int | None
    message: str


@dataclass(slots=True)
class GroupCount:
    """How many letters a group has, and when the first and the last of them were settled."""

    count: int = 0
    first_at: float = float("inf")
    last_at: float = 0.0


@dataclass(slots=True)
class DeadGroups:
    """All groups of the letters that were added."""

    counts: dict[DeadGroup, GroupCount] = field(default_factory=dict)

    def add(self, item: Item) -> None:
        """Count a dead letter."""
        found = self.counts.setdefault(group_of(item), GroupCount())
        at = item.settled_at or 0.0
        found.count, found.first_at, found.last_at = found.count + 1, min(found.first_at, at), max(found.last_at, at)

    def largest_first(self) -> list[tuple[DeadGroup, GroupCount]]:
        """Return the groups with their counts, the largest first."""
        return sorted(self.counts.items(), key=lambda each: (-each[1].count, each[0].outcome, each[0].message))


def group_of(item: Item) -> DeadGroup:
    """Return the group of a dead letter."""
    assert item.outcome is not None, "a dead letter has an outcome"
    message = readable_detail(item.detail or "").replace(item.session_id, SESSION)
    return DeadGroup(item.outcome, item.status, message)

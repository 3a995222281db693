"""Ghosts: sessions that the API reported as stopped or gone and still lists as alive (docs/discovery.md). Pure.

They are reported, not stopped again: a session that survived one 204 would survive the next one, too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from reaper.core.discovery.listing import SessionSummary
from reaper.core.model import PROVEN, Outcome, SessionId

KEY = "ghosts"
"""The key under which the queue keeps them."""
APART_S = 60.0
"""The least time between two sightings, seconds: a stopped session may stay on the list for a moment."""


@dataclass(frozen=True, slots=True)
class Ghosts:
    """The instant at which each was first listed after its end, Unix seconds; `proven` were seen twice."""

    first: Mapping[SessionId, float] = field(default_factory=dict)
    proven: frozenset[SessionId] = frozenset()

    def to_text(self) -> str:
        """Return the ghosts as JSON; equal ghosts give equal texts."""
        return json.dumps({"first": dict(sorted(self.first.items())), "proven": sorted(self.proven)})


def update_ghosts(
    ghosts: Ghosts, sessions: Iterable[SessionSummary], outcomes: Mapping[SessionId, Outcome | None], now: float
) -> tuple[Ghosts, list[SessionId]]:
    """Take in one reading of the list; return all ghosts, and the IDs that are proven now and were not before.

    A session that is no longer listed as alive, or is being stopped once more, is forgotten.
    """
    alive = [
        session.session_id for session in sessions if session.is_alive and outcomes.get(session.session_id) in PROVEN
    ]
    first = {each: min(ghosts.first.get(each, now), now) for each in alive}
    proven = frozenset(each for each, at in first.items() if each in ghosts.proven or now - at >= APART_S)
    return Ghosts(first, proven), sorted(proven - ghosts.proven)


def add_ghosts(
    ghosts: Ghosts, again: Iterable[SessionId], alive: Collection[str], now: float
) -> tuple[Ghosts, list[SessionId]]:
    """Add sessions that were re-opened, called gone again, and are alive; return all ghosts, and those new among them.

    Those that are not among `alive` any more are forgotten.
    """
    new = sorted(set(again) - ghosts.proven)
    first = {each: at for each, at in ghosts.first.items() if each in alive} | dict.fromkeys(new, now)
    return Ghosts(first, (ghosts.proven & first.keys()) | frozenset(new)), new


def read_ghosts(text: str | None) -> Ghosts:
    """Read the text of `to_text`. A text that cannot be read counts as no ghosts: that only delays a report."""
    try:
        value = json.loads(text or "{}")
        first = {SessionId(str(key)): float(at) for key, at in value.get("first", {}).items()}
        return Ghosts(first, frozenset(SessionId(str(each)) for each in value.get("proven", ())) & first.keys())
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Ghosts()

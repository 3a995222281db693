"""Ghosts: sessions that the API said were stopped or gone, and that it lists as alive all the same (SPEC 7). Pure.

They are reported, not stopped again: who answers 204 and goes on running will do so the next time, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reaper.core.discovery.listing import SessionSummary
from reaper.core.model import PROVEN, Outcome, SessionId

NOTE = "ghosts"
APART_S = 60.0
"""How far two sightings must be apart: a stopped session may take a moment to leave the list."""


@dataclass(frozen=True, slots=True)
class Ghosts:
    """When each was first listed again after its end, Unix seconds; `proven` were seen twice."""

    first: Mapping[SessionId, float] = field(default_factory=dict)
    proven: frozenset[SessionId] = frozenset()

    def to_text(self) -> str:
        """Return them as JSON; the same ghosts, the same text."""
        return json.dumps({"first": dict(sorted(self.first.items())), "proven": sorted(self.proven)})


def update_ghosts(
    ghosts: Ghosts, sessions: Iterable[SessionSummary], outcomes: Mapping[SessionId, Outcome | None], now: float
) -> tuple[Ghosts, list[SessionId]]:
    """Take in one reading of the list; return all ghosts, and those that were not proven before.

    What is no longer listed as alive, or is being stopped once more, is forgotten.
    """
    alive = [
        session.session_id
        for session in sessions
        if session.status in ("starting", "running")
        and session.alive is not False
        and outcomes.get(session.session_id) in PROVEN
    ]
    first = {each: min(ghosts.first.get(each, now), now) for each in alive}
    proven = frozenset(each for each, at in first.items() if each in ghosts.proven or now - at >= APART_S)
    return Ghosts(first, proven), sorted(proven - ghosts.proven)


def read_ghosts(text: str | None) -> Ghosts:
    """Read what `to_text` wrote. What is not understood was not seen: that only delays a report."""
    try:
        value = json.loads(text or "{}")
        first = {SessionId(str(key)): float(at) for key, at in value.get("first", {}).items()}
        return Ghosts(first, frozenset(SessionId(str(each)) for each in value.get("proven", ())) & first.keys())
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Ghosts()

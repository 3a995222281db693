"""Sightings: the sessions that are listed without a live owner, and since when (docs/discovery.md). Pure.

The queue keeps them, so that two runs of `once --discover` from cron are two sightings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from reaper.core.discovery.listing import SessionSummary
from reaper.core.ids import check_id
from reaper.core.model import SessionId

Owners = frozenset[str] | None
"""The batch IDs that are alive. None: not known; then, and when it is empty, every batch counts as alive."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """The instant since which each reading has found a session orphaned; Unix seconds on the server's clock."""

    first: Mapping[SessionId, float] = field(default_factory=lambda: MappingProxyType({}))

    def to_text(self) -> str:
        """Return the sightings as JSON; equal sightings give equal texts."""
        return json.dumps(dict(sorted(self.first.items())), separators=(",", ":"))


def orphaned(session: SessionSummary, owners: Owners) -> bool:
    """Return whether the session's batch is not among the live owners; False for a session without a batch."""
    return bool(owners) and session.batch_id is not None and session.batch_id not in (owners or ())


def update_sightings(
    sightings: Sightings, sessions: Iterable[SessionSummary], owners: Owners, server_now: float | None
) -> Sightings:
    """Take in one sound reading of the whole list.

    A session that is no longer listed, or has an owner (as all have while the owners are not known), is forgotten. So
    the size is bounded, and the count starts anew when an owner comes back. Without the server's time nothing changes.
    """
    if server_now is None:
        return sightings
    seen = [session.session_id for session in sessions if orphaned(session, owners)]
    # A first sighting in the future comes from another clock: it counts from now.
    return Sightings(MappingProxyType({each: min(sightings.first.get(each, server_now), server_now) for each in seen}))


def read_sightings(text: str | None) -> Sightings:
    """Read the text of `to_text`. A text that cannot be read counts as no sightings: that only delays a stop."""
    try:
        value = json.loads(text or "{}")
        items = value.items() if isinstance(value, dict) else ()
        first = {check_id(key): float(at) for key, at in items if isinstance(at, int | float) and math.isfinite(at)}
    except (ValueError, RecursionError, OverflowError):
        first = {}
    return Sightings(MappingProxyType(first))

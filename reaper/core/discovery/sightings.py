"""Which sessions were seen without a live owner, and since when (SPEC 7, orphaned). Pure.

Kept as a note in the queue, so that two runs of `once --discover` from cron are two sightings.
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
"""The batch IDs that are alive. None: not known; then, and when it is empty, all are."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """When each session was first seen orphaned, and in each reading since; Unix seconds on the server's clock."""

    first: Mapping[SessionId, float] = field(default_factory=lambda: MappingProxyType({}))

    def to_text(self) -> str:
        """Return them as JSON; the same sightings, the same text."""
        return json.dumps(dict(sorted(self.first.items())), separators=(",", ":"))


def orphaned(session: SessionSummary, owners: Owners) -> bool:
    """Return whether the session's batch is not among the live owners. One without a batch has no owner to miss."""
    return bool(owners) and session.batch_id is not None and session.batch_id not in (owners or ())


def update_sightings(
    sightings: Sightings, sessions: Iterable[SessionSummary], owners: Owners, server_now: float | None
) -> Sightings:
    """Take in one sound reading of the whole list.

    What is no longer listed, or has an owner (as all have while the owners are not known), is forgotten: that bounds
    the size, and an owner that comes back starts the count anew. Without the server's time nothing changes.
    """
    if server_now is None:
        return sightings
    seen = [session.session_id for session in sessions if orphaned(session, owners)]
    # A first sighting in the future was told by another clock: it counts from now.
    return Sightings(MappingProxyType({each: min(sightings.first.get(each, server_now), server_now) for each in seen}))


def read_sightings(text: str | None) -> Sightings:
    """Read what `to_text` wrote. Of what is not understood nothing was seen: that only delays a stop."""
    try:
        value = json.loads(text or "{}")
        items = value.items() if isinstance(value, dict) else ()
        first = {check_id(key): float(at) for key, at in items if isinstance(at, int | float) and math.isfinite(at)}
    except (ValueError, RecursionError, OverflowError):
        first = {}
    return Sightings(MappingProxyType(first))

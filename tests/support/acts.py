"""The acts of the console: a body of each that it takes, and what it could change."""

from __future__ import annotations

from typing import Any

from reaper.core.acts import KEY
from reaper.core.discovery.holds import KEY as HOLDS
from tests.support.console import Desk

BODIES: dict[str, dict[str, Any]] = {
    "retry": {"where": {"state": "dead"}},
    "purge": {"where": {"state": "dead"}},
    "cancel": {"where": {"state": "ready"}, "reason": "wanted"},
    "postpone": {"where": {"state": "ready"}, "after": "30m"},
    "approve": {"hold": "h1"},
    "discard": {"hold": "h1"},
    "pause": {"reason": "a look"},
    "resume": {},
}


async def facts(desk: Desk) -> object:
    """Return all that an act could change."""
    stats = await desk.queue.stats()
    values = [await desk.queue.read_value(key) for key in (HOLDS, KEY)]
    paused = await desk.queue.paused()
    return stats.ready, stats.scheduled, stats.retrying, stats.in_flight, stats.accepted, stats.dead, values, paused

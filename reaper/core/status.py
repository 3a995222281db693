"""The document of `reaper status --json`, which is also the health listener's `/status`."""

from __future__ import annotations

from collections.abc import Sequence

from reaper.core.model import Outcome, Pause, Stats
from reaper.core.times import format_time


def status_json(
    stats: Stats, pauses: Sequence[Pause], limit: int | None, *, holds: int = 0, ghosts: int = 0
) -> dict[str, object]:
    """Return the document.

    `limit`: DELETEs that may be in flight at once, None while no worker is alive. `settled` has every outcome. `holds`
    and `ghosts` are in it only where there are any, so that a reader without discovery sees the same keys always.
    """
    found = {"holds": holds, "ghosts": ghosts}
    return {
        "ready": stats.ready,
        "delayed": stats.delayed,
        "in_flight": stats.in_flight,
        "dead": stats.dead,
        "settled": {outcome.value: stats.settled.get(outcome, 0) for outcome in Outcome},
        "oldest_due_s": round(stats.oldest_due_s, 3),
        "pauses": [{"reason": p.reason.value, "since": format_time(p.since), "detail": p.detail} for p in pauses],
        "limit": limit,
        "imbalance": stats.imbalance,
        **{name: count for name, count in found.items() if count},
    }

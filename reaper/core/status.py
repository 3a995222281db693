"""The document of `reaper status --json`, which is also the health listener's `/status` (docs/json.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reaper.core.discovery.ghosts import Ghosts
from reaper.core.discovery.holds import Hold
from reaper.core.model import Outcome, Pause, Stats, WorkerHeartbeat
from reaper.core.owners import random_part
from reaper.core.times import format_time
from reaper.core.version import __version__


def status_json(
    stats: Stats,
    pauses: Sequence[Pause],
    limit: int | None,
    *,
    queue: str,
    target: str | None = None,
    account: str | None = None,
    workers: Sequence[WorkerHeartbeat] = (),
    in_flight_of: Mapping[str, int] | None = None,
    holds: Sequence[Hold] = (),
    ghosts: Ghosts | None = None,
    unproven_gone: int = 0,
    with_ids: bool = True,
) -> dict[str, object]:
    """Return the document. Every key is always there, and `settled` has every outcome.

    `limit`: DELETEs that may be in flight at once, None while no worker is alive. `queue`: its URL, fit to be shown.
    `target`, `account`: those of the queue, None before the first proof. `in_flight_of`: leases in force by the random
    part of their owner's name. `with_ids`: session IDs may be shown.
    """
    seen = ghosts or Ghosts()
    return {
        "target": target,
        "account": account,
        "queue": queue,
        "version": __version__,
        "workers": [_worker(worker, (in_flight_of or {}).get(random_part(worker.owner), 0)) for worker in workers],
        "ready": stats.ready,
        "scheduled": stats.scheduled,
        "retrying": stats.retrying,
        "delayed": stats.delayed,
        "in_flight": stats.in_flight,
        "dead": stats.dead,
        "settled": {outcome.value: stats.settled.get(outcome, 0) for outcome in Outcome},
        "oldest_due_s": round(stats.oldest_due_s, 3),
        "next_scheduled_at": _instant(stats.next_scheduled_at),
        "next_retry_at": _instant(stats.next_retry_at),
        "pauses": [_pause(pause) for pause in pauses],
        "limit": limit,
        "imbalance": stats.imbalance,
        "holds": [_hold(hold) for hold in holds],
        "hold_count": len(holds),
        "ghosts": [
            {**({"session_id": each} if with_ids else {}), "first_seen_at": format_time(seen.first[each])}
            for each in sorted(seen.proven)
        ],
        "ghost_count": len(seen.proven),
        "unproven_gone": unproven_gone,
    }


def _worker(worker: WorkerHeartbeat, in_flight: int) -> dict[str, object]:
    return {
        "host": worker.place.host or None,
        "pid": worker.pid,
        "started_at": format_time(worker.started_at),
        "last_heartbeat_at": format_time(worker.last_seen_at),
        "in_flight": in_flight,
        "limit": worker.limit,
        "pauses": [_pause(pause) for pause in worker.pauses],
    }


def _pause(pause: Pause) -> dict[str, object]:
    return {
        "reason": pause.reason.value,
        "since": format_time(pause.since),
        "detail": pause.detail,
        "ends_at": _instant(pause.until),
        "by": pause.by,
    }


def _instant(at: float | None) -> str | None:
    return None if at is None else format_time(at)


def _hold(hold: Hold) -> dict[str, object]:
    return {
        "id": hold.id,
        "created_at": format_time(hold.created_at),
        "expires_at": format_time(hold.expires_at),
        "guards": [guard.value for guard in hold.guards],
        "reason": hold.reason,
        "sessions": len(hold.sessions),
    }

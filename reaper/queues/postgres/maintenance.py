"""The upkeep of the queue: releases, pruning, counters, what dead processes left."""

from __future__ import annotations

from reaper.queues.history import KEPT_AHEAD_S, KEPT_S
from reaper.queues.postgres.database import fetch
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load

MAX_PRUNED = 1_000
"""Rows that one call deletes at most, so that no other work waits for long."""
DEAD_AFTER_S = 7 * 86_400.0
"""The row of a dead process is deleted so long after it was last written; its leases expired long before."""
_SQL = load("maintenance.sql")


async def maintain(connection: Session, keep_settled_s: float, now: object) -> int:
    """Release leases and prune rows.

    Leases of processes that deregistered are released, cancelled rows whose lease expired settled. `now` is the time in
    tests, else None. Returns how many leases were released.
    """
    ((released,),) = await fetch(connection, _SQL["release"], {"now": now})
    await connection.execute(_SQL["prune"], {"keep_s": keep_settled_s, "limit": MAX_PRUNED, "now": now})
    await connection.execute(_SQL["prune_history"], {"keep_s": KEPT_S, "ahead_s": KEPT_AHEAD_S, "now": now})
    return int(released)


async def tidy(connection: Session, now: object) -> None:
    """Add up counters and delete what dead processes left: a large run set takes its time. `now` as for `maintain`."""
    await connection.execute(_SQL["add_up_counters"], {"now": now})
    await connection.execute(_SQL["drop_dead_owners"], {"dead_s": DEAD_AFTER_S, "now": now})
    await drop_sets(connection)


async def drop_sets(connection: Session) -> None:
    """Delete the run sets of processes that have no row."""
    await connection.execute(_SQL["drop_sets"])

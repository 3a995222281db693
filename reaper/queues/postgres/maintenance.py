"""The upkeep of the queue: releases, pruning, counters. One statement each."""

from __future__ import annotations

from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.database import fetch
from reaper.queues.postgres.statements import load

MAX_PRUNED = 1_000
"""Rows that one call deletes at most, so that no other work waits for long."""
_SQL = load("maintenance.sql")


async def release(connection: Connection, now: object) -> int:
    """Release the leases of processes that deregistered, settle cancelled rows whose lease expired.

    Returns how many leases were released. `now` is the time in tests, else None.
    """
    ((released,),) = await fetch(connection, _SQL["release"], {"now": now})
    return int(released)


async def prune(connection: Connection, keep_s: float, now: object) -> None:
    """Delete some of the rows settled more than `keep_s` seconds ago, dead letters excepted."""
    await connection.execute(_SQL["prune"], {"keep_s": keep_s, "limit": MAX_PRUNED, "now": now})


async def add_up_counters(connection: Connection) -> None:
    """Add the counters of ended server processes to the common ones."""
    await connection.execute(_SQL["add_up_counters"])

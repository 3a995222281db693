"""The upkeep of the queue: releases and pruning, the end of a process."""

from __future__ import annotations

from collections.abc import Sequence

from reaper.core.model import DEAD, Outcome
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.run_sets import KEPT_S
from reaper.queues.redis.scripts import load

MAX_PRUNED = 1_000
"""Rows that one call deletes at most, so that no other script waits for long."""
_HEARTBEAT_KEPT_S = 3_600.0
_PRUNED = ",".join(outcome for outcome in Outcome if outcome not in DEAD)
_MAINTAIN, _DEREGISTER = load("maintain"), load("deregister")


async def maintain(connection: RedisConnection, keep_settled_s: float, sets: Sequence[str]) -> tuple[int, int]:
    """Do the upkeep, and extend the life of run sets; return how many leases were released, and the inbox's length."""
    released, unread = await connection.run(
        _MAINTAIN, keep_settled_s, MAX_PRUNED, _HEARTBEAT_KEPT_S, KEPT_S, _PRUNED, *sets
    )
    return int(released), int(unread)


async def deregister(connection: RedisConnection, owner: str, sets: Sequence[str], *, has_claimed: bool) -> None:
    """Delete the heartbeat and the sets of a process; the next `maintain` releases its leases."""
    await connection.run(_DEREGISTER, owner, int(has_claimed), *sets)

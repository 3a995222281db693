"""What keeps the queue in order, by hand or by itself: postpone, cancel, free, prune, add up. One statement each."""

from __future__ import annotations

from reaper.core.model import SessionId
from reaper.queues.postgres.claims import CANCELLED, OVER
from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.rows import clean, one_row
from reaper.queues.postgres.schema import FREE, IS_DEAD, NOW, counting
from reaper.queues.values import CancelResult, PostponeResult

PRUNED_AT_ONCE = 1_000
"""Old rows dropped in one call, so that no other work waits for long."""
FORGOTTEN_S = 7 * 86_400.0
"""A process that died without a goodbye is forgotten so long after it was last seen; its leases ended long before."""

# A cancelled row whose lease ran out is settled first, in the words of whoever cancelled it.
_STANDING = f"""
standing AS MATERIALIZED (
    SELECT id, CASE WHEN outcome IS NOT NULL THEN 'settled' WHEN {OVER} THEN 'over'
        WHEN lease_until > {NOW} THEN 'in_flight' ELSE 'waiting' END AS state
    FROM reaper_session s WHERE session_id = %(session_id)s FOR UPDATE
),
over AS (
    UPDATE reaper_session s SET {CANCELLED} FROM standing WHERE s.id = standing.id AND state = 'over' RETURNING 1
)
"""
_POSTPONE = f"""
WITH {_STANDING},
moved AS (
    UPDATE reaper_session s SET {FREE}, due_at = {NOW} + make_interval(secs => %(after_s)s)
    FROM standing WHERE s.id = standing.id AND state = 'waiting'
),
counted AS ({counting("SELECT 'settled.cancelled', '', count(*) FROM over")})
SELECT (SELECT state FROM standing)
"""
_CANCEL = f"""
WITH {_STANDING},
done AS (
    UPDATE reaper_session s
    SET outcome = 'cancelled', settled_at = {NOW}, by = %(by)s, reason = %(reason)s, {FREE}
    FROM standing WHERE s.id = standing.id AND state = 'waiting' RETURNING 1
),
noted AS (
    UPDATE reaper_session s SET cancel_by = %(by)s, cancel_reason = %(reason)s
    FROM standing WHERE s.id = standing.id AND state = 'in_flight'
),
counted AS ({counting("SELECT 'settled.cancelled', '', (SELECT count(*) FROM over) + (SELECT count(*) FROM done)")})
SELECT (SELECT state FROM standing)
"""
_MAKE_DUE = f"""
UPDATE reaper_session SET due_at = {NOW}
WHERE outcome IS NULL AND lease_until IS NULL AND due_at > {NOW} AND (sends = 0 OR %(retries)s)
"""
# An owner without a row has said goodbye; what it held is free at once. One that died keeps its row, and what it held
# is free when the lease is over: from here nobody sees whether it lives.
_FREED = f"""
WITH left_behind AS MATERIALIZED (
    SELECT id FROM reaper_session s WHERE receipt IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM reaper_owner o WHERE o.owner = s.owner)
    FOR UPDATE OF s SKIP LOCKED
),
over AS MATERIALIZED (SELECT id FROM reaper_session s WHERE {OVER} FOR UPDATE SKIP LOCKED),
freed AS (
    UPDATE reaper_session s SET {FREE}, by = coalesce(s.cancel_by, s.by),
        reason = CASE WHEN s.cancel_by IS NULL THEN s.reason ELSE s.cancel_reason END,
        outcome = CASE WHEN s.cancel_by IS NOT NULL THEN 'cancelled' END,
        settled_at = CASE WHEN s.cancel_by IS NOT NULL THEN {NOW} END
    FROM (SELECT id FROM left_behind UNION SELECT id FROM over) AS chosen WHERE s.id = chosen.id RETURNING s.outcome
),
counted AS ({counting("SELECT 'settled.cancelled', '', count(outcome) FROM freed")})
SELECT count(*) FROM left_behind
"""
_PRUNE = f"""
WITH old AS MATERIALIZED (
    SELECT id, outcome FROM reaper_session s WHERE outcome IS NOT NULL AND NOT {IS_DEAD}
        AND settled_at < {NOW} - make_interval(secs => %(keep_s)s)
    ORDER BY settled_at, id LIMIT {PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
),
dropped AS (DELETE FROM reaper_session s USING old WHERE s.id = old.id)
{counting("SELECT 'pruned.' || outcome, '', count(*) FROM old GROUP BY outcome")}
"""
_ADD_UP = """
WITH ended AS MATERIALIZED (
    SELECT name, source, shard FROM reaper_counter
    WHERE shard <> 0 AND NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = shard) FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM reaper_counter c USING ended
    WHERE (c.name, c.source, c.shard) = (ended.name, ended.source, ended.shard) RETURNING c.name, c.source, c.value
)
INSERT INTO reaper_counter AS c (name, source, shard, value)
SELECT name, source, 0, sum(value) FROM taken GROUP BY name, source ORDER BY name, source
ON CONFLICT (name, source, shard) DO UPDATE SET value = c.value + excluded.value
"""
_FORGET = f"DELETE FROM reaper_owner WHERE seen_at < {NOW} - make_interval(secs => {FORGOTTEN_S})"
_DROP_SETS = """
WITH gone AS (
    DELETE FROM reaper_set s WHERE NOT EXISTS (SELECT 1 FROM reaper_owner o WHERE o.owner = s.owner) RETURNING set_id
)
DELETE FROM reaper_member m USING gone WHERE m.set_id = gone.set_id
"""


async def postpone(connection: Connection, session_id: SessionId, after_s: float, now: float | None) -> PostponeResult:
    """Set a waiting ID's due time; a lease that ran out ends with it."""
    asked = {"session_id": clean(session_id), "after_s": max(0.0, after_s), "now": now}
    match (await one_row(connection, _POSTPONE, asked))[0]:
        case None:
            return PostponeResult.UNKNOWN
        case "waiting":
            return PostponeResult.DONE
        case "in_flight":
            return PostponeResult.IN_FLIGHT
        case _:
            return PostponeResult.SETTLED


async def cancel(
    connection: Connection, session_id: SessionId, reason: str, by: str, now: float | None
) -> CancelResult:
    """Take an open ID out, or note the wish while it is in flight."""
    asked = {"session_id": clean(session_id), "reason": clean(reason), "by": clean(by), "now": now}
    match (await one_row(connection, _CANCEL, asked))[0]:
        case None:
            return CancelResult.UNKNOWN
        case "waiting":
            return CancelResult.DONE
        case "in_flight":
            return CancelResult.REQUESTED
        case _:
            return CancelResult.SETTLED


async def make_due(connection: Connection, retries: bool, now: float | None) -> int:
    """Make waiting rows due now; return how many were not. What is in flight is left alone."""
    return (await connection.execute(_MAKE_DUE, {"retries": retries, "now": now})).rowcount


async def release(connection: Connection, now: float | None) -> int:
    """End the leases of those who left, and every cancelled one that has run out; return how many they had."""
    return int((await one_row(connection, _FREED, {"now": now}))[0])


async def prune(connection: Connection, keep_s: float, now: float | None) -> None:
    """Drop a portion of the rows settled more than `keep_s` ago, dead letters excepted."""
    await connection.execute(_PRUNE, {"keep_s": keep_s, "now": now})


async def tidy(connection: Connection, now: float | None) -> None:
    """Add up counters, forget processes of old and the run sets of those that left."""
    await connection.execute(_ADD_UP)
    await connection.execute(_FORGET, {"now": now})
    await connection.execute(_DROP_SETS)


async def deregister(connection: Connection, owner: str) -> None:
    """Say goodbye: what the process held and could not hand back is free with the next `tend`, its sets go now."""
    await connection.execute("DELETE FROM reaper_owner WHERE owner = %s", (owner,))
    await connection.execute(_DROP_SETS)

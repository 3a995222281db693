"""What brings IDs in: a batch, new rounds of settled IDs, the rows of a run set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from reaper.core.model import SessionId
from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.rows import clean, one_row
from reaper.queues.postgres.schema import IS_DEAD, NOW, counting
from reaper.queues.values import Added, Batch, InvalidLine

INVALID_KEPT = 1_000
"""Lines that were not accepted, of which the newest are kept."""
DUPLICATES_NAMED = 100

_NEW_ROUND = """
    round = s.round + 1, attempts = 0, sends = 0, recorded = 0, ambiguous = false, finals_seen = 0, finals_before = 0,
    cancel_by = NULL, cancel_reason = NULL, outcome = NULL, status = NULL, detail = NULL, settled_at = NULL,
    by = %(by)s, history = '[]'
"""
# In the order of the session IDs, so that two who add the same ones wait for each other and never both for ever;
# numbered beforehand in the order they came, which is their place in the line.
_ADD = f"""
WITH asked AS MATERIALIZED (
    SELECT session_id, {NOW} AS added_at, nextval('reaper_session_id_seq') AS id,
        coalesce(to_timestamp(due_at), {NOW} + make_interval(secs => %(later_s)s)) AS due_at
    FROM unnest(%(ids)s::text[], %(dues)s::float8[]) WITH ORDINALITY AS a (session_id, due_at, place) ORDER BY place
),
new AS (
    INSERT INTO reaper_session (id, session_id, source, added_at, due_at)
    SELECT id, session_id, %(source)s, added_at, due_at FROM asked ORDER BY session_id COLLATE "C"
    ON CONFLICT (session_id) DO NOTHING RETURNING session_id
),
settled AS MATERIALIZED (
    SELECT s.id, s.outcome, asked.due_at FROM reaper_session s JOIN asked USING (session_id)
    WHERE %(again)s AND s.outcome IS NOT NULL ORDER BY s.session_id FOR UPDATE OF s
),
renewed AS (
    UPDATE reaper_session s SET source = %(source)s, due_at = settled.due_at, reason = NULL, {_NEW_ROUND}
    FROM settled WHERE s.id = settled.id RETURNING s.session_id, settled.outcome
),
taken AS (SELECT (SELECT count(*) FROM new) AS new, (SELECT count(*) FROM renewed) AS renewed),
counted AS ({
    counting('''
        SELECT 'reopened.' || outcome, '', count(*) FROM renewed GROUP BY outcome
        UNION ALL SELECT names.name, names.source, numbers.number FROM taken, LATERAL (VALUES
            ('accepted', taken.renewed), ('duplicate', %(all)s - taken.new - taken.renewed), ('invalid', %(invalid)s)
        ) AS numbers (kind, number), LATERAL (VALUES
            (numbers.kind, ''), ('by_source.' || numbers.kind, %(source)s)
        ) AS names (name, source)
    ''')
})
SELECT ARRAY(SELECT session_id FROM new UNION ALL SELECT session_id FROM renewed)
"""
_MEMBERS = """
INSERT INTO reaper_member (set_id, id) SELECT %(set_id)s, id FROM reaper_session WHERE session_id = ANY(%(ids)s)
ON CONFLICT DO NOTHING
"""
_INVALID = f"""
INSERT INTO reaper_invalid_line (source, at, line, reason, text)
SELECT %(source)s, {NOW}, * FROM unnest(%(lines)s::bigint[], %(reasons)s::text[], %(texts)s::text[])
"""
_FEWER_INVALID = """
DELETE FROM reaper_invalid_line WHERE id <= (SELECT max(id) FROM reaper_invalid_line) - %s
"""
_DEAD = f"""
dead AS MATERIALIZED (
    SELECT id, outcome, source FROM reaper_session s WHERE session_id = ANY(%(ids)s) AND {IS_DEAD}
    ORDER BY session_id FOR UPDATE
)
"""
_REOPEN = f"""
WITH {_DEAD},
renewed AS (UPDATE reaper_session s SET due_at = {NOW}, reason = %(reason)s, {
    _NEW_ROUND
} FROM dead WHERE s.id = dead.id),
counted AS ({
    counting('''
        SELECT 'reopened.' || outcome, '', count(*) FROM dead GROUP BY outcome
        UNION ALL SELECT 'accepted', '', count(*) FROM dead
        UNION ALL SELECT 'by_source.accepted', source, count(*) FROM dead GROUP BY source
    ''')
})
SELECT count(*) FROM dead
"""
_PURGE = f"""
WITH {_DEAD},
dropped AS (DELETE FROM reaper_session s USING dead WHERE s.id = dead.id),
counted AS ({counting("SELECT 'pruned.' || outcome, '', count(*) FROM dead GROUP BY outcome")})
SELECT count(*) FROM dead
"""


async def add(
    connection: Connection,
    batch: Batch,
    *,
    now: float | None,
    again: bool,
    by: str | None,
    default_after_s: float,
    set_id: str | None,
) -> tuple[Added, int]:
    """Take a batch in, in one transaction; return also how many IDs the set got."""
    first: dict[SessionId, float | None] = {}
    for item in batch.items:
        first.setdefault(item.session_id, item.due_at)
    source = clean(batch.source)
    asked: dict[str, Any] = {
        "ids": list(first),
        "dues": list(first.values()),
        "source": source,
        "later_s": max(0.0, default_after_s),
        "again": again,
        "by": None if by is None else clean(by),
        "all": len(batch.items),
        "invalid": len(batch.invalid),
        "now": now,
    }
    async with connection.pipeline():
        added = await connection.execute(_ADD, asked)
        await _keep_invalid(connection, source, batch.invalid, now)
        members = await _join(connection, set_id, list(first))
    ((taken,),) = await added.fetchall()
    duplicates = _duplicates(batch, set(taken))
    accepted = len(batch.items) - len(duplicates)
    result = Added(accepted, len(duplicates), len(batch.invalid), tuple(duplicates[:DUPLICATES_NAMED]))
    return result, 0 if members is None else members.rowcount


async def _join(connection: Connection, set_id: str | None, ids: list[SessionId]) -> AsyncCursor[TupleRow] | None:
    if set_id is None:
        return None
    return await connection.execute(_MEMBERS, {"set_id": set_id, "ids": ids})


def _duplicates(batch: Batch, taken: set[str]) -> list[SessionId]:
    """Name those that changed nothing: known before, unless re-opened now, and repetitions within the batch."""
    named = []
    for item in batch.items:
        if item.session_id in taken:
            taken.remove(item.session_id)
        else:
            named.append(item.session_id)
    return named


async def _keep_invalid(connection: Connection, source: str, lines: Sequence[InvalidLine], now: float | None) -> None:
    if not lines:
        return
    asked = {
        "source": source,
        "lines": [line.line for line in lines],
        "reasons": [clean(line.reason) for line in lines],
        "texts": [clean(line.text) for line in lines],
        "now": now,
    }
    await connection.execute(_INVALID, asked)
    await connection.execute(_FEWER_INVALID, (INVALID_KEPT,))


async def reopen(
    connection: Connection, session_ids: Sequence[SessionId], *, now: float | None, reason: str, by: str
) -> int:
    """Start a new round for the dead ones among the IDs, due now."""
    asked = {"ids": [clean(i) for i in session_ids], "reason": clean(reason), "by": clean(by), "now": now}
    return int((await one_row(connection, _REOPEN, asked))[0])


async def purge(connection: Connection, session_ids: Sequence[SessionId]) -> int:
    """Drop the dead ones among the IDs; return how many."""
    return int((await one_row(connection, _PURGE, {"ids": [clean(i) for i in session_ids]}))[0])

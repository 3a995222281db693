"""The whole queue in numbers, and the audit: each one statement, so each one consistent view."""

from __future__ import annotations

from typing import Any

from reaper.core.model import MAX_HISTORY, Audit, Outcome, Stats
from reaper.queues.accounting import ACCEPTED, DUPLICATE, INVALID, LedgerCounts, balance_checks, dead_kept, settled
from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.rows import one_row
from reaper.queues.postgres.schema import AT, NOW, epoch

_BY_SOURCE = "by_source."
_STATS = f"""
(SELECT coalesce(jsonb_object_agg(name, value), '{{}}') FROM (
    SELECT name, sum(value)::bigint AS value FROM reaper_counter GROUP BY name
) AS counters) AS counters,
(SELECT jsonb_build_object(
    'ready', count(*) FILTER (WHERE {AT} <= {NOW}), 'later', count(*) FILTER (WHERE {AT} > {NOW}),
    'in_flight', count(*) FILTER (WHERE lease_until > {NOW}), 'oldest', {epoch(f"min({AT})")}, 'now', {epoch(NOW)}
) FROM reaper_session WHERE outcome IS NULL) AS open_rows
"""
_UNPROVEN = """
(recorded > 0 AND to_jsonb(status) = history->-1->'status'
    AND CASE outcome WHEN 'stopped' THEN status BETWEEN 200 AND 299 ELSE status IN (404, 410) END) IS NOT TRUE
"""
_CONTRADICTORY = f"""
(round >= 1 AND 0 <= attempts AND attempts <= recorded AND recorded <= sends
    AND CASE jsonb_typeof(history) WHEN 'array' THEN jsonb_array_length(history) END = least(recorded, {MAX_HISTORY})
    AND (receipt IS NULL) = (lease_until IS NULL) AND (receipt IS NULL) = (owner IS NULL)
    AND (outcome IS NULL) = (settled_at IS NULL) AND (outcome IS NULL OR receipt IS NULL)) IS NOT TRUE
"""
_AUDIT = f"""
SELECT {_STATS},
(SELECT coalesce(jsonb_object_agg(outcome, number), '{{}}') FROM (
    SELECT outcome, count(*) AS number FROM reaper_session WHERE outcome IS NOT NULL GROUP BY outcome
) AS kept),
(SELECT jsonb_build_object(
    'open', count(*) FILTER (WHERE outcome IS NULL),
    'held', count(*) FILTER (WHERE outcome IS NULL AND lease_until > {NOW}),
    'unproven', count(*) FILTER (WHERE outcome IN ('stopped', 'already_gone') AND {_UNPROVEN}),
    'contradictory', count(*) FILTER (WHERE {_CONTRADICTORY})
) FROM reaper_session)
"""


async def stats(connection: Connection, now: float | None) -> Stats:
    """Count the open rows; what is settled comes from the counters."""
    counters, rows = await one_row(connection, f"SELECT {_STATS}", {"now": now})
    return _stats(counters, rows)


def _stats(counters: dict[str, int], rows: dict[str, Any]) -> Stats:
    oldest = rows["now"] if rows["oldest"] is None else rows["oldest"]
    return Stats(
        ready=rows["ready"],
        delayed=rows["later"] - rows["in_flight"],
        in_flight=rows["in_flight"],
        accepted=counters.get(ACCEPTED, 0),
        settled={outcome: counters.get(settled(outcome), 0) for outcome in Outcome},
        dead=dead_kept(counters),
        duplicate=counters.get(DUPLICATE, 0),
        invalid=counters.get(INVALID, 0),
        oldest_due_s=max(0.0, rows["now"] - oldest),
    )


async def audit(connection: Connection, now: float | None) -> Audit:
    """Compare the counters with the rows themselves, every one of them read."""
    counters, rows, kept, found = await one_row(connection, _AUDIT, {"now": now})
    figures = LedgerCounts(
        counters=counters,
        kept={Outcome(outcome): number for outcome, number in kept.items()},
        waiting=found["open"] - found["held"],
        in_flight=found["held"],
        accepted_by_source=counters.get(_BY_SOURCE + ACCEPTED, 0),
        duplicate_by_source=counters.get(_BY_SOURCE + DUPLICATE, 0),
        invalid_by_source=counters.get(_BY_SOURCE + INVALID, 0),
        unproven=found["unproven"],
        contradictory=found["contradictory"],
    )
    return Audit(_stats(counters, rows), balance_checks(figures))

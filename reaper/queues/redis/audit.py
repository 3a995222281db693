"""The figures of the queue, and the audit that compares the counters with every row."""

from __future__ import annotations

from typing import Any

from reaper.core.model import Audit, AuditLine, Outcome, Stats
from reaper.queues import accounting
from reaper.queues.redis import rows
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.scripts import load

PAGE = 1_000
LOST = "inbox.lost"
"""Counts the inbox entries that somebody deleted after they were read and before they were taken in."""
_STATS, _VERIFY = load("stats"), load("verify")


async def stats(connection: RedisConnection) -> Stats:
    """Count the waiting rows by the indexes, the settled ones by the counters."""
    return _stats(await connection.run(_STATS, *Outcome))


async def audit(connection: RedisConnection) -> Audit:
    """Compare rows with the indexes page by page, then in one view the indexes with the counters.

    A row that is in no index is missed by the pages and found by the counters.
    """
    contradictory = unproven = 0
    for name in ("first", "retry", "lease", *(f"out:{outcome}" for outcome in Outcome)):
        score, place, found = "", 0, PAGE
        while found == PAGE:
            found, score, place, wrong, without_send = await connection.run(_VERIFY, name, score, place, PAGE)
            contradictory += wrong
            unproven += without_send
    answer = await connection.run(_STATS, *Outcome)
    _, _, _, in_flight, _, _, _, counters, kept, accepted, duplicate, invalid, is_open = answer
    counts = {name: int(value) for name, value in rows.pairs(counters).items()}
    figures = accounting.LedgerCounts(
        counters=counts,
        kept=dict(zip(Outcome, kept, strict=True)),
        waiting=is_open - in_flight,
        in_flight=in_flight,
        accepted_by_source=accepted,
        duplicate_by_source=duplicate,
        invalid_by_source=invalid,
        unproven=unproven,
        contradictory=contradictory,
    )
    lost = AuditLine("inbox entries deleted before they were taken in = 0", counts.get(LOST, 0), 0)
    return Audit(_stats(answer), (*accounting.balance_checks(figures), lost))


def _stats(answer: Any) -> Stats:
    ready, scheduled, retrying, in_flight, oldest_due_s, next_scheduled_at, next_retry_at, flat, *_ = answer
    counts = {name: int(value) for name, value in rows.pairs(flat).items()}
    return accounting.ledger_stats(
        counts,
        ready=ready,
        scheduled=scheduled,
        retrying=retrying,
        in_flight=in_flight,
        oldest_due_s=float(oldest_due_s),
        next_scheduled_at=float(next_scheduled_at) if next_scheduled_at else None,
        next_retry_at=float(next_retry_at) if next_retry_at else None,
    )

"""The figures of the queue, and the audit that reads every row: each one statement, so each one consistent view."""

from __future__ import annotations

from typing import Any

from reaper.core.model import Audit, Outcome, Stats
from reaper.queues.accounting import ACCEPTED, DUPLICATE, INVALID, LedgerCounts, balance_checks, ledger_stats
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.statements import load

_BY_SOURCE = "by_source."
_SQL = load("audit.sql")


async def stats(database: Database) -> Stats:
    """Count the open rows; the settled ones come from the counters."""
    ((counters, open_rows),) = await database.fetch(_SQL["stats"])
    return _stats(counters, open_rows)


def _stats(counters: dict[str, int], rows: dict[str, Any]) -> Stats:
    oldest = rows["now"] if rows["oldest"] is None else rows["oldest"]
    return ledger_stats(
        counters,
        ready=rows["ready"],
        scheduled=rows["scheduled"],
        retrying=rows["retrying"],
        in_flight=rows["in_flight"],
        oldest_due_s=max(0.0, rows["now"] - oldest),
        next_scheduled_at=rows["next_scheduled"],
        next_retry_at=rows["next_retry"],
    )


async def audit(database: Database) -> Audit:
    """Compare the counters with the rows themselves, every one of them read."""
    ((counters, rows, kept, found),) = await database.fetch(_SQL["audit"])
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

"""The figures of the queue, and the audit that reads every row: each one statement, so each one consistent view."""

from __future__ import annotations

from typing import Any

from reaper.core.model import Audit, Outcome, Stats
from reaper.queues.accounting import (
    ACCEPTED,
    DUPLICATE,
    INVALID,
    LedgerCounts,
    balance_checks,
    ledger_stats,
    open_count,
)
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.statements import load

_BY_SOURCE = "by_source."
_SQL = load("audit.sql")


MOST_COUNTED = 50_000
"""How many rows of a kind are counted."""
_KINDS = ("ready_first", "later_first", "ready_retry", "later_retry")


async def stats(database: Database) -> Stats:
    """Count the open rows, and of the one kind that may be large what the counters leave; the rest is theirs."""
    ((counters, found),) = await database.fetch(_SQL["count_few"], most=MOST_COUNTED)
    large = [kind for kind in _KINDS if found[kind] == MOST_COUNTED]
    if large:
        rest = open_count(counters) - sum(found[kind] for kind in _KINDS if kind not in large)
        if len(large) > 1 or rest < MOST_COUNTED:  # or the counters are wrong, as `audit` will say
            ((counters, open_rows),) = await database.fetch(_SQL["count_all"])
            return _stats(counters, open_rows)
        found[large[0]] = rest
    found["ready"] = found["ready_first"] + found["ready_retry"]
    found["scheduled"] = found["later_first"]
    found["retrying"] = found["later_retry"] - found["in_flight"]
    return _stats(counters, found)


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

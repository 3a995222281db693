"""The whole queue in numbers, and the audit, which counts everything a second time from the rows."""

from __future__ import annotations

import sqlite3

from reaper.core.model import Audit, Outcome, Stats
from reaper.queues.accounting import LedgerCounts, balance_checks, ledger_stats
from reaper.queues.sqlite.counters import counters
from reaper.queues.sqlite.errors import damaged
from reaper.queues.sqlite.rows import written_by_us
from reaper.queues.sqlite.schema import statements

SQL = statements("audit.sql")


def stats(connection: sqlite3.Connection, now: float) -> Stats:
    """Count the open rows in their indexes; what is settled comes from the counters."""
    ready = later = 0
    oldest = now
    for retry in (0, 1):
        ready += _one(connection, "count_ready", retry, now)
        later += _one(connection, "count_later", retry, now)
        first = connection.execute(SQL["oldest_ready"], (retry, now)).fetchone()
        oldest = oldest if first is None else min(oldest, first[0])
    in_flight = _one(connection, "count_in_flight", now)
    return ledger_stats(
        counters(connection), ready=ready, delayed=later - in_flight, in_flight=in_flight, oldest_due_s=now - oldest
    )


def audit(connection: sqlite3.Connection, now: float) -> Audit:
    """Compare the counters with the rows themselves, every one of them read.

    Raises DatabaseError for a damaged file: where an index lacks what its table holds, IDs are lost to every query
    that uses the index, while all counts may be right.
    """
    (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise damaged(" ".join(finding.split()))
    with written_by_us():
        kept = {Outcome(outcome): number for outcome, number in connection.execute(SQL["kept"])}
    accepted, duplicate, invalid = connection.execute(SQL["by_source"]).fetchone()
    in_flight = _one(connection, "leased_rows", now)
    counts = LedgerCounts(
        counters=counters(connection),
        kept=kept,
        waiting=_one(connection, "open_rows") - in_flight,
        in_flight=in_flight,
        accepted_by_source=accepted,
        duplicate_by_source=duplicate,
        invalid_by_source=invalid,
        unproven=_one(connection, "unproven"),
        contradictory=_one(connection, "contradictory"),
    )
    return Audit(stats(connection, now), balance_checks(counts))


def _one(connection: sqlite3.Connection, name: str, *values: object) -> int:
    (number,) = connection.execute(SQL[name], values).fetchone()
    return int(number)

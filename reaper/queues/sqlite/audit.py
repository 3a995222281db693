"""The whole queue in numbers, and the audit, which counts everything a second time from the rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from reaper.core.model import Audit, Outcome, Stats
from reaper.queues.accounting import LedgerCounts, balance_checks, ledger_stats
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.counters import counters
from reaper.queues.sqlite.errors import damaged
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.rows import written_by_us
from reaper.queues.sqlite.schema import statements

SQL = statements("audit.sql")


def stats(connection: sqlite3.Connection, clock: LedgerClock, locks: Locks) -> Stats:
    """Count the open rows in their indexes; what is settled comes from the counters.

    What a dead process holds is ready: the next claim, or the next start of a process, releases it.
    """
    instants = clock.instants()
    in_flight = ready = 0
    delayed: list[int] = []
    next_at: list[float | None] = []
    oldest, dead = instants["now"], []
    for owner, held, in_force, ends_in_s in connection.execute(SQL["count_leases"], instants).fetchall():
        if in_force and not locks.is_alive(owner):
            dead.append(owner)
            in_force = 0
        in_flight, ready = in_flight + in_force, ready + held - in_force
        oldest = min(oldest, instants["now"] + ends_in_s)
    if dead:
        (first,) = connection.execute(SQL["first_due_of"], (json.dumps(dead),)).fetchone()
        oldest = min(oldest, first)
    for retry in (0, 1):
        values = {"retry": retry, **instants}
        for name in ("count_due_now", "count_due"):
            number, first = connection.execute(SQL[name], values).fetchone()
            ready += number
            oldest = oldest if first is None else min(oldest, first)
        later, too_far, first = connection.execute(SQL["count_later"], values).fetchone()
        ready += too_far
        delayed.append(later - too_far)
        next_at.append(first)
    return ledger_stats(
        counters(connection),
        ready=ready,
        scheduled=delayed[0],
        retrying=delayed[1],
        in_flight=in_flight,
        oldest_due_s=instants["now"] - oldest,
        next_scheduled_at=next_at[0],
        next_retry_at=next_at[1],
    )


def audit(connection: sqlite3.Connection, clock: LedgerClock, locks: Locks) -> Audit:
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
    in_flight = _one(connection, "leased_rows", clock.instants())
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
    return Audit(stats(connection, clock, locks), balance_checks(counts))


def _one(connection: sqlite3.Connection, name: str, values: Mapping[str, float] | None = None) -> int:
    (number,) = connection.execute(SQL[name], values or {}).fetchone()
    return int(number)

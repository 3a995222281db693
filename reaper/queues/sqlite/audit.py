"""The whole queue in numbers, and the audit, which counts everything a second time from the rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reaper.core.model import Audit, Outcome, Stats
from reaper.queues.accounting import LedgerCounts, balance_checks, ledger_stats, open_count
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.counters import counters
from reaper.queues.sqlite.errors import damaged
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.rows import written_by_us
from reaper.queues.sqlite.schema import statements

SQL = statements("audit.sql")
LATER = "later"


MOST_COUNTED = 50_000
"""How many rows of a kind are counted at once: about 15 ms."""


@dataclass(slots=True)
class _Kind:
    """Open rows that no process holds and that wait alike: `number` of them, the first of them due at `first`."""

    retry: int
    name: str
    number: int = 0
    too_far: int = 0
    first: float | None = None

    def count(self, connection: sqlite3.Connection, instants: Mapping[str, float]) -> None:
        """Count no more than `MOST_COUNTED`."""
        values = {"retry": self.retry, "most": MOST_COUNTED, **instants}
        self.number, self.too_far, self.first = connection.execute(SQL[f"count_{self.name}"], values).fetchone()

    def count_all(self, connection: sqlite3.Connection, instants: Mapping[str, float]) -> None:
        values = {"retry": self.retry, **instants}
        self.number, self.too_far = connection.execute(SQL[f"count_all_{self.name}"], values).fetchone()


def stats(connection: sqlite3.Connection, clock: LedgerClock, locks: Locks) -> Stats:
    """Count the open rows in their indexes; what is settled comes from the counters.

    What a dead process holds is ready: the next claim, or the next start of a process, releases it.
    """
    instants = clock.instants()
    in_flight = ready = held_by_all = 0
    oldest, dead = instants["now"], []
    for owner, held, in_force, ends_in_s in connection.execute(SQL["count_leases"], instants).fetchall():
        held_by_all += held
        if in_force and not locks.is_alive(owner):
            dead.append(owner)
            in_force = 0
        in_flight, ready = in_flight + in_force, ready + held - in_force
        oldest = min(oldest, instants["now"] + ends_in_s)
    if dead:
        (first,) = connection.execute(SQL["first_due_of"], (json.dumps(dead),)).fetchone()
        oldest = min(oldest, first)
    counts = counters(connection)
    kinds = _count_kinds(connection, instants, open_count(counts) - held_by_all)
    for kind in kinds:
        if kind.name != LATER:
            ready += kind.number
            oldest = oldest if kind.first is None else min(oldest, kind.first)
    scheduled, retrying = (kind for kind in kinds if kind.name == LATER)
    return ledger_stats(
        counts,
        ready=ready + scheduled.too_far + retrying.too_far,
        scheduled=scheduled.number - scheduled.too_far,
        retrying=retrying.number - retrying.too_far,
        in_flight=in_flight,
        oldest_due_s=instants["now"] - oldest,
        next_scheduled_at=scheduled.first,
        next_retry_at=retrying.first,
    )


def _count_kinds(connection: sqlite3.Connection, instants: Mapping[str, float], waiting: int) -> Sequence[_Kind]:
    """Count the rows that wait, by kind. One kind that is large is what the others leave of `waiting`: not counted.

    Of that kind only the first rows are looked at for waits that a clock made too long. `maintain` ends those.
    """
    kinds = [_Kind(retry, name) for name in (LATER, "due", "due_now") for retry in (0, 1)]
    for kind in kinds:
        kind.count(connection, instants)
    large = [kind for kind in kinds if kind.number == MOST_COUNTED]
    for kind in large[1:]:
        kind.count_all(connection, instants)
    for kind in large[:1]:
        rest = waiting - sum(other.number for other in kinds if other is not kind)
        if rest >= MOST_COUNTED:
            kind.number = rest
        else:  # the counters are wrong, as `audit` will say
            kind.count_all(connection, instants)
    return kinds


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

"""Upkeep of the ledger: leases of dead processes, requested cancellations, old rows. Each within a transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence

from reaper.core.model import Outcome
from reaper.queues.accounting import pruned, settled
from reaper.queues.history import KEPT_AHEAD_S, KEPT_S, Ended, slot_of
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.counters import count, count_history
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.schema import statements

MAX_PRUNED = 1_000
"""Old rows dropped in one call, so that no other work waits for long."""
SQL = statements("maintenance.sql")


def dead_owners(connection: sqlite3.Connection, locks: Locks) -> list[str]:
    """Return the owners that left a row in the ledger or a file beside it and are not alive."""
    rows = connection.execute(SQL["owners"])
    return [owner for owner in {owner for (owner,) in rows} | locks.listed() if not locks.is_alive(owner)]


def dead_holders(connection: sqlite3.Connection, locks: Locks) -> list[str]:
    """Return the owners that hold leases and are not alive."""
    return [owner for (owner,) in connection.execute(SQL["holders"]) if not locks.is_alive(owner)]


def release_dead_at_start(connection: sqlite3.Connection, locks: Locks, clock: LedgerClock) -> None:
    """Release the leases of dead owners in a transaction of its own, if there are any."""
    dead = dead_owners(connection, locks)
    if dead:
        connection.execute("BEGIN IMMEDIATE")
        release_dead(connection, dead, locks, clock)
        connection.execute("COMMIT")


def release_dead(connection: sqlite3.Connection, owners: Iterable[str], locks: Locks, clock: LedgerClock) -> int:
    """Release the leases of dead owners and settle all expired cancelled rows; return how many leases the dead had."""
    released, now = 0, clock.now()
    for owner in owners:
        rows = connection.execute(SQL["leased_by"], (owner,)).fetchall()
        connection.executemany(SQL["end_lease"], [(row_id,) for row_id, _ in rows])
        settle_cancelled(connection, [row_id for row_id, cancelled in rows if cancelled], now)
        deregister(connection, owner)
        locks.unregister(owner)
        released += len(rows)
    expired = connection.execute(SQL["expired_cancelled"], (clock.steady(),)).fetchall()
    settle_cancelled(connection, [row_id for (row_id,) in expired], now)
    return released


def end_long_waits(connection: sqlite3.Connection, now: float) -> None:
    """Make the waits due that lie further ahead than their length allows, as they do after the clock was set back."""
    for retry in (0, 1):
        connection.execute(SQL["end_long_waits"], {"retry": retry, "now": now})


def deregister(connection: sqlite3.Connection, owner: str) -> None:
    """Delete the heartbeat of a process."""
    connection.execute(SQL["deregister"], (owner,))


def settle_cancelled(connection: sqlite3.Connection, row_ids: Sequence[int], now: float) -> None:
    """Settle rows whose cancellation was requested, in the words of the request."""
    if row_ids:
        connection.execute(SQL["settle_cancelled"], (now, json.dumps(row_ids)))
        count(connection, settled(Outcome.CANCELLED), len(row_ids))
        count_history(connection, Ended([Outcome.CANCELLED] * len(row_ids)), now)


def prune(connection: sqlite3.Connection, before: float) -> None:
    """Drop up to `MAX_PRUNED` of the rows settled before an instant, dead letters excepted."""
    rows = connection.execute(SQL["old"], (before, MAX_PRUNED)).fetchall()
    drop_rows(connection, [(row_id, Outcome(outcome)) for row_id, outcome in rows])


def prune_history(connection: sqlite3.Connection, now: float, believed: float) -> None:
    """Drop the slots that are too old by the time that pruning believes, and those too far ahead of the clock."""
    connection.execute(SQL["prune_history"], (slot_of(believed - KEPT_S), now + KEPT_AHEAD_S))


def drop_rows(connection: sqlite3.Connection, rows: Sequence[tuple[int, Outcome]]) -> int:
    """Drop settled rows and count them as pruned; return how many."""
    if rows:
        connection.executemany(SQL["delete"], [(row_id,) for row_id, _ in rows])
    for outcome, number in Counter(outcome for _, outcome in rows).items():
        count(connection, pruned(outcome), number)
    return len(rows)

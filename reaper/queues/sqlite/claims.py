"""What workers and operators do to rows: claim, apply, free, postpone, cancel. Each within the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from reaper.core.model import Lease, LeaseResult, Outcome, SessionId
from reaper.queues.accounting import FINALS, ClaimedRow, apply_decision, interleave_retries, settled
from reaper.queues.sqlite.audit import count, count_each
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.rows import with_send
from reaper.queues.sqlite.schema import AT
from reaper.queues.values import CancelResult, PostponeResult

SMALL_SET = 5_000
"""Sets smaller than this are searched row by row; larger ones along the queue, whose head they mostly are."""

_READY = f"outcome IS NULL AND (sends > 0) = :retry AND {AT} <= :now ORDER BY {AT}, item.id"
_COLUMNS = """
    item.id, session_id, round, attempts, sends, recorded, ambiguous, finals_seen, source.name AS source,
    cancel_by IS NOT NULL AS cancelled
"""
# One row for all of them: each step of a statement lets go of the interpreter and has to get it back.
_AS_ONE = """
SELECT json_group_array(json_array(
    id, session_id, round, attempts, sends, recorded, ambiguous, finals_seen, source, cancelled
)) FROM ({} LIMIT :most)
"""
CLAIMABLE = f"""
SELECT {_COLUMNS} FROM item INDEXED BY item_open CROSS JOIN source ON source.id = source_id WHERE {_READY}
"""
CLAIMABLE_OF_SMALL_SET = f"""
SELECT {_COLUMNS} FROM temp.member CROSS JOIN item ON item.id = member.id CROSS JOIN source ON source.id = source_id
WHERE set_id = :set_id AND {_READY}
"""
CLAIMABLE_OF_LARGE_SET = f"""
SELECT {_COLUMNS} FROM item INDEXED BY item_open CROSS JOIN temp.member ON set_id = :set_id AND member.id = item.id
CROSS JOIN source ON source.id = source_id WHERE {_READY}
"""
_CLAIM = """
UPDATE item SET sends = sends + 1, owner = :owner,
    receipt = claimed.value || '.' || :owner || '.' || (:turn + claimed.key), lease_until = :until,
    finals_before = finals_seen, finals_seen = :finals
FROM json_each(:ids) AS claimed WHERE item.id = claimed.value
"""
_HELD = """
SELECT id, history, attempts, sends, recorded, ambiguous, finals_seen, finals_before, due_at, cancel_by IS NOT NULL
FROM item WHERE session_id = ? AND receipt = ?
"""
_END = """
UPDATE item SET attempts = ?, sends = ?, recorded = ?, ambiguous = ?, finals_seen = ?, due_at = ?, history = ?,
    outcome = ?, status = ?, detail = ?, settled_at = ?, owner = NULL, receipt = NULL, lease_until = NULL,
    by = CASE WHEN ? THEN cancel_by ELSE by END, reason = CASE WHEN ? THEN cancel_reason ELSE reason END,
    cancel_by = NULL, cancel_reason = NULL
WHERE id = ?
"""
_CANCELLED = """
UPDATE item SET outcome = 'cancelled', settled_at = ?, by = ?, reason = ?, owner = NULL, receipt = NULL,
    lease_until = NULL, cancel_by = NULL, cancel_reason = NULL
WHERE id = ?
"""
_FREE = "UPDATE item SET owner = NULL, receipt = NULL, lease_until = NULL WHERE id = ?"


def claim(
    connection: sqlite3.Connection,
    most: int,
    *,
    now: float,
    lease_s: float,
    owner: str,
    turn: int,
    set_id: int | None,
    small_set: bool,
) -> list[Lease]:
    """Claim up to `most` ready IDs. `turn` is how many this process claimed before: its receipts go on from there.

    A receipt begins with its row's ID: an apply goes straight to the row.
    """
    query = _AS_ONE.format(
        CLAIMABLE if set_id is None else CLAIMABLE_OF_SMALL_SET if small_set else CLAIMABLE_OF_LARGE_SET
    )

    def ready(retry: bool) -> list[Any]:
        while True:
            asked = {"retry": retry, "now": now, "set_id": set_id, "most": most}
            rows = json.loads(connection.execute(query, asked).fetchone()[0])
            cancelled = [row[0] for row in rows if row[-1]]
            if not cancelled:
                return rows if isinstance(rows, list) else []
            end_cancelled(connection, cancelled, now)

    chosen = interleave_retries(iter(ready(False)), iter(ready(True)), most, turn)
    if not chosen:
        return []
    (finals,) = connection.execute("SELECT value FROM counter WHERE name = ?", (FINALS,)).fetchone()
    until = now + lease_s
    ids = json.dumps([row[0] for row in chosen])
    connection.execute(_CLAIM, {"owner": owner, "turn": turn, "until": until, "finals": finals, "ids": ids})
    return [_lease(row, f"{row[0]}.{owner}.{number}", finals, until) for number, row in enumerate(chosen, start=turn)]


def _lease(row: Any, receipt: str, finals: int, until: float) -> Lease:
    _, session_id, round_, attempts, sends, recorded, ambiguous, finals_seen, source, _ = row
    return Lease(
        session_id=SessionId(session_id),
        receipt=receipt,
        round=round_,
        attempts=attempts,
        sends=sends + 1,
        unanswered=sends - recorded,
        ambiguous=bool(ambiguous),
        others_final=sends > 0 and finals > finals_seen,
        source=source,
        expires_at=until,
    )


def apply(connection: sqlite3.Connection, end: LeaseResult, now: float) -> bool:
    """Carry out a decision; False when the receipt is stale."""
    lease, decision, send = end
    row = connection.execute(_HELD, (lease.session_id, lease.receipt)).fetchone()
    if row is None:
        return False
    row_id, history, attempts, sends, recorded, ambiguous, finals_seen, finals_before, due_at, cancelled = row
    held = ClaimedRow(
        attempts, sends, recorded, bool(ambiguous), finals_seen, finals_before, due_at, cancel_requested=bool(cancelled)
    )
    ended = apply_decision(held, decision, send, now)
    outcome = ended.outcome
    by_request = outcome is Outcome.CANCELLED and held.cancel_requested
    connection.execute(
        _END,
        (
            ended.attempts,
            ended.sends,
            ended.recorded,
            ended.ambiguous,
            ended.finals_seen,
            ended.due_at,
            history if send is None else with_send(history, send),
            outcome,
            ended.status,
            ended.detail,
            None if outcome is None else now,
            by_request,
            by_request,
            row_id,
        ),
    )
    if ended.counts:
        count_each(connection, ended.counts)
    return True


def dead_owners(connection: sqlite3.Connection, locks: Locks) -> list[str]:
    """Return the owners that left a trace in the ledger or beside it and live no more."""
    rows = connection.execute(
        "SELECT owner FROM owner UNION SELECT DISTINCT owner FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL"
    )
    return [owner for owner in {owner for (owner,) in rows} | locks.listed() if not locks.lives(owner)]


def release_dead_at_start(connection: sqlite3.Connection, locks: Locks, now: float) -> None:
    """Free what the dead left, in a transaction of its own, if there are any."""
    dead = dead_owners(connection, locks)
    if dead:
        connection.execute("BEGIN IMMEDIATE")
        release(connection, dead, locks, now)
        connection.execute("COMMIT")


def release(connection: sqlite3.Connection, owners: Iterable[str], locks: Locks, now: float) -> int:
    """End the leases of dead owners, and every cancelled one that has run out; return how many the dead had."""
    freed = 0
    for owner in owners:
        rows = connection.execute(
            "SELECT id, cancel_by IS NOT NULL FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL AND owner = ?",
            (owner,),
        ).fetchall()
        connection.executemany(_FREE, [(row_id,) for row_id, _ in rows])
        end_cancelled(connection, [row_id for row_id, cancelled in rows if cancelled], now)
        connection.execute("DELETE FROM owner WHERE owner = ?", (owner,))
        locks.forget(owner)
        freed += len(rows)
    expired = connection.execute(
        "SELECT id FROM item INDEXED BY item_leased"
        " WHERE receipt IS NOT NULL AND cancel_by IS NOT NULL AND lease_until <= ?",
        (now,),
    ).fetchall()
    end_cancelled(connection, [row_id for (row_id,) in expired], now)
    return freed


def end_cancelled(connection: sqlite3.Connection, row_ids: Sequence[int], now: float) -> None:
    """Settle rows whose cancellation was requested and whose lease is over."""
    for row_id in row_ids:
        by, reason = connection.execute("SELECT cancel_by, cancel_reason FROM item WHERE id = ?", (row_id,)).fetchone()
        _cancel(connection, row_id, now, by, reason)


def next_at(connection: sqlite3.Connection) -> float | None:
    """Return when the next open row can be claimed."""
    query = (
        f"SELECT {AT} FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = ? ORDER BY {AT} LIMIT 1"
    )
    found = [row[0] for retry in (0, 1) for row in connection.execute(query, (retry,))]
    return min(found, default=None)


def postpone(connection: sqlite3.Connection, session_id: SessionId, after_s: float, now: float) -> PostponeResult:
    """Set a waiting ID's due time; a lease that ran out ends with it."""
    row = _standing(connection, session_id, now)
    if row is None:
        return PostponeResult.UNKNOWN
    row_id, is_settled, in_flight = row
    if is_settled:
        return PostponeResult.SETTLED
    if in_flight:
        return PostponeResult.IN_FLIGHT
    connection.execute(_FREE, (row_id,))
    connection.execute("UPDATE item SET due_at = ? WHERE id = ?", (now + max(0.0, after_s), row_id))
    return PostponeResult.DONE


def make_due(connection: sqlite3.Connection, retries: bool, now: float) -> int:
    """Make waiting rows due now; return how many were not. What is in flight is left alone."""
    return connection.execute(
        "UPDATE item SET due_at = :now WHERE outcome IS NULL AND lease_until IS NULL AND due_at > :now"
        " AND (sends = 0 OR :retries)",
        {"now": now, "retries": retries},
    ).rowcount


def cancel(connection: sqlite3.Connection, session_id: SessionId, reason: str, by: str, now: float) -> CancelResult:
    """Take an open ID out, or note the wish while it is in flight."""
    row = _standing(connection, session_id, now)
    if row is None:
        return CancelResult.UNKNOWN
    row_id, is_settled, in_flight = row
    if is_settled:
        return CancelResult.SETTLED
    if in_flight:
        connection.execute("UPDATE item SET cancel_by = ?, cancel_reason = ? WHERE id = ?", (by, reason, row_id))
        return CancelResult.REQUESTED
    _cancel(connection, row_id, now, by, reason)
    return CancelResult.DONE


def _cancel(connection: sqlite3.Connection, row_id: int, now: float, by: str, reason: str) -> None:
    connection.execute(_CANCELLED, (now, by, reason, row_id))
    count(connection, settled(Outcome.CANCELLED))


def _standing(connection: sqlite3.Connection, session_id: SessionId, now: float) -> tuple[int, bool, bool] | None:
    """Return (row ID, settled, in flight). A cancelled one whose lease ran out is settled first."""
    row = connection.execute(
        "SELECT id, outcome IS NOT NULL, lease_until > ?, cancel_by IS NOT NULL FROM item WHERE session_id = ?",
        (now, session_id),
    ).fetchone()
    if row is None:
        return None
    row_id, is_settled, in_flight, cancelled = row
    if cancelled and not is_settled and not in_flight:
        end_cancelled(connection, [row_id], now)
        is_settled = True
    return row_id, bool(is_settled), bool(in_flight)

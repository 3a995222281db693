"""What workers do to rows: claim and apply, many at a time, one statement each.

The arithmetic of an apply is that of `books.end_lease`, asked twice beforehand, with and without a cancellation: the
statement only writes down what it said, so that nothing has to be read first and no row lock outlives a round trip.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from reaper.core.model import MAX_HISTORY, Lease, LeaseResult, SessionId
from reaper.queues.accounting import FINALS, RETRY_EVERY, ClaimedRow, UpdatedRow, apply_decision, interleave_retries
from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.rows import clean, send_fields
from reaper.queues.postgres.schema import AT, FREE, NOW, counting, epoch

SMALL_SET = 5_000
"""Sets smaller than this are searched row by row; larger ones along the queue, whose head they mostly are."""

CANCELLED = f"outcome = 'cancelled', settled_at = {NOW}, by = s.cancel_by, reason = s.cancel_reason, {FREE}"
"""Settles a row whose cancellation was requested."""
OVER = f"outcome IS NULL AND cancel_by IS NOT NULL AND {AT} <= {NOW}"

_OF_SMALL_SET = "AND id = ANY(ARRAY(SELECT m.id FROM reaper_member m WHERE m.set_id = %(set_id)s))"
# A scalar query and no EXISTS: it stays a filter on the index in its order, whatever the planner knows of the set.
_OF_LARGE_SET = "AND (SELECT true FROM reaper_member m WHERE m.set_id = %(set_id)s AND m.id = s.id)"


def _ready(kind: str, where: str) -> str:
    """Rows of one kind, oldest due first: locked as they are taken up, so the outer LIMIT locks no more than it takes;
    the inner one tells the planner how few they will be.
    """
    return f"""
    SELECT id, at FROM (
        SELECT id, {AT} AS at FROM reaper_session s
        WHERE outcome IS NULL AND {kind} AND cancel_by IS NULL AND {AT} <= {NOW} {where}
        ORDER BY {AT}, id LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ) AS ready LIMIT"""


def _claim(of_set: str) -> str:
    return f"""
WITH over AS MATERIALIZED (SELECT id FROM reaper_session s WHERE {OVER} LIMIT 1000 FOR UPDATE SKIP LOCKED),
ended AS (UPDATE reaper_session s SET {CANCELLED} FROM over WHERE s.id = over.id RETURNING 1),
counted AS ({counting("SELECT 'settled.cancelled', '', count(*) FROM ended")}),
retries AS MATERIALIZED ({_ready("sends > 0", of_set)} %(turns)s),
firsts AS MATERIALIZED ({_ready("sends = 0", of_set)} %(most)s - (SELECT count(*) FROM retries)),
more AS MATERIALIZED (
    {_ready("sends > 0", f"{of_set} AND id <> ALL(ARRAY(SELECT r.id FROM retries r))")}
    %(most)s - (SELECT count(*) FROM retries) - (SELECT count(*) FROM firsts)
),
chosen AS (
    SELECT id, at, row_number() OVER () AS number
    FROM (SELECT * FROM firsts UNION ALL SELECT * FROM retries UNION ALL SELECT * FROM more) AS every
),
finals AS (SELECT coalesce(sum(value), 0)::bigint AS now FROM reaper_counter WHERE name = '{FINALS}')
UPDATE reaper_session s SET sends = sends + 1, owner = %(owner)s, receipt = %(receipts)s || chosen.number,
    lease_until = {NOW} + make_interval(secs => %(lease_s)s), finals_before = finals_seen, finals_seen = finals.now
FROM chosen, finals WHERE s.id = chosen.id
RETURNING {epoch("chosen.at")}, s.id, session_id, receipt, round, attempts, sends, recorded, ambiguous,
    finals_seen > finals_before, source, {epoch("lease_until")}
"""


CLAIM, CLAIM_OF_SMALL_SET, CLAIM_OF_LARGE_SET = _claim(""), _claim(_OF_SMALL_SET), _claim(_OF_LARGE_SET)

APPLY = f"""
WITH asked AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(asks)s::jsonb) AS a (
        number integer, session_id text, receipt text, attempts integer, sends integer,
        recorded integer, ambiguous boolean, sent boolean, after_s float8, send jsonb,
        outcome text, status integer, detail text, counts text[],
        c_outcome text, c_status integer, c_detail text, c_counts text[]
    )
),
ended AS (
    UPDATE reaper_session s SET
        attempts = s.attempts + a.attempts, sends = s.sends + a.sends, recorded = s.recorded + a.recorded,
        ambiguous = s.ambiguous OR a.ambiguous,
        finals_seen = CASE WHEN a.sent THEN s.finals_seen ELSE s.finals_before END,
        due_at = CASE WHEN a.after_s IS NULL THEN s.due_at ELSE {NOW} + make_interval(secs => a.after_s) END,
        history = CASE WHEN a.send IS NULL THEN s.history
            WHEN jsonb_array_length(s.history) >= {MAX_HISTORY} THEN (s.history - 0) || a.send
            ELSE s.history || a.send END,
        outcome = CASE WHEN s.cancel_by IS NULL THEN a.outcome ELSE a.c_outcome END,
        status = CASE WHEN s.cancel_by IS NULL THEN a.status ELSE a.c_status END,
        detail = CASE WHEN s.cancel_by IS NULL THEN a.detail ELSE a.c_detail END,
        settled_at = CASE WHEN s.cancel_by IS NOT NULL OR a.outcome IS NOT NULL THEN {NOW} END,
        by = CASE WHEN s.cancel_by IS NOT NULL AND a.c_outcome = 'cancelled' THEN s.cancel_by ELSE s.by END,
        reason = CASE WHEN s.cancel_by IS NOT NULL AND a.c_outcome = 'cancelled' THEN s.cancel_reason
            ELSE s.reason END,
        ended_receipt = a.receipt, {FREE}
    FROM asked a WHERE s.session_id = a.session_id AND s.receipt = a.receipt
    RETURNING a.number, CASE WHEN s.outcome = a.c_outcome THEN a.c_counts ELSE a.counts END AS counts
),
counted AS (
    {counting("SELECT name, '', count(*) FROM ended, unnest(ended.counts) AS name GROUP BY name")}
)
SELECT number FROM ended
"""
# A statement of its own, which sees what was committed while the one before waited: an apply that was given up here
# may still have been under way there.
ENDED = """
SELECT number
FROM unnest(%(numbers)s::integer[], %(ids)s::text[], %(receipts)s::text[]) AS a (number, session_id, ended)
JOIN reaper_session s USING (session_id) WHERE s.ended_receipt = a.ended
"""


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """One apply of many ends. `doubtful`: receipts of those asked before, when the connection was lost under it."""

    ends: Sequence[LeaseResult]
    doubtful: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """One claim; those that agree in all but `most` are made together."""

    most: int
    lease_s: float
    set_id: str | None
    small_set: bool


def claim_query(claim: Claim, most: int) -> str:
    """Return the statement for a claim of `most`."""
    if claim.set_id is None:
        return CLAIM
    return CLAIM_OF_SMALL_SET if claim.small_set else CLAIM_OF_LARGE_SET


def retries_in(turn: int, most: int) -> int:
    """Return how many of the next `most` claims are for retries (promise 8)."""
    return (turn + most) // RETRY_EVERY - turn // RETRY_EVERY


def leases(rows: Sequence[tuple[Any, ...]], most: int, turn: int) -> list[Lease]:
    """Return the leases of a claim's rows, in the order of their turns."""
    ordered = sorted(rows)
    firsts, retries = (row for row in ordered if row[6] == 1), (row for row in ordered if row[6] > 1)
    return [_lease(row) for row in interleave_retries(firsts, retries, most, turn)]


def _lease(row: tuple[Any, ...]) -> Lease:
    _, _, session_id, receipt, round_, attempts, sends, recorded, ambiguous, others, source, until = row
    return Lease(
        session_id=SessionId(session_id),
        receipt=receipt,
        round=round_,
        attempts=attempts,
        sends=sends,
        unanswered=sends - 1 - recorded,
        ambiguous=ambiguous,
        others_final=sends > 1 and others,
        source=source,
        expires_at=until,
    )


def apply_params(ends: Sequence[LeaseResult], now: float | None) -> dict[str, Any]:
    """Return the parameters of the statement that applies."""
    return {"asks": json.dumps([_asked(number, end) for number, end in enumerate(ends)]), "now": now}


def ended_params(ends: Sequence[tuple[int, LeaseResult]]) -> dict[str, Any]:
    """Return the parameters of the statement that finds which of the ends, with their numbers, were carried out."""
    return {
        "numbers": [number for number, _ in ends],
        "ids": [end.lease.session_id for _, end in ends],
        "receipts": [end.lease.receipt for _, end in ends],
    }


def _asked(number: int, end: LeaseResult) -> dict[str, Any]:
    plain, cancelled = (_ended(end, cancel_requested=requested) for requested in (False, True))
    return {
        "number": number,
        "session_id": end.lease.session_id,
        "receipt": end.lease.receipt,
        "attempts": plain.attempts,
        "sends": plain.sends,
        "recorded": plain.recorded,
        "ambiguous": plain.ambiguous,
        "sent": bool(plain.finals_seen),
        "after_s": None if plain.due_at < 0 else plain.due_at,
        "send": None if end.send is None else [send_fields(end.send)],
        **_result("", plain),
        **_result("c_", cancelled),
    }


def _ended(end: LeaseResult, *, cancel_requested: bool) -> UpdatedRow:
    """Return what the decision changes: figures count from 0, instants from now; due before now: as it was."""
    held = ClaimedRow(
        attempts=0,
        sends=0,
        recorded=0,
        ambiguous=False,
        finals_seen=1,
        finals_before=0,
        due_at=-1.0,
        cancel_requested=cancel_requested,
    )
    return apply_decision(held, end.decision, end.send, 0.0)


def _result(prefix: str, ended: UpdatedRow) -> dict[str, Any]:
    fields = {
        "outcome": ended.outcome,
        "status": ended.status,
        "detail": None if ended.detail is None else clean(ended.detail),
        "counts": list(ended.counts),
    }
    return {prefix + name: value for name, value in fields.items()}


class BatchExecutor:
    """Carries out the claims and applies of one process; knows whose turn it is and which receipts it gave out."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._claimed = 0
        self._statements = 0

    async def carry_out(self, connection: Connection, asks: Sequence[Apply | Claim], now: float | None) -> list[object]:
        """Carry out all in one transaction: first the applies, then the claims."""
        results: list[object] = [None] * len(asks)
        applies = [(place, ask) for place, ask in enumerate(asks) if isinstance(ask, Apply)]
        ends = [end for _, ask in applies for end in ask.ends]
        groups: dict[tuple[float, str | None, bool], list[tuple[int, Claim]]] = {}
        for place, ask in enumerate(asks):
            if isinstance(ask, Claim):
                groups.setdefault((ask.lease_s, ask.set_id, ask.small_set), []).append((place, ask))
        turn = self._claimed
        async with connection.pipeline():
            applied = []
            if ends:
                applied.append(await connection.execute(APPLY, apply_params(ends, now)))
            doubts = frozenset[str]().union(*(ask.doubtful for _, ask in applies))
            doubtful = [(number, end) for number, end in enumerate(ends) if end.lease.receipt in doubts]
            if doubtful:
                applied.append(await connection.execute(ENDED, ended_params(doubtful)))
            claimed = []
            for group in groups.values():
                most, first = sum(ask.most for _, ask in group), group[0][1]
                self._statements += 1
                cursor = await connection.execute(
                    claim_query(first, most),
                    {
                        "most": most,
                        "turns": retries_in(turn, most),
                        "owner": self.owner,
                        "receipts": f"{self.owner}.{self._statements}.",
                        "lease_s": first.lease_s,
                        "set_id": first.set_id,
                        "now": now,
                    },
                )
                claimed.append((cursor, most, turn, group))
        done = {number for cursor in applied for (number,) in await cursor.fetchall()}
        numbers = iter(range(len(ends)))
        for place, ask in applies:
            results[place] = [number in done for number in islice(numbers, len(ask.ends))]
        for cursor, most, turn, group in claimed:
            got = leases(await cursor.fetchall(), most, turn)
            self._claimed += len(got)
            for place, ask in group:
                results[place], got = got[: ask.most], got[ask.most :]
        return results

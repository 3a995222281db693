"""Executes claims and applies, many at a time, in one transaction.

The arithmetic of an apply is that of `accounting.apply_decision`, done twice beforehand, with and without a
cancellation: the statement only writes the result, so nothing has to be read first and no row lock outlives a round
trip.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from reaper.core.model import Lease, LeaseResult, SessionId
from reaper.core.owners import random_part
from reaper.queues.accounting import RETRY_EVERY, ClaimedRow, UpdatedRow, apply_decision, interleave_retries
from reaper.queues.postgres.rows import clean, send_fields
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load

_SQL = load("claims.sql", OF_SET="")
_SMALL = load("claims.sql", OF_SET=_SQL["IN_SMALL_SET"])
_LARGE = load("claims.sql", OF_SET=_SQL["IN_LARGE_SET"])


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """One apply of many results. `maybe_applied`: receipts of results that an earlier, lost call may have written."""

    results: Sequence[LeaseResult]
    maybe_applied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """One claim. Claims that agree in all but `limit` are made together."""

    limit: int
    lease_s: float
    set_id: str | None
    small_set: bool


@dataclass(slots=True, eq=False)
class BatchExecutor:
    """Executes the claims and applies of one process; counts its claims for the turns of retries and for receipts."""

    owner: str
    _claimed: int = 0
    _statements: int = 0

    async def execute(
        self, connection: Session, operations: Sequence[Apply | Claim], now: float | None
    ) -> list[object]:
        """Execute all in one transaction, first the applies, then the claims; return a result for each.

        An apply returns for each of its results whether it was written, a claim its leases.
        """
        outcomes: list[object] = [None] * len(operations)
        applies = [(place, one) for place, one in enumerate(operations) if isinstance(one, Apply)]
        results = [result for _, apply in applies for result in apply.results]
        groups: dict[tuple[float, str | None, bool], list[tuple[int, Claim]]] = {}
        for place, one in enumerate(operations):
            if isinstance(one, Claim):
                groups.setdefault((one.lease_s, one.set_id, one.small_set), []).append((place, one))
        turn = self._claimed
        async with connection.pipeline():
            applied = []
            if results:
                asked = json.dumps([_fields(number, result) for number, result in enumerate(results)])
                applied.append(await connection.execute(_SQL["apply"], {"asked": asked, "now": now}))
            receipts = frozenset[str]().union(*(apply.maybe_applied for _, apply in applies))
            maybe = [(number, result) for number, result in enumerate(results) if result.lease.receipt in receipts]
            if maybe:
                params = {
                    "numbers": [number for number, _ in maybe],
                    "ids": [result.lease.session_id for _, result in maybe],
                    "receipts": [result.lease.receipt for _, result in maybe],
                }
                applied.append(await connection.execute(_SQL["find_applied"], params))
            claimed = []
            for group in groups.values():
                limit, first = sum(claim.limit for _, claim in group), group[0][1]
                self._statements += 1
                cursor = await connection.execute(
                    (_SQL if first.set_id is None else _SMALL if first.small_set else _LARGE)["claim"],
                    {
                        "limit": limit,
                        "turns": retries_in(turn, limit),
                        "owner": self.owner,
                        "receipts": f"{random_part(self.owner)}.{self._statements}.",
                        "lease_s": first.lease_s,
                        "set_id": first.set_id,
                        "now": now,
                    },
                )
                claimed.append((cursor, limit, group))
        written = {number for cursor in applied for (number,) in await cursor.fetchall()}
        numbers = iter(range(len(results)))
        for place, apply in applies:
            outcomes[place] = [number in written for number in islice(numbers, len(apply.results))]
        for cursor, limit, group in claimed:
            got = leases(await cursor.fetchall(), limit, turn)
            self._claimed += len(got)
            for place, claim in group:
                outcomes[place], got = got[: claim.limit], got[claim.limit :]
        return outcomes


def retries_in(turn: int, limit: int) -> int:
    """Return how many of the next `limit` claims are for retries (promise 8)."""
    return (turn + limit) // RETRY_EVERY - turn // RETRY_EVERY


def leases(rows: Sequence[tuple[Any, ...]], limit: int, turn: int) -> list[Lease]:
    """Return the leases of a claim's rows, in the order of their turns."""
    ordered = sorted(rows)
    firsts, retries = (row for row in ordered if row[6] == 1), (row for row in ordered if row[6] > 1)
    return [_lease(row) for row in interleave_retries(firsts, retries, limit, turn)]


def _lease(row: tuple[Any, ...]) -> Lease:
    _, _, session_id, receipt, round_, attempts, sends, recorded, ambiguous, others, source, until, due_at = row
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
        due_at=due_at,
    )


def _fields(number: int, result: LeaseResult) -> dict[str, Any]:
    plain, cancelled = (_changes(result, cancel_requested=requested) for requested in (False, True))
    return {
        "number": number,
        "session_id": result.lease.session_id,
        "receipt": result.lease.receipt,
        "attempts": plain.attempts,
        "sends": plain.sends,
        "recorded": plain.recorded,
        "ambiguous": plain.ambiguous,
        "sent": bool(plain.finals_seen),
        "after_s": None if plain.due_at < 0 else plain.due_at,
        "send": None if result.send is None else [send_fields(result.send)],
        **_outcome_fields("", plain),
        **_outcome_fields("c_", cancelled),
    }


def _changes(result: LeaseResult, *, cancel_requested: bool) -> UpdatedRow:
    """Return the changes of a decision: figures count from 0, instants from now; due before now: unchanged."""
    claimed = ClaimedRow(
        attempts=0,
        sends=0,
        recorded=0,
        ambiguous=False,
        finals_seen=1,
        finals_before=0,
        due_at=-1.0,
        cancel_requested=cancel_requested,
    )
    return apply_decision(claimed, result.decision, result.send, 0.0)


def _outcome_fields(prefix: str, updated: UpdatedRow) -> dict[str, Any]:
    fields = {
        "outcome": updated.outcome,
        "status": updated.status,
        "detail": None if updated.detail is None else clean(updated.detail),
        "counts": list(updated.counts),
    }
    return {prefix + name: value for name, value in fields.items()}

"""Between the values of Redis and ours: rows, leases, results, pauses, heartbeats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from reaper.core.model import (
    MAX_HISTORY,
    Item,
    Lease,
    LeaseResult,
    Outcome,
    Pause,
    Send,
    SessionId,
    State,
    WorkerHeartbeat,
)
from reaper.core.times import LAST_INSTANT
from reaper.queues import accounting
from reaper.queues.values import InvalidLine, KeptInvalidLine, later_state, pause_of

_KEPT = float("-inf")
"""Stands for the due time that the row has: only the server knows it."""


def pairs(flat: Sequence[Any]) -> dict[str, Any]:
    """Return a flat list of names and values as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def item(session_id: SessionId, flat: Sequence[str], source: str, now: float) -> Item | None:
    """Return the item of a row's fields, None when there is no row. `now` is the server's time, Unix seconds."""
    row = pairs(flat)
    if "n" not in row:
        return None
    at = float(row.get("until", row["due"]))
    if "out" in row:
        state = State.SETTLED
    elif at <= now:
        state = State.READY
    else:
        state = later_state(int(row.get("snd", 0)), is_leased="until" in row)
    sends, recorded = int(row.get("snd", 0)), int(row.get("rec", 0))
    return Item(
        session_id=session_id,
        state=state,
        outcome=Outcome(row["out"]) if "out" in row else None,
        source=source,
        added_at=float(row["add"]),
        due_at=min(at, LAST_INSTANT),
        round=int(row.get("rnd", 1)),
        attempts=int(row.get("att", 0)),
        sends=sends,
        unanswered=sends - recorded - (state is State.IN_FLIGHT),
        history=tuple(_send(row, number) for number in range(max(0, recorded - MAX_HISTORY), recorded)),
        status=int(row["st"]) if "st" in row else None,
        detail=row.get("det"),
        settled_at=float(row["at"]) if "at" in row else None,
        by=row.get("by"),
        reason=row.get("why"),
        owner=row["rcp"].partition(".")[0] if "rcp" in row else None,
    )


def _send(row: dict[str, str], number: int) -> Send:
    slot = number % MAX_HISTORY
    at, duration_s, status = row[f"h{slot}"].split(" ")
    return Send(
        at=float(at),
        duration_s=float(duration_s),
        status=int(status) if status else None,
        error=row.get(f"e{slot}"),
        request_id=row.get(f"q{slot}"),
    )


def lease(row: Sequence[Any], until: float) -> Lease:
    """Return the lease of a row that the script `claim` returned."""
    session_id, receipt, round_, attempts, sends, unanswered, ambiguous, others_final, source, due_at = row
    return Lease(
        session_id=SessionId(session_id),
        receipt=receipt,
        round=round_,
        attempts=attempts,
        sends=sends,
        unanswered=unanswered,
        ambiguous=bool(ambiguous),
        others_final=bool(others_final),
        source=source,
        expires_at=until,
        due_at=float(due_at),
    )


def apply_values(result: LeaseResult) -> list[str | int | float]:
    """Return one result's arguments of `apply`: what the row becomes, and what it becomes if it was cancelled.

    While the receipt is good only a cancellation can have changed the row, so the lease has its values.
    """
    lease, decision, send = result
    recorded = lease.sends - 1 - lease.unanswered
    plain, cancelled = (
        accounting.apply_decision(
            accounting.ClaimedRow(
                attempts=lease.attempts,
                sends=lease.sends,
                recorded=recorded,
                ambiguous=lease.ambiguous,
                finals_seen=0,
                finals_before=0,
                due_at=_KEPT,
                cancel_requested=cancel_requested,
            ),
            decision,
            send,
            0.0,
        )
        for cancel_requested in (False, True)
    )
    values: list[str | int | float] = [
        lease.session_id,
        lease.receipt,
        int(send is not None),
        plain.attempts,
        plain.sends,
        plain.recorded,
        int(plain.ambiguous),
        "" if plain.due_at == _KEPT else repr(plain.due_at),
        recorded % MAX_HISTORY,
    ]
    if send is None:
        values += ["", "", ""]
    else:
        status = "" if send.status is None else send.status
        values += [f"{send.at!r} {send.duration_s!r} {status}", send.error or "", send.request_id or ""]
    for ended in (plain, cancelled):
        status = "" if ended.status is None else ended.status
        values += [ended.outcome or "", status, ended.detail or "", ",".join(ended.counts)]
    return values


def invalid(source: str, line: InvalidLine, at: float) -> str:
    """Return an invalid line, read at an instant, as text."""
    return json.dumps({"source": source, **asdict(line), "at": at})


def kept_invalid(text: str) -> KeptInvalidLine:
    """Return an invalid line from its text."""
    return KeptInvalidLine(**{"at": None, **json.loads(text)})


def pause(text: str | None, now: float) -> Pause | None:
    """Return the operator's pause, None when there is none or it is over."""
    found = None if not text else pause_of(json.loads(text))
    return None if found is None or (found.until is not None and found.until <= now) else found


def heartbeat_text(pid: int, started_at: float, limit: int, pauses: Sequence[Pause]) -> str:
    """Return a heartbeat as text."""
    fields = {"pid": pid, "started_at": started_at, "limit": limit, "pauses": [asdict(pause) for pause in pauses]}
    return json.dumps(fields)


def heartbeat(owner: str, sent_at: str, text: str) -> WorkerHeartbeat:
    """Return a heartbeat from its text and the time it was stored at, Unix seconds."""
    fields = json.loads(text)
    pauses = tuple(map(pause_of, fields["pauses"]))
    return WorkerHeartbeat(owner, fields["pid"], fields["started_at"], float(sent_at), fields["limit"], pauses)

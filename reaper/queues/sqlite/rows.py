"""Conversions between rows and values: items, recorded sends, pauses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reaper.core.errors import QueueError
from reaper.core.model import MAX_HISTORY, Item, Outcome, Pause, PauseReason, Send, SessionId, State

LAST_INSTANT = 253_402_300_799
"""The end of the year 9999 in Unix seconds, the last that a calendar can show."""


@contextmanager
def written_by_us() -> Iterator[None]:
    """Parse text and rows that this program wrote: an error in them is damage. Raises QueueError."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise QueueError(
            f"a row of the ledger is damaged ({error}): restore a copy made with `reaper queue backup`"
        ) from error


def with_send(history: str, send: Send) -> str:
    """Return the recorded sends with one more; the oldest goes when there are more than `MAX_HISTORY`."""
    with written_by_us():
        return json.dumps([*json.loads(history), fields_of(send)][-MAX_HISTORY:])


def fields_of(send: Send) -> dict[str, object]:
    """Return what is recorded of a send."""
    fields: dict[str, object] = {"at": send.at, "duration_s": send.duration_s, "status": send.status}
    if send.status is None:
        del fields["status"]
    if send.error is not None:
        fields["error"] = send.error
    if send.request_id is not None:
        fields["request_id"] = send.request_id
    return fields


def parse_pause(fields: dict[str, Any]) -> Pause:
    """Return a pause from its JSON fields."""
    return Pause(PauseReason(fields["reason"]), fields["since"], fields["detail"], fields.get("until"))


def parse_item(row: Any, now: float) -> Item:
    """Return an item from a row of the statement `items`. Raises QueueError for a damaged one."""
    (session_id, outcome, source, added_at, at, round_, attempts, sends, recorded, history) = row[:10]
    (status, detail, settled_at, by, reason, lease_until) = row[10:16]
    with written_by_us():
        _check_instants(added_at, at, settled_at)
        if outcome is not None:
            state = State.SETTLED
        elif at <= now:
            state = State.READY
        else:
            state = State.DELAYED if lease_until is None else State.IN_FLIGHT
        return Item(
            session_id=SessionId(session_id),
            state=state,
            outcome=None if outcome is None else Outcome(outcome),
            source=source,
            added_at=added_at,
            due_at=at,
            round=round_,
            attempts=attempts,
            sends=sends,
            unanswered=sends - recorded - (state is State.IN_FLIGHT),
            history=tuple(Send(**fields) for fields in json.loads(history)),
            status=status,
            detail=detail,
            settled_at=settled_at,
            by=by,
            reason=reason,
        )


def _check_instants(*instants: float | None) -> None:
    """Check that a calendar can show the instants. Raises ValueError or TypeError."""
    for at in instants:
        if at is not None and not 0 <= at <= LAST_INSTANT:
            raise ValueError(f"{at!r} is no instant")

"""Between the values of PostgreSQL and ours: texts, sends, items, pauses."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from reaper.core.model import Item, Outcome, Pause, PauseReason, Send, SessionId, State


def clean(text: str) -> str:
    """Return a text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def send_fields(send: Send) -> dict[str, Any]:
    """Return a send as the fields that the history stores."""
    fields = {name: value for name, value in asdict(send).items() if value is not None}
    return {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}


def item(row: tuple[Any, ...]) -> Item:
    """Return the item of a row of the statement `ITEM`."""
    (session_id, outcome, source, added_at, at, round_, attempts, sends, recorded, history) = row[:10]
    (status, detail, settled_at, by, reason, is_due, is_leased, _) = row[10:]
    if outcome is not None:
        state = State.SETTLED
    elif is_due:
        state = State.READY
    else:
        state = State.IN_FLIGHT if is_leased else State.DELAYED
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
        history=tuple(Send(**fields) for fields in history),
        status=status,
        detail=detail,
        settled_at=settled_at,
        by=by,
        reason=reason,
    )


def pause(fields: dict[str, Any]) -> Pause:
    """Return the pause that was stored as these fields."""
    return Pause(PauseReason(fields["reason"]), fields["since"], fields["detail"], fields.get("until"))

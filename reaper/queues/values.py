"""Arguments and results of a queue's methods: batches, positions, views of run sets, results of commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reaper.core.model import Item, Outcome, Pause, PauseReason, Send, SessionId, State


@dataclass(frozen=True, slots=True)
class NewItem:
    """An ID to add. `due_at` is in Unix seconds; None means now, by the engine's clock."""

    session_id: SessionId
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class InvalidLine:
    """A rejected line: its number from 1, the reason, and its first bytes made printable."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Position:
    """How far a followed file was read. `offset` is the byte after the last whole line that was added."""

    path: str
    device: int
    inode: int
    prefix_bytes: int
    prefix_hash: str
    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The items of one read of one source. A batch is added wholly or not at all, together with its position."""

    source: str
    items: Sequence[NewItem] = ()
    invalid: Sequence[InvalidLine] = ()
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """The result of adding a batch, counted. `duplicates` names the first 100 of them."""

    accepted: int
    duplicate: int
    invalid: int
    duplicates: tuple[SessionId, ...] = ()


@dataclass(frozen=True, slots=True)
class SetView:
    """A run set, counted: open IDs by state, settled ones by outcome.

    `delayed` IDs were never sent in this round and are not due yet; `retrying` ones were sent before and are due later.
    """

    ready: int
    delayed: int
    retrying: int
    in_flight: int
    settled: dict[Outcome, int] = field(default_factory=dict)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int]) -> SetView:
        """Return the view of counts by outcome, and by state with a `+` before its name."""
        ready, delayed, retrying, in_flight = (
            counts.get(f"+{state}", 0) for state in ("ready", "delayed", "retrying", "in_flight")
        )
        settled = {Outcome(name): number for name, number in counts.items() if name[0] != "+"}
        return cls(ready, delayed, retrying, in_flight, settled)

    @property
    def open(self) -> int:
        return self.ready + self.delayed + self.retrying + self.in_flight


class CancelResult(StrEnum):
    """The result of `cancel`. REQUESTED: the ID is in flight, and ends cancelled unless the answer settles it."""

    DONE = "done"
    REQUESTED = "requested"
    SETTLED = "settled"
    UNKNOWN = "unknown"


class PostponeResult(StrEnum):
    """The result of `postpone`: done, or the reason why not."""

    DONE = "done"
    IN_FLIGHT = "in_flight"
    SETTLED = "settled"
    UNKNOWN = "unknown"


def item_of(row: Sequence[Any], sends: Iterable[Mapping[str, Any]], *, is_due: bool, is_leased: bool) -> Item:
    """Return the item of an SQL engine's row, its columns in the order below, and of the fields of its sends."""
    session_id, outcome, source, added_at, at, round_, attempts, sent, recorded, _, *rest = row
    status, detail, settled_at, by, reason = rest
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
        sends=sent,
        unanswered=sent - recorded - (state is State.IN_FLIGHT),
        history=tuple(Send(**fields) for fields in sends),
        status=status,
        detail=detail,
        settled_at=settled_at,
        by=by,
        reason=reason,
    )


def pause_of(fields: Mapping[str, Any]) -> Pause:
    """Return the pause that was stored as these fields."""
    return Pause(PauseReason(fields["reason"]), fields["since"], fields["detail"], fields.get("until"))

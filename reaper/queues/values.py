"""Arguments and results of a queue's methods: batches, positions, views of run sets, results of commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reaper.core.model import Item, Outcome, Pause, PauseReason, Send, SessionId, State
from reaper.core.times import LAST_INSTANT
from reaper.queues.accounting import is_due


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


MAX_INVALID_KEPT = 10_000
"""How many rejected lines a queue keeps, the newest."""


@dataclass(frozen=True, slots=True)
class KeptInvalidLine:
    """A rejected line as a queue keeps it. `at` is when it was read; None of those that an older version kept."""

    source: str
    line: int
    reason: str
    text: str
    at: float | None


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
    """The result of adding a batch, counted. `duplicate`: known, and unchanged; `duplicates` names the first 100."""

    accepted: int
    duplicate: int
    invalid: int
    duplicates: tuple[SessionId, ...] = ()
    postponed: int = 0
    """Those that waited already and got the new due time."""


@dataclass(frozen=True, slots=True)
class SetView:
    """A run set, counted: open IDs by state, settled ones by outcome.

    `scheduled` IDs are due later and were never sent in this round; `retrying` ones are due later after a send.
    """

    ready: int
    scheduled: int
    retrying: int
    in_flight: int
    settled: dict[Outcome, int] = field(default_factory=dict)
    next_scheduled_at: float | None = None
    """When the first of the scheduled IDs falls due; None when there are none."""
    next_retry_at: float | None = None
    """The same of the retrying ones."""

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], next_at: Mapping[str, float]) -> SetView:
        """Return the view of counts and first due times, by outcome, and by state with a `+` before its name."""
        ready, scheduled, retrying, in_flight = (
            counts.get(f"+{state}", 0) for state in ("ready", "scheduled", "retrying", "in_flight")
        )
        settled = {Outcome(name): number for name, number in counts.items() if name[0] != "+"}
        return cls(ready, scheduled, retrying, in_flight, settled, next_at.get("+scheduled"), next_at.get("+retrying"))

    @property
    def open(self) -> int:
        return self.ready + self.delayed + self.in_flight

    @property
    def delayed(self) -> int:
        """How many IDs are due later: scheduled and retrying ones together."""
        return self.scheduled + self.retrying

    @property
    def to_do(self) -> int:
        """How many IDs are left for a run: all open ones but the scheduled."""
        return self.open - self.scheduled


def reopenable(again: bool | frozenset[Outcome]) -> frozenset[Outcome]:
    """Return the outcomes whose IDs `add` re-opens, from its argument."""
    return again if isinstance(again, frozenset) else frozenset(Outcome) if again else frozenset()


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


def item_of(
    row: Sequence[Any], sends: Iterable[Mapping[str, Any]], *, is_due: bool, is_leased: bool, owner: str | None
) -> Item:
    """Return the item of an SQL engine's row, its columns in the order below, and of the fields of its sends."""
    session_id, outcome, source, added_at, at, round_, attempts, sent, recorded, _, *rest = row
    status, detail, settled_at, by, reason = rest
    if outcome is not None:
        state = State.SETTLED
    elif is_due:
        state = State.READY
    else:
        state = later_state(sent, is_leased=is_leased)
    return Item(
        session_id=SessionId(session_id),
        state=state,
        outcome=None if outcome is None else Outcome(outcome),
        source=source,
        added_at=added_at,
        due_at=min(at, LAST_INSTANT),
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
        owner=owner,
    )


def later_state(sends: int, *, is_leased: bool) -> State:
    """Return the state of an open row that cannot be claimed yet."""
    if is_leased:
        return State.IN_FLIGHT
    return State.RETRYING if sends else State.SCHEDULED


def is_over(pause: Pause, now: float) -> bool:
    """Return whether an operator's pause has ended: by its time, or because the clock was set back to before it."""
    return pause.until is not None and is_due(pause.until, pause.until - pause.since, now)


def pause_of(fields: Mapping[str, Any]) -> Pause:
    """Return the pause that was stored as these fields."""
    return Pause(
        PauseReason(fields["reason"]), fields["since"], fields["detail"], fields.get("until"), by=fields.get("by")
    )

"""Holds: sweeps held whole by a guard, until an operator decides or they expire (docs/discovery.md). Pure.

The queue keeps all holds as one value that is replaced by compare-and-set, so each function returns new holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TypeVar

from reaper.core.discovery.policy import REAPING, Rule
from reaper.core.ids import check_id
from reaper.core.model import SessionId

T = TypeVar("T")
KEY = "holds"
"""The key under which the queue keeps them."""
HOLD_LIFE_S = 86_400.0
"""The life of an open hold, seconds: none of its sessions lives longer (`ttlSeconds`)."""
DECIDED_KEPT = 20
"""Holds that are no longer open and are kept for `reaper holds`."""


class Guard(StrEnum):
    """The limits of a sweep, by the names of their settings."""

    MAX_PER_SWEEP = "max_per_sweep"
    MAX_SHARE = "max_share"
    LIST_SHRINK = "list_shrink"


class HoldState(StrEnum):
    """The state of a hold."""

    OPEN = "open"
    APPROVED = "approved"
    DISCARDED = "discarded"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Hold:
    """A sweep held whole: every session that it would have stopped, each with its rule."""

    id: str
    created_at: float
    expires_at: float
    guards: tuple[Guard, ...]
    """All guards that fired; `reason` has a phrase with the figures of each."""
    reason: str
    sessions: Mapping[SessionId, Rule]
    fate: HoldState = HoldState.OPEN
    by: str | None = None
    why: str | None = None
    """The reason that the operator gave."""
    decided_at: float | None = None


Holds = tuple[Hold, ...]
"""Oldest first."""


@dataclass(frozen=True, slots=True)
class HoldHead:
    """A hold without its sessions, as a message tells of it."""

    id: str
    expires_at: float
    reason: str
    count: int
    fate: HoldState = HoldState.OPEN
    by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The reason why an operator's request is refused."""

    reason: str


def add_hold(holds: Holds, hold: Hold) -> Holds:
    """Return the holds with one more; the same holds when an earlier one covers it."""
    return holds if covering(holds, hold) else _kept((*holds, hold))


def covering(holds: Holds, hold: Hold) -> Hold | None:
    """Return the hold that makes another one needless, also the same one; None when there is none.

    Guards that fire at every sweep have one open hold, so that the hold which an operator has read is still there when
    they approve it. Discarded sessions are not held again during the life of that hold, unless there are others, too.
    """
    for held in (held for held in holds if hold.created_at < held.expires_at):
        if held.fate is HoldState.OPEN and set(hold.guards) <= set(held.guards):
            return held
        if held.fate is HoldState.DISCARDED and hold.sessions.keys() <= held.sessions.keys():
            return held
    return None


def keepers(holds: Holds, sessions: Collection[SessionId], now: float) -> dict[SessionId, Hold]:
    """Return those of the sessions that an open or a discarded hold keeps from being stopped, each with that hold.

    What an operator has not decided, or has decided against, is not stopped by a later sweep that trips no guard.
    """
    found: dict[SessionId, Hold] = {}
    for hold in holds:
        if hold.fate in (HoldState.OPEN, HoldState.DISCARDED) and now < hold.expires_at:
            found.update((each, hold) for each in hold.sessions if each in sessions)
    return found


def approve(holds: Holds, hold_id: str, *, by: str, why: str | None, now: float) -> tuple[Holds, Hold] | Refused:
    """Approve a hold. Return all holds, and the one whose sessions the caller queues now.

    To approve it again returns it again: whoever was cut off between the two steps repeats both, and the queue
    deduplicates.
    """
    return _decided(holds, hold_id, HoldState.APPROVED, by=by, why=why, now=now)


def discard(holds: Holds, hold_id: str, *, by: str, why: str | None, now: float) -> tuple[Holds, Hold] | Refused:
    """Discard a hold. No sweep stops its sessions before its life is over.

    To discard it again returns it again, as `approve` does: the caller may have been cut off before its second step.
    """
    return _decided(holds, hold_id, HoldState.DISCARDED, by=by, why=why, now=now)


def expire(holds: Holds, now: float) -> Holds:
    """Return the holds after closing those that nobody decided in time."""
    return _kept(
        tuple(
            replace(hold, fate=HoldState.EXPIRED, decided_at=hold.expires_at)
            if hold.fate is HoldState.OPEN and now >= hold.expires_at
            else hold
            for hold in holds
        )
    )


def open_holds(holds: Holds, now: float) -> Holds:
    """Return the holds that wait for an operator."""
    return tuple(hold for hold in holds if hold.fate is HoldState.OPEN and now < hold.expires_at)


def to_text(holds: Holds) -> str:
    """Return the holds as JSON."""
    return json.dumps([asdict(replace(hold, sessions=dict(hold.sessions))) for hold in holds], separators=(",", ":"))


def read_holds(text: str | None) -> Holds:
    """Read the text of `to_text`; None is no holds. Raises ValueError: an unreadable hold must not be forgotten."""
    return tuple(_each(text, _read))


def read_heads(text: str | None) -> tuple[HoldHead, ...]:
    """Read the holds in the text of `to_text` without a look at each session. Raises ValueError as `read_holds`."""
    return tuple(_each(text, _read_head))


def _each(text: str | None, read: Callable[[Mapping[str, object]], T]) -> Iterator[T]:
    try:
        yield from map(read, json.loads(text or "[]"))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the holds kept in the queue cannot be read: {error}") from error


def _read_head(each: Mapping[str, object]) -> HoldHead:
    sessions, by, why = _sessions(each), _text(each["by"]), _text(each["why"])
    fate = HoldState(str(each["fate"]))
    return HoldHead(str(each["id"]), _number(each["expires_at"]), str(each["reason"]), len(sessions), fate, by, why)


def _sessions(each: Mapping[str, object]) -> Mapping[str, str]:
    sessions = each["sessions"]
    if not isinstance(sessions, dict):
        raise TypeError("sessions is no object")
    return sessions


def _read(each: Mapping[str, object]) -> Hold:
    held = {check_id(session_id): Rule(rule) for session_id, rule in _sessions(each).items()}
    if not REAPING.issuperset(held.values()):
        raise TypeError("a session is held that no rule reaps")
    return Hold(
        str(each["id"]),
        _number(each["created_at"]),
        _number(each["expires_at"]),
        _guards(each["guards"]),
        str(each["reason"]),
        held,
        HoldState(str(each["fate"])),
        by=_text(each["by"]),
        why=_text(each["why"]),
        decided_at=None if each["decided_at"] is None else _number(each["decided_at"]),
    )


def _guards(value: object) -> tuple[Guard, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError("guards is no list of some")
    return tuple(map(Guard, value))


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError("a time is no number")
    return float(value)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _find(holds: Holds, hold_id: str) -> Hold | None:
    return next((hold for hold in holds if hold.id == hold_id), None)


def _decided(
    holds: Holds, hold_id: str, fate: HoldState, *, by: str, why: str | None, now: float
) -> tuple[Holds, Hold] | Refused:
    hold = _find(holds, hold_id)
    if hold is None:
        return Refused(f"there is no hold {hold_id}")
    if hold.fate is fate:
        return holds, hold
    if hold.fate is HoldState.EXPIRED or (hold.fate is HoldState.OPEN and now >= hold.expires_at):
        return Refused(f"hold {hold_id} has expired; the next sweep judges its sessions anew")
    if hold.fate is not HoldState.OPEN:
        return Refused(f"hold {hold_id} was {hold.fate.value} by {hold.by}")
    decided = replace(hold, fate=fate, by=by, why=why, decided_at=now)
    return _kept(tuple(decided if each is hold else each for each in holds)), decided


def _kept(holds: Holds) -> Holds:
    closed = [hold for hold in holds if hold.fate is not HoldState.OPEN]
    dropped = {hold.id for hold in closed[: max(0, len(closed) - DECIDED_KEPT)]}
    return tuple(hold for hold in holds if hold.id not in dropped)

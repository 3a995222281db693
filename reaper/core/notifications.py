"""Decides what is to be notified, once per change and queue. Pure: the state is kept in the queue, time is an argument.

A *condition* is something that an operator should know: it begins, and it ends. Every reaper of a queue compares what
it sees with the state that all of them share, and whoever replaces that state by the next one sends the messages
between the two. So ten reapers send one message, and one that dies in between loses it rather than sends it twice.

Reapers do not see the same thing at the same moment: a pause of another one is known from its heartbeat. Therefore
nothing ends within `MIN_LASTING_S` of its message, and nothing begins again within `REPEAT_S`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, assert_never

from reaper.core.discovery.holds import HoldHead, HoldState
from reaper.core.model import DEAD, Pause, PauseReason, Stats
from reaper.core.text import json_value

KEY = "notifications"
"""The name of the state among the queue's values."""
MIN_LASTING_S = 15.0
"""No end is notified so soon after its beginning: other reapers' pauses are known from heartbeats, every 5 s."""
REPEAT_S = 600.0
"""A condition that ended is notified anew at the earliest so long after its last beginning, however often it flaps."""
DEAD_REPEAT_S = 3600.0
"""Dead letters are notified so often at most."""
MAX_PER_HOUR = 30
"""Messages of one queue in an hour, whatever happens; what holds is then notified later."""
STALL_S = 900.0
"""IDs that are due, no pause, and nothing settled for so long: a stall."""
_HOUR_S = 3600.0
_BACK_S = 60.0
"""A clock set back by more than this makes what it wrote before old."""


class Kind(StrEnum):
    """The kinds of conditions."""

    HOLD = "hold"
    DEAD = "dead"
    CREDENTIALS = "credentials"
    WRONG_TARGET = "wrong_target"
    IMBALANCE = "imbalance"
    STALL = "stall"


_PAUSES = {Kind.CREDENTIALS: PauseReason.CREDENTIALS, Kind.WRONG_TARGET: PauseReason.WRONG_TARGET}


class Change(StrEnum):
    """The changes of a condition that are notified."""

    BEGAN = "began"
    GREW = "grew"
    """More dead letters."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Facts:
    """One reaper's view of its queue and of itself. Instants are on the queue's clock; None: not known now."""

    now: float
    pauses: Sequence[Pause] = ()
    """The pauses of this reaper and of the others that live."""
    is_proven: bool = False
    """The API has shown itself to this reaper: without that, no pause is known to be over."""
    stats: Stats | None = None
    dead: Mapping[str, int] = field(default_factory=dict)
    """Dead letters that are kept, by outcome."""
    holds: Sequence[HoldHead] | None = None
    """All holds that the queue keeps."""
    idle_s: float = 0.0
    """For how long IDs have been due while nothing was settled and no pause held."""
    stuck: Mapping[str, float] = field(default_factory=dict)
    """This reaper by name, while its claim loop hangs, and for how long, seconds."""
    alive: frozenset[str] = frozenset()
    """The names of the reapers that live, this one's included; empty: not known."""
    reporter: str = ""
    """The name of this reaper."""

    def idle_for(self, idle_s: float) -> Facts:
        """Return the facts with a stall's length."""
        return replace(self, idle_s=idle_s)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as the queue keeps it. `notified_at`: when its last message but an end was handed over."""

    kind: Kind
    active: bool
    began_at: float
    notified_at: float
    count: int = 0
    """Dead letters: all that ever were. A stall: all that was settled when it began."""
    delivered: bool = True
    """False: no receiver took the message, which is repeated after `REPEAT_S`."""


@dataclass(frozen=True, slots=True)
class Notified:
    """All that was notified for one queue: conditions by key, and the messages of the present hour."""

    conditions: Mapping[str, Condition] = field(default_factory=dict)
    hour_at: float = 0.0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Notification:
    """One change to be sent. `began_at`: when the condition was first seen."""

    key: str
    kind: Kind
    change: Change
    began_at: float
    facts: Facts
    more: int = 0
    """Dead letters since the last message."""
    hold: HoldHead | None = None

    @property
    def lasted_s(self) -> float:
        return max(0.0, self.facts.now - self.began_at)


def advance(state: Notified, facts: Facts) -> tuple[Notified, tuple[Notification, ...]]:
    """Return the next state and the messages between the two. What must wait leaves the state as it is."""
    conditions, messages = dict(state.conditions), []
    hour_at, sent = state.hour_at, state.sent
    if not _is_recent(hour_at, facts.now, _HOUR_S):
        hour_at, sent = facts.now, 0
    seen = dict(_seen(facts))
    for key in [*seen, *(key for key in conditions if key not in seen)]:
        before = conditions.get(key)
        found = _step(key, before, seen.get(key), facts)
        if found is None:
            continue
        after, message = found
        if message is not None:
            if sent >= MAX_PER_HOUR:
                continue
            sent += 1
            messages.append(message)
        conditions[key] = after
    kept = {key: one for key, one in conditions.items() if one.active or _is_recent(one.notified_at, facts.now)}
    if kept == state.conditions and not messages:
        return state, ()
    return Notified(kept, hour_at, sent), tuple(messages)


def undelivered(state: Notified, message: Notification) -> Notified:
    """Return the state in which no receiver took a message: it is repeated later, if the condition still holds."""
    one = state.conditions.get(message.key)
    if one is None or message.change is Change.ENDED or one.notified_at != message.facts.now:
        return state
    return replace(state, conditions={**state.conditions, message.key: replace(one, delivered=False)})


def read_notified(text: str | None) -> Notified:
    """Read the text of `to_text`. What cannot be read counts as never notified."""
    whole = json_value(text or "{}")
    try:
        found = {key: _read(one) for key, one in whole["conditions"].items()}  # type: ignore[index]
        return Notified(found, float(whole["hour_at"]), int(whole["sent"]))  # type: ignore[index]
    except (AttributeError, KeyError, TypeError, ValueError):
        return Notified()


def _read(one: Mapping[str, Any]) -> Condition:
    """Read one condition; fields of a newer version are left out."""
    known = {field.name: one[field.name] for field in fields(Condition) if field.name in one}
    return Condition(**{**known, "kind": Kind(one["kind"])})


def to_text(state: Notified) -> str:
    """Return the state as JSON."""
    return json.dumps(asdict(replace(state, conditions=dict(state.conditions))), separators=(",", ":"))


@dataclass(slots=True)
class Progress:
    """How long nothing was settled although IDs were due and no pause held. One reaper's, over its own observations."""

    _settled: int = -1
    _since: float = 0.0

    def idle_s(self, facts: Facts) -> float:
        """Return for how long that has been so, seconds; 0 where the queue is not known."""
        stats = facts.stats
        settled = self._settled if stats is None else sum(stats.settled.values())
        if stats is None or not stats.ready or facts.pauses or settled != self._settled or facts.now < self._since:
            self._settled, self._since = settled, facts.now
        return facts.now - self._since


def _step(
    key: str, before: Condition | None, count: int | None, facts: Facts
) -> tuple[Condition, Notification | None] | None:
    """Return what becomes of one condition, and its message; None: nothing. `count` None: it is not seen."""
    now = facts.now
    if count is None:
        if before is None or not before.active or not _is_over(key, before, facts):
            return None
        if _is_recent(before.notified_at, now, MIN_LASTING_S):
            return None
        over = replace(before, active=False)
        return over, _message(key, before, Change.ENDED, facts) if before.delivered else None
    kind = kind_of(key)
    if before is None or not before.active:
        if before is not None and _is_recent(before.notified_at, now, _gap_s(kind)):
            return None
        begun = Condition(kind, True, now, now, count)
        return begun, _message(key, begun, Change.BEGAN, facts)
    if not before.delivered:
        if _is_recent(before.notified_at, now, REPEAT_S):
            return None
        again = replace(before, notified_at=now, count=count, delivered=True)
        return again, _message(key, again, Change.BEGAN, facts)
    if kind is Kind.DEAD and count < before.count:  # an earlier copy of the ledger was put in place
        return replace(before, count=count), None
    if kind is Kind.DEAD and count > before.count and not _is_recent(before.notified_at, now, DEAD_REPEAT_S):
        grown = replace(before, notified_at=now, count=count)
        return grown, _message(key, grown, Change.GREW, facts, more=count - before.count)
    return None


def _seen(facts: Facts) -> Iterator[tuple[str, int]]:
    """Yield the key of each condition that is seen, and its count."""
    reasons = {pause.reason for pause in facts.pauses}
    for kind, reason in _PAUSES.items():
        if reason in reasons:
            yield kind.value, 0
    for hold in facts.holds or ():
        if hold.fate is HoldState.OPEN and facts.now < hold.expires_at:
            yield f"{Kind.HOLD}:{hold.id}", 0
    if facts.stats is not None:
        if facts.stats.dead:
            yield Kind.DEAD.value, ever_dead(facts.stats)
        if facts.stats.imbalance:
            yield Kind.IMBALANCE.value, facts.stats.imbalance
        if facts.idle_s >= STALL_S:
            yield Kind.STALL.value, sum(facts.stats.settled.values())
    for name in facts.stuck:
        yield f"{Kind.STALL}:{name}", 0


def _is_over(key: str, before: Condition, facts: Facts) -> bool:
    """Return whether a condition that is not seen is known to be over."""
    stats = facts.stats
    match before.kind:
        case Kind.CREDENTIALS | Kind.WRONG_TARGET:
            return facts.is_proven
        case Kind.HOLD:
            return facts.holds is not None
        case Kind.DEAD | Kind.IMBALANCE:
            return stats is not None
        case Kind.STALL:
            name = key.partition(":")[2]
            if name:
                return name == facts.reporter or bool(facts.alive and name not in facts.alive)
            return stats is not None and (not stats.ready or sum(stats.settled.values()) != before.count)
        case _ as never:
            assert_never(never)


def ever_dead(stats: Stats) -> int:
    """Return how many rounds ever ended dead."""
    return sum(stats.settled.get(outcome, 0) for outcome in DEAD)


def kind_of(key: str) -> Kind:
    """Return the kind of a condition by its key."""
    return Kind(key.partition(":")[0])


def _gap_s(kind: Kind) -> float:
    return DEAD_REPEAT_S if kind is Kind.DEAD else REPEAT_S


def _message(key: str, one: Condition, change: Change, facts: Facts, *, more: int = 0) -> Notification:
    hold = next((hold for hold in facts.holds or () if key == f"{Kind.HOLD}:{hold.id}"), None)
    return Notification(key, one.kind, change, one.began_at, facts, more, hold)


def _is_recent(at: float, now: float, within_s: float = _HOUR_S) -> bool:
    """Return whether something happened less than so long ago, by a clock that may have been set back since."""
    return -_BACK_S <= now - at < within_s

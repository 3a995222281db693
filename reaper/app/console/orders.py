"""The orders that can be given on the web page: each with what it needs, chooses and changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from reaper.app.operator_input import clean_reason, session_ids
from reaper.app.operator_orders import decide_hold, pause_queue, resume_queue
from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.holds import HoldState
from reaper.core.errors import RefusedError, UsageError
from reaper.core.model import DEAD, Outcome, SessionId
from reaper.core.times import format_time, parse_duration, parse_time
from reaper.intake.discovery.held_sweeps import holds_of
from reaper.queues.base import Queue
from reaper.queues.selection import Selection
from reaper.queues.values import CancelResult, PostponeResult
from reaper.queues.where import FIELDS, Where, where_of


@dataclass(frozen=True, slots=True)
class Terms:
    """What the body of an act says."""

    KEYS: ClassVar = frozenset({"ids", "where", "count", "reason", "dry_run", "hold", "for", "after", "at"})

    ids: tuple[SessionId, ...] = ()
    where: Where | None = None
    what: str = ""
    """What the chosen IDs have in common, for the record."""
    count: int | None = None
    reason: str = ""
    dry_run: bool = False
    hold: str = ""
    for_s: float | None = None
    after_s: float | None = None
    at: float | None = None

    @classmethod
    def of(cls, order: Order, body: Mapping[str, object]) -> Terms:
        """Read the body of an order. Raises UsageError or ValueError, which say what is wrong with it."""
        if odd := sorted(body.keys() - (order.keys | {"reason", "count", "dry_run"})):
            raise UsageError(f"{order.name} has no {odd[0]!a}; it takes {', '.join(sorted(order.keys))}, reason, count")
        ids = _texts(body, "ids")
        where = body.get("where")
        if "ids" in order.keys and (ids is None) == (where is None):
            raise UsageError(f"{order.name} needs ids or where, and not both")
        count, dry_run = body.get("count"), body.get("dry_run", False)
        if count is not None and type(count) is not int:
            raise UsageError("count is a whole number")
        if type(dry_run) is not bool:
            raise UsageError("dry_run is true or false")
        reason, for_, after, at = (_text(body, name) for name in ("reason", "for", "after", "at"))
        if order.needs_reason and not dry_run and reason is None:
            raise UsageError(f"{order.name} needs a reason")
        if order.name == "postpone" and (after is None) == (at is None):
            raise UsageError("postpone needs after, as 30m, or at, as 2030-01-31T12:00:00Z, and not both")
        fields = None if where is None else _fields(where)
        return cls(
            ids=tuple(session_ids(ids or ())),
            where=None if fields is None else order.narrowed(where_of(fields)),
            what="" if fields is None else ", ".join(f"{name} {value}" for name, value in fields.items()) or "all",
            count=count,
            reason=clean_reason(reason) if reason else "",
            dry_run=dry_run,
            hold=_text(body, "hold") or "",
            for_s=None if not for_ else parse_duration(for_),
            after_s=None if after is None else parse_duration(after),
            at=None if at is None else parse_time(at),
        )


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{name} is a text")
    return value


def _texts(body: Mapping[str, object], name: str) -> list[str] | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, list) and value and all(isinstance(each, str) for each in value)):
        raise UsageError(f"{name} is a list of texts, at least one")
    return value


def _fields(where: object) -> dict[str, str]:
    if not isinstance(where, dict) or not all(isinstance(value, str) for value in where.values()):
        raise UsageError("where is an object with texts")
    if odd := sorted(where.keys() - set(FIELDS)):
        raise UsageError(f"where has no {odd[0]!a}; it takes {', '.join(FIELDS)}")
    return where


Choose = Callable[[Queue, Terms], AsyncIterator[SessionId]]
Change = Callable[[Queue, Sequence[SessionId], Terms, str], Awaitable[int]]


async def _nothing_to_count(queue: Queue, terms: Terms) -> tuple[int, str]:
    return 0, ""


async def _changes_nothing(queue: Queue, ids: Sequence[SessionId], terms: Terms, by: str) -> int:
    return 0


async def _no_result(queue: Queue, terms: Terms, by: str) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class Order:
    """One order: of IDs (`choose` and `change`), or of the queue or a hold (`count` and `carry_out`)."""

    name: str
    command: str
    """The verb of the command line that does the same."""
    keys: frozenset[str]
    needs_reason: bool = False
    choose: Choose | None = None
    change: Change = _changes_nothing
    of_dead: bool = False
    count: Callable[[Queue, Terms], Awaitable[tuple[int, str]]] = _nothing_to_count
    """Returns how many sessions it touches, and what they are, for the record."""
    carry_out: Callable[[Queue, Terms, str], Awaitable[Mapping[str, object]]] = _no_result

    def narrowed(self, where: Where) -> Where:
        """Return the conditions without rows that the order does not touch: open ones, or the dead letters.

        Raises UsageError where none are left.
        """
        found = where.selection
        kept: Selection = replace(found, states=frozenset()) if self.of_dead else replace(found, outcomes=frozenset())
        if not kept.states and not kept.outcomes:
            raise UsageError(f"{self.name} touches {'dead letters' if self.of_dead else 'open IDs'} alone")
        return replace(where, selection=kept)


async def _choose_dead(queue: Queue, terms: Terms) -> AsyncIterator[SessionId]:
    async for session_id in _chosen(queue, terms, lambda outcome: outcome in DEAD):
        yield session_id


async def _choose_open(queue: Queue, terms: Terms) -> AsyncIterator[SessionId]:
    async for session_id in _chosen(queue, terms, lambda outcome: outcome is None):
        yield session_id


async def _chosen(queue: Queue, terms: Terms, fits: Callable[[Outcome | None], bool]) -> AsyncIterator[SessionId]:
    """Yield the IDs that were named and fit now, or those that meet the conditions."""
    if terms.where is None:
        outcomes = await queue.outcomes_of(terms.ids)
        for session_id in terms.ids:
            if session_id in outcomes and fits(outcomes[session_id]):
                yield session_id
        return
    async for item in terms.where.rows(queue):
        yield item.session_id


async def _retry(queue: Queue, ids: Sequence[SessionId], terms: Terms, by: str) -> int:
    return await queue.reopen(ids, reason=terms.reason or "dead retry", by=by)


async def _purge(queue: Queue, ids: Sequence[SessionId], terms: Terms, by: str) -> int:
    return await queue.purge(ids)


async def _cancel(queue: Queue, ids: Sequence[SessionId], terms: Terms, by: str) -> int:
    done = (CancelResult.DONE, CancelResult.REQUESTED)
    return sum(one in done for one in (await queue.cancel(ids, reason=terms.reason, by=by)).values())


async def _postpone(queue: Queue, ids: Sequence[SessionId], terms: Terms, by: str) -> int:
    results = await queue.postpone(ids, after_s=terms.after_s or 0.0, at=terms.at, by=by, reason=terms.reason)
    return sum(one is PostponeResult.DONE for one in results.values())


async def _held(queue: Queue, terms: Terms, fate: HoldState) -> tuple[int, str]:
    """Count a hold that is open, or decided so already: what was cut off between decision and queue is repeated."""
    hold = next((one for one in await holds_of(queue) if one.id == terms.hold), None)
    if hold is None:
        raise RefusedError("there is no such hold; see: reaper holds")
    if hold.fate not in (HoldState.OPEN, fate):
        raise RefusedError(f"hold {hold.id} was {hold.fate.value}" + (f" by {hold.by}" if hold.by else ""))
    return len(hold.sessions), f"hold {hold.id}"


async def _approve(queue: Queue, terms: Terms, by: str) -> Mapping[str, object]:
    decided = await decide_hold(queue, core_holds.approve, terms.hold, by=by, why=terms.reason or None)
    return {
        "hold": decided.hold.id,
        "chosen": len(decided.hold.sessions),
        "changed": decided.added.accepted if decided.added else 0,
    }


async def _discard(queue: Queue, terms: Terms, by: str) -> Mapping[str, object]:
    decided = await decide_hold(queue, core_holds.discard, terms.hold, by=by, why=terms.reason or None)
    return {"hold": decided.hold.id, "chosen": len(decided.hold.sessions), "changed": 0}


async def _pause(queue: Queue, terms: Terms, by: str) -> Mapping[str, object]:
    if terms.for_s == 0:
        raise UsageError("for must be longer than 0; to end a pause: resume")
    until = await pause_queue(queue, terms.reason, terms.for_s, by=by)
    return {"paused": True, "until": None if until is None else format_time(until)}


async def _resume(queue: Queue, terms: Terms, by: str) -> Mapping[str, object]:
    held = await resume_queue(queue)
    return {"paused": False, "was_paused": held is not None}


_OF_IDS = frozenset({"ids", "where"})
_OF_HOLDS = frozenset({"hold"})

ORDERS = {
    order.name: order
    for order in (
        Order("retry", "dead retry", _OF_IDS, choose=_choose_dead, change=_retry, of_dead=True),
        Order("purge", "dead purge", _OF_IDS, choose=_choose_dead, change=_purge, of_dead=True),
        Order("cancel", "cancel", _OF_IDS, needs_reason=True, choose=_choose_open, change=_cancel),
        Order("postpone", "postpone", _OF_IDS | {"after", "at"}, choose=_choose_open, change=_postpone),
        Order("approve", "approve", _OF_HOLDS, count=partial(_held, fate=HoldState.APPROVED), carry_out=_approve),
        Order("discard", "discard", _OF_HOLDS, count=partial(_held, fate=HoldState.DISCARDED), carry_out=_discard),
        Order("pause", "pause", frozenset({"for"}), needs_reason=True, carry_out=_pause),
        Order("resume", "resume", frozenset(), carry_out=_resume),
    )
}

"""Tells the story of one session ID from its row: its events in the order of time, and what to do next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reaper.core.error_body import readable_detail
from reaper.core.model import CHECK_FAILED, Item, Outcome, Pause, PauseReason, Send, State, WorkerHeartbeat
from reaper.core.owners import place_of, random_part
from reaper.core.text import pluralize, sanitize
from reaper.core.words import OUTCOME_WORDS, clock_time
from reaper.queues.accounting import POSTPONED

MAX_FACT_CHARS = 1_000
"""Longer than any reason, source or error that reaper records: facts are wrapped where they are shown, not cut."""
_CHANGE = "To send it now: reaper postpone {id} --after 0; never: reaper cancel {id} --reason TEXT"
NEXT = {
    State.READY: "nothing to do: reaper sends it when its turn comes. If it does not: reaper status",
    State.SCHEDULED: f"nothing to do: reaper sends it when it is due. {_CHANGE}",
    State.RETRYING: f"nothing to do: reaper sends it again when it is due. {_CHANGE}",
    State.IN_FLIGHT: "nothing to do: reaper waits for the reply",
}
NEXT_WITHOUT_REAPER = {
    State.READY: "no reaper works on this queue: the next run takes it at once: reaper run, or reaper once",
    State.SCHEDULED: f"no reaper works on this queue: the next run after that time sends it. {_CHANGE}",
    State.RETRYING: f"no reaper works on this queue: the next run after that time sends it. {_CHANGE}",
    State.IN_FLIGHT: "no reaper sends a heartbeat: if the one that sent it is dead, the next run after that time "
    "sends it again: reaper run, or reaper once",
}
NEXT_SETTLED = {
    Outcome.STOPPED: "nothing to do",
    Outcome.ALREADY_GONE: "nothing to do",
    Outcome.FORBIDDEN: "the token may not stop it. With a token that may: reaper dead retry {id}; to delete it: "
    "reaper dead purge {id}",
    Outcome.REJECTED: "the API rejected the request; its reply says why. When that is fixed: reaper dead retry {id}; "
    "to delete it: reaper dead purge {id}",
    Outcome.EXHAUSTED: "it failed retry.max_attempts times. When the API works again: reaper dead retry {id}; "
    "to delete it: reaper dead purge {id}",
    Outcome.PROTECTED: "protect.* or the preflight check spared it, and nothing was sent. To stop it anyway, change "
    "the rule that protects it, then: reaper add {id} --again",
    Outcome.CANCELLED: "an operator cancelled it. To stop it after all: reaper add {id} --again",
}

PASSING = frozenset({PauseReason.OPERATOR, PauseReason.THROTTLED})
"""Pauses of a heartbeat that do not count here: the operator's is the queue's, and 429 lasts for moments."""
NOT_KEPT = "the sends of earlier rounds are in the log alone"


class Event(NamedTuple):
    """One event: its instant, its name, its facts in one line."""

    at: float
    what: str
    facts: str


def story(item: Item, now: float, workers: Sequence[WorkerHeartbeat]) -> list[Event]:
    """Return the events of an ID in the order of time. `workers`: the live ones of its queue."""
    return [Event(*event) for event in sorted(_events(item, now, workers), key=lambda event: event[0])]


def pause_of_all(operator: Pause | None, workers: Sequence[WorkerHeartbeat]) -> Pause | None:
    """Return a pause that holds up the whole queue: the operator's, or one of reapers that are all paused."""
    held = [[one for one in worker.pauses if one.reason not in PASSING] for worker in workers]
    return operator or (held[0][0] if held and all(held) else None)


def next_step(item: Item, *, has_worker: bool, paused: Pause | None = None) -> str:
    """Return what to do next about an ID. `paused`: a pause that holds up the whole queue."""
    if paused is not None and item.state is State.READY:
        return f"the queue is paused ({paused.reason.value}): it is sent when that ends; see: reaper status"
    open_words = NEXT if has_worker else NEXT_WITHOUT_REAPER
    text = NEXT_SETTLED[item.outcome] if item.outcome else open_words[item.state]
    return text.format(id=item.session_id)


def _events(item: Item, now: float, workers: Sequence[WorkerHeartbeat]) -> Iterator[tuple[float, str, str]]:
    later, postponed = item.round > 1, _postponed(item)
    added = [
        f"from {_whole(item.source)}",
        f"re-opened later (round {item.round}) {'' if postponed else _operator(item)}".rstrip() if later else "",
        NOT_KEPT if later else "",
    ]
    yield item.added_at, "added", _joined(*added)
    if older := item.sends - len(item.history) - (item.state is State.IN_FLIGHT):
        yield item.added_at, "…", _earlier(older, item.unanswered)
    for number, send in enumerate(item.history, max(1, item.sends - len(item.history) + 1)):
        yield (
            send.at,
            f"send {number}",
            _joined(_answer(send), f"request {_whole(send.request_id)}" if send.request_id else ""),
        )
    charged = f"{item.attempts} of {item.sends} sends were charged to it" if item.sends > 1 else ""
    match item.state:
        case State.SETTLED:
            who = _operator(item) if item.outcome is Outcome.CANCELLED else ""
            word = OUTCOME_WORDS[item.outcome] if item.outcome else "settled"
            yield item.settled_at or now, word, _joined(readable_detail(item.detail or ""), who, charged)
        case State.IN_FLIGHT:
            again = f"if that process ends, it is sent again after {clock_time(item.due_at)}"
            yield now, "in flight", _joined(_holder(item.owner or "", workers), again)
        case State.READY | State.SCHEDULED | State.RETRYING:
            lost = pluralize(item.unanswered, "send has", "sends have") if item.unanswered else ""
            lost = f"{lost} no recorded reply: the process ended before it" if lost else ""
            yield item.due_at, "due again" if item.sends else "due", _joined(lost, charged, postponed)


def _answer(send: Send) -> str:
    took = f"{send.duration_s:.3f} s"
    if send.is_check:
        why = _whole(send.error or "").removeprefix(CHECK_FAILED)
        return f"no DELETE: the check before it failed after {took}: {why}"
    return f"{send.status} after {took}" if send.status else f"no answer after {took}: {_whole(send.error or '?')}"


def _earlier(sends: int, unanswered: int) -> str:
    """Return what is known of sends without details: they are no longer kept, or a kill let none be recorded."""
    earlier = pluralize(sends, "earlier send", "earlier sends")
    if unanswered >= sends:
        return f"{earlier} without a recorded reply: the process ended before it"
    dead = f"{unanswered} of them got no reply because their process ended" if unanswered else ""
    return _joined(f"{earlier}, whose details are no longer kept", dead)


def _joined(*facts: str) -> str:
    return "; ".join(filter(None, facts))


def _operator(item: Item) -> str:
    why = f": {_whole(item.reason)}" if item.reason else ""
    return f"by {item.by}{why}" if item.by else ""


def _postponed(item: Item) -> str:
    """Return who postponed an ID, and why; an empty text when the last order was none of that kind."""
    reason = item.reason or ""
    if not reason.startswith(POSTPONED):
        return ""
    return f"{POSTPONED} by {item.by}{_whole(reason.removeprefix(POSTPONED))}"


def _holder(owner: str, workers: Sequence[WorkerHeartbeat]) -> str:
    """Return the reaper that holds a lease, in words; a receipt has the random part of its name alone."""
    for worker in workers:
        if random_part(worker.owner) == random_part(owner):
            return f"sent by reaper {worker.place}"
    place = place_of(owner)
    return f"sent by reaper {place}, which sends no heartbeat" if place else "sent by a reaper that sends no heartbeat"


def _whole(text: str) -> str:
    return sanitize(text, MAX_FACT_CHARS)

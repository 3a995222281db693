"""The words for outcomes, states, instants and answers of an item: one set for the command line and the page. Pure."""

from __future__ import annotations

from reaper.core.model import DEAD, Item, Outcome, State
from reaper.core.text import format_duration, sanitize
from reaper.core.times import to_datetime

OUTCOME_WORDS = {outcome: outcome.value.replace("_", " ") for outcome in Outcome}
DEAD_LETTERS = "dead"
ARGUMENT = "argument"
"""The source of an ID that stands on the command line."""
NOW_S = 0.5
"""What is due sooner is due now: a duration in words has whole seconds."""


def clock_time(at: float) -> str:
    """Return an instant for a person to read: UTC, to the second."""
    return to_datetime(at).strftime("%Y-%m-%d %H:%M:%SZ")


def describe_state(item: Item, now: float) -> str:
    """Return an item's state in words: `scheduled, due in 3 h 58 m`, `in flight`, `stopped, 2 m ago`."""
    match item.state:
        case State.IN_FLIGHT:
            return "in flight"
        case State.SETTLED:
            word = OUTCOME_WORDS[item.outcome] if item.outcome else "settled"
            return f"{word}, {format_duration(now - item.settled_at)} ago" if item.settled_at else word
        case State.SCHEDULED | State.RETRYING:
            return f"{item.state}, due {due_words(item, now)}"
        case State.READY:
            return "ready, due now"


def line_place(source: str, line: object) -> str:
    """Return where a line of an input stands, as compilers and editors write it: `ids.txt:6`; or `argument 3`."""
    return f"{source} {line}" if source == ARGUMENT else f"{source}:{line}"


def state_word(item: Item) -> str:
    """Return an item's state as a list shows it: `in flight`, `dead`."""
    return DEAD_LETTERS if item.outcome in DEAD else item.state.replace("_", " ")


def due_words(item: Item, now: float) -> str:
    """Return when an item is due: `in 3 m`, `12 s ago`, `now`; `-` where it is not due any more."""
    match item.state:
        case State.IN_FLIGHT | State.SETTLED:
            return "-"
        case State.READY:
            return f"{format_duration(now - item.due_at)} ago" if now - item.due_at >= 1 else "now"
        case State.SCHEDULED | State.RETRYING:
            return f"in {format_duration(item.due_at - now)}" if item.due_at - now >= NOW_S else "now"


def last_answer(item: Item, now: float) -> str:
    """Return the answer to an item's last send: `502, 3 s ago`; `-` where there is none."""
    if not item.history:
        return "-"
    send = item.history[-1]
    return f"{send.status or sanitize(send.error or '?')}, {format_duration(now - send.at)} ago"

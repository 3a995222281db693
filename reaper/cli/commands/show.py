"""`reaper show`: the history of one session ID, its state, and what to do next."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress

from reaper.app.operator_input import session_ids
from reaper.cli.context import open_reading
from reaper.cli.output import OUTCOME_WORDS, clock_time, describe_state, emit_json, emit_wrapped, say
from reaper.core.discovery import holds as core_holds
from reaper.core.errors import Exit
from reaper.core.model import Item, Outcome, Send, SessionId, State
from reaper.core.text import sanitize
from reaper.core.times import format_time
from reaper.queues.base import ValuePort
from reaper.settings.load import Loaded

NEXT = {
    State.READY: "nothing to do: reaper sends it when its turn comes. If it does not: reaper status",
    State.DELAYED: "nothing to do: reaper sends it when it is due. To send it now: reaper postpone {id} --after 0; "
    "never: reaper cancel {id} --reason TEXT",
    State.IN_FLIGHT: "nothing to do: reaper waits for the reply",
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


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a session ID")


async def run(args: argparse.Namespace, settings: Loaded) -> int:
    (session_id,) = session_ids([args.id])
    async with open_reading(settings) as queue:
        item, now = await queue.show(session_id), queue.now()
        held = await _held(queue, session_id) if item is None else None
    if item is None:
        say(f"{session_id} is unknown here: it was never added, or was pruned or purged")
        if held is not None:
            say(f"a guard holds the sweep that chose it as {held}; see: reaper holds")
        else:
            say(f"if the API lists it, reaper sessions prints its verdict; to stop it: reaper add {session_id}")
        return Exit.DEAD
    if args.json:
        emit_json(item_json(item))
    else:
        print_history(history(item, now))
    return Exit.OK


async def _held(queue: ValuePort, session_id: SessionId) -> str | None:
    """Return the rule that chose a session and the open hold it is in, None where it is in none."""
    with suppress(ValueError):
        for hold in core_holds.open_holds(core_holds.read_holds(await queue.read_value(core_holds.KEY)), queue.now()):
            if session_id in hold.sessions:
                return f"{hold.sessions[session_id].value} (hold {hold.id})"
    return None


def item_json(item: Item) -> dict[str, object]:
    """Return the document of `show --json`."""
    data: dict[str, object] = {
        "session_id": item.session_id,
        "state": item.state.value,
        "outcome": item.outcome.value if item.outcome else None,
        "source": item.source,
        "added_at": format_time(item.added_at),
        "due_at": format_time(item.due_at),
        "round": item.round,
        "sends": [_send_json(send) for send in item.history],
    }
    optional = {"detail": item.detail, "by": item.by, "reason": item.reason}
    if item.settled_at is not None:
        data["settled_at"] = format_time(item.settled_at)
    return data | {name: value for name, value in optional.items() if value is not None}


def _send_json(send: Send) -> dict[str, object]:
    return {
        "at": format_time(send.at),
        "status": send.status,
        "error": send.error,
        "duration_s": round(send.duration_s, 4),
        "request_id": send.request_id,
    }


def history(item: Item, now: float) -> str:
    """Return the events of an ID in the order of time, and what to do next."""
    lines = [f"{item.session_id}: {describe_state(item, now)}", ""]
    for at, what, facts in sorted(_events(item, now), key=lambda event: event[0]):
        lines.append(f"  {clock_time(at)}  {what:<12}  {facts}".rstrip())
    lines += ["", f"-> {_next(item)}"]
    return "\n".join(lines)


def print_history(lines: str) -> None:
    """Print a history; on a narrow terminal an event's lines align with its facts, what to do next with the left."""
    events, _, to_do = lines.rpartition("\n")
    emit_wrapped(events, " " * 38)
    emit_wrapped(to_do, "   ")


def _events(item: Item, now: float) -> Iterator[tuple[float, str, str]]:
    """Yield each event: its instant, its name, its facts."""
    later = item.round > 1
    added = [
        f"from {sanitize(item.source)}",
        f"this is round {item.round}" if later else "",
        _operator(item) if later else "",
    ]
    yield item.added_at, "added", _joined(*added)
    if older := item.sends - len(item.history) - (item.state is State.IN_FLIGHT):
        dead = f"{item.unanswered} of them got no reply because their process ended" if item.unanswered else ""
        yield item.added_at, "…", _joined(f"{older} earlier sends, whose details are no longer kept", dead)
    for number, send in enumerate(item.history, max(1, item.sends - len(item.history) + 1)):
        took = f"{send.duration_s:.3f} s"
        answer = (
            f"{send.status} after {took}" if send.status else f"no answer after {took}: {sanitize(send.error or '?')}"
        )
        yield (
            send.at,
            f"send {number}",
            _joined(answer, f"request {sanitize(send.request_id)}" if send.request_id else ""),
        )
    charged = f"{item.attempts} of {item.sends} sends were charged to it" if item.sends > 1 else ""
    match item.state:
        case State.SETTLED:
            who = _operator(item) if item.outcome is Outcome.CANCELLED else ""
            word = OUTCOME_WORDS[item.outcome] if item.outcome else "settled"
            yield item.settled_at or now, word, _joined(sanitize(item.detail or ""), who, charged)
        case State.IN_FLIGHT:
            yield now, "in flight", f"if its process ends, it is sent again after {clock_time(item.due_at)}"
        case State.READY | State.DELAYED:
            yield item.due_at, "due again" if item.sends else "due", charged


def _joined(*facts: str) -> str:
    return "; ".join(filter(None, facts))


def _operator(item: Item) -> str:
    why = f": {sanitize(item.reason)}" if item.reason else ""
    return f"by {item.by}{why}" if item.by else ""


def _next(item: Item) -> str:
    text = NEXT_SETTLED[item.outcome] if item.outcome else NEXT.get(item.state, "nothing to do")
    return text.format(id=item.session_id)

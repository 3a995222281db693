"""`reaper show`: one session ID's story in the order of time, how it stands, and what to do next."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress

from reaper.app.operator_input import session_ids
from reaper.cli.context import loaded, open_reading, run_async
from reaper.cli.output import OUTCOME_WORDS, clock_time, describe_state, emit_json, emit_wrapped, say, shown
from reaper.core.discovery import holds as core_holds
from reaper.core.errors import Exit
from reaper.core.model import Item, Outcome, Send, SessionId, State
from reaper.core.times import format_time
from reaper.queues.base import ValuePort
from reaper.settings.load import Loaded

NEXT = {
    State.READY: "nothing to do: it is sent when its turn comes. If nothing moves: reaper status",
    State.DELAYED: "nothing to do: it is sent when it is due. Sooner: reaper postpone {id} --after 0; never: "
    "reaper cancel {id} --reason TEXT",
    State.IN_FLIGHT: "nothing to do: its answer is awaited",
}
NEXT_SETTLED = {
    Outcome.STOPPED: "nothing to do",
    Outcome.ALREADY_GONE: "nothing to do",
    Outcome.FORBIDDEN: "the token may not stop it. With a token that may: reaper dead retry {id}; to forget it: "
    "reaper dead purge {id}",
    Outcome.REJECTED: "the API does not take the request; its answer says why. When that is mended: reaper dead retry "
    "{id}; to forget it: reaper dead purge {id}",
    Outcome.EXHAUSTED: "it failed as often as retry.max_attempts allows. When the API stops it again: reaper dead "
    "retry {id}; to forget it: reaper dead purge {id}",
    Outcome.PROTECTED: "protect.* or the last look spared it, and nothing was sent. To stop it all the same, change "
    "what protects it, then: reaper add {id} --again",
    Outcome.CANCELLED: "an operator took it out. To stop it after all: reaper add {id} --again",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a session ID")


def run(args: argparse.Namespace) -> int:
    return run_async(_show, args, loaded(args), session_ids([args.id])[0])


async def _show(args: argparse.Namespace, settings: Loaded, session_id: SessionId) -> int:
    async with open_reading(settings) as queue:
        item, now = await queue.show(session_id), queue.now()
        held = await _held(queue, session_id) if item is None else None
    if item is None:
        say(f"{session_id} is unknown here: it was never added, or was pruned or purged")
        if held is not None:
            say(f"a guard holds the sweep that chose it as {held}; see: reaper holds")
        else:
            say(
                f"what discovery says of a session that is listed: reaper sessions; to stop it: reaper add {session_id}"
            )
        return Exit.DEAD
    if args.json:
        emit_json(item_json(item))
    else:
        tell(story(item, now))
    return Exit.OK


async def _held(queue: ValuePort, session_id: SessionId) -> str | None:
    """Return the rule and the hold of a session that waits in one, in words."""
    with suppress(ValueError):
        for hold in core_holds.open_holds(core_holds.read_holds(await queue.read_value(core_holds.KEY)), queue.now()):
            if session_id in hold.sessions:
                return f"{hold.sessions[session_id].value} (hold {hold.id})"
    return None


def item_json(item: Item) -> dict[str, object]:
    """Return it as SPEC 3 has it."""
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
    told = {"detail": item.detail, "by": item.by, "reason": item.reason}
    if item.settled_at is not None:
        data["settled_at"] = format_time(item.settled_at)
    return data | {name: value for name, value in told.items() if value is not None}


def _send_json(send: Send) -> dict[str, object]:
    return {
        "at": format_time(send.at),
        "status": send.status,
        "error": send.error,
        "duration_s": round(send.duration_s, 4),
        "request_id": send.request_id,
    }


def story(item: Item, now: float) -> str:
    """Return what happened to an ID, in the order of time, and what to do next."""
    lines = [f"{item.session_id}: {describe_state(item, now)}", ""]
    for at, what, facts in sorted(_events(item, now), key=lambda event: event[0]):
        lines.append(f"  {clock_time(at)}  {what:<12}  {facts}".rstrip())
    lines += ["", f"-> {_next(item)}"]
    return "\n".join(lines)


def tell(lines: str) -> None:
    """Print a story: on a narrow terminal what happened goes on below its facts, what to do next at the left."""
    happened, _, to_do = lines.rpartition("\n")
    emit_wrapped(happened, " " * 38)
    emit_wrapped(to_do, "   ")


def _events(item: Item, now: float) -> Iterator[tuple[float, str, str]]:
    """Yield when, what, and its facts."""
    later = item.round > 1
    added = [f"from {shown(item.source)}", f"this is round {item.round}" if later else "", _who(item) if later else ""]
    yield item.added_at, "added", _joined(*added)
    if older := item.sends - len(item.history) - (item.state is State.IN_FLIGHT):
        dead = f"{item.unanswered} of them had no answer: their process ended" if item.unanswered else ""
        yield item.added_at, "…", _joined(f"{older} sends of which no more is kept", dead)
    for number, send in enumerate(item.history, max(1, item.sends - len(item.history) + 1)):
        took = f"{send.duration_s:.3f} s"
        answer = f"{send.status} after {took}" if send.status else f"no answer after {took}: {shown(send.error or '?')}"
        yield send.at, f"send {number}", _joined(answer, f"request {shown(send.request_id)}" if send.request_id else "")
    charged = f"{item.attempts} of {item.sends} sends were charged to it" if item.sends > 1 else ""
    match item.state:
        case State.SETTLED:
            who = _who(item) if item.outcome is Outcome.CANCELLED else ""
            word = OUTCOME_WORDS[item.outcome] if item.outcome else "settled"
            yield item.settled_at or now, word, _joined(shown(item.detail or ""), who, charged)
        case State.IN_FLIGHT:
            yield now, "in flight", f"if its process ends, it is sent again after {clock_time(item.due_at)}"
        case State.READY | State.DELAYED:
            yield item.due_at, "due again" if item.sends else "due", charged


def _joined(*facts: str) -> str:
    return "; ".join(filter(None, facts))


def _who(item: Item) -> str:
    why = f": {shown(item.reason)}" if item.reason else ""
    return f"by {item.by}{why}" if item.by else ""


def _next(item: Item) -> str:
    text = NEXT_SETTLED[item.outcome] if item.outcome else NEXT.get(item.state, "nothing to do")
    return text.format(id=item.session_id)

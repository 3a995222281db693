"""`reaper show`: the history of session IDs, their state, and what to do next."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress

from reaper.app.operator_input import session_ids
from reaper.cli.commands.ledger import end_with_unknown
from reaper.cli.context import open_reading
from reaper.cli.output import emit, emit_json, flush, say
from reaper.cli.wrap import columns
from reaper.core.discovery import holds as core_holds
from reaper.core.error_body import readable_detail
from reaper.core.model import MAX_HISTORY, Item, Pause, Send, SessionId, WorkerHeartbeat
from reaper.core.text import wrap
from reaper.core.times import format_time
from reaper.core.words import clock_time, describe_state
from reaper.queues.base import ValuePort
from reaper.queues.story import next_step, pause_of_all, story
from reaper.settings.load import Loaded

ROOMY = 76
"""From this width in columns on, an event has its facts beside its name."""
BELOW = " " * 6


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="+", metavar="ID", help="a session ID")
    parser.epilog = (
        f"Shows the present round of an ID, with the last {MAX_HISTORY} of its sends. When an ID is re-opened, a new "
        "round begins: the sends before it are in the log alone."
    )


async def run(args: argparse.Namespace, settings: Loaded) -> int:
    ids = session_ids(args.ids)
    unknown: list[SessionId] = []
    shown = 0
    async with open_reading(settings) as queue:
        workers = await queue.live_workers()
        paused = pause_of_all(await queue.paused(), workers)
        for session_id in ids:
            item, now = await queue.show(session_id), queue.now()
            if item is None:
                _say_unknown(session_id, await _held(queue, session_id))
                unknown.append(session_id)
                continue
            if args.json:
                emit_json(item_json(item))
            else:
                if shown:
                    emit("")
                emit(history(item, now, workers, paused, width=columns(sys.stdout)), "   ")
            shown += 1
            flush()
    return end_with_unknown(unknown, "unknown here")


def _say_unknown(session_id: SessionId, held: str | None) -> None:
    say(f"{session_id} is unknown here: it was never added, or was pruned or purged")
    if held is not None:
        say(f"a guard holds the sweep that chose it as {held}; see: reaper holds")
    else:
        say(f"if the API lists it, reaper sessions prints its verdict; to stop it: reaper add {session_id}")


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
        "sends": [send_json(send) for send in item.history],
    }
    optional = {"detail": item.detail and readable_detail(item.detail), "by": item.by, "reason": item.reason}
    if item.settled_at is not None:
        data["settled_at"] = format_time(item.settled_at)
    return data | {name: value for name, value in optional.items() if value is not None}


def send_json(send: Send) -> dict[str, object]:
    return {
        "at": format_time(send.at),
        "status": send.status,
        "error": send.error,
        "duration_s": round(send.duration_s, 4),
        "request_id": send.request_id,
    }


def history(
    item: Item, now: float, workers: Sequence[WorkerHeartbeat], paused: Pause | None = None, *, width: int | None = None
) -> str:
    """Return the events of an ID in the order of time, and what to do next.

    `workers`: the live ones of its queue. `paused`: as of `next_step`. `width`: of the terminal; an event's later lines
    align with its facts, which stand below its name on a narrow one.
    """
    lines = [f"{item.session_id}: {describe_state(item, now)}", ""]
    for at, what, facts in story(item, now, workers):
        head = f"  {clock_time(at)}  {what:<12}"
        if width is None:
            lines.append(f"{head}  {facts}".rstrip())
        elif width >= ROOMY:
            lines.append(wrap(f"{head}  {facts}", width, " " * (len(head) + 2)).rstrip())
        else:
            lines += [head.rstrip(), *([wrap(f"{BELOW}{facts}", width, BELOW)] if facts else [])]
    lines += ["", f"-> {next_step(item, has_worker=bool(workers), paused=paused)}"]
    return "\n".join(lines)

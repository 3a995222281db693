"""`postpone`, `cancel`, `pause`, `resume`: an operator's changes to IDs and to the queue."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable

from reaper.app.operator_input import clean_reason, operator_name, session_ids
from reaper.cli.arguments import duration
from reaper.cli.context import loaded, open_writing, run_async
from reaper.cli.output import clock_time, emit, emit_json
from reaper.core.errors import Exit, UsageError
from reaper.core.model import Pause, PauseReason, SessionId
from reaper.core.text import format_duration
from reaper.core.times import format_time
from reaper.queues.base import OperatorPort
from reaper.queues.values import CancelResult, PostponeResult
from reaper.settings.load import Loaded

UNKNOWN = "unknown here: it was never added, or it was pruned or purged"
SETTLED = "settled already; see: reaper show {id}"


def configure_postpone(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="+", metavar="ID", help="a waiting session ID")
    parser.add_argument(
        "--after", type=duration, required=True, metavar="TIME", help="due after this time, as 30m or 1h30m; 0 is now"
    )


async def run_postpone(args: argparse.Namespace, settings: Loaded) -> int:
    words = {
        PostponeResult.DONE: f"due in {format_duration(args.after)}" if args.after else "due now",
        PostponeResult.IN_FLIGHT: "refused: its DELETE is in flight",
        PostponeResult.SETTLED: SETTLED,
        PostponeResult.UNKNOWN: UNKNOWN,
    }

    async def change(queue: OperatorPort, session_id: SessionId) -> tuple[str, str, bool]:
        result = await queue.postpone(session_id, args.after)
        return result.value, words[result], result is PostponeResult.DONE

    return await _each(settings, session_ids(args.ids), change, as_json=args.json)


def configure_cancel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="+", metavar="ID", help="an open session ID")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="the reason; `show` prints it")


async def run_cancel(args: argparse.Namespace, settings: Loaded) -> int:
    ids, reason = session_ids(args.ids), clean_reason(args.reason)
    words = {
        CancelResult.DONE: "cancelled: reaper sends nothing more for it",
        CancelResult.REQUESTED: "in flight: cancelled unless the reply to its DELETE is final",
        CancelResult.SETTLED: SETTLED,
        CancelResult.UNKNOWN: UNKNOWN,
    }

    async def change(queue: OperatorPort, session_id: SessionId) -> tuple[str, str, bool]:
        result = await queue.cancel(session_id, reason=reason, by=operator_name())
        return result.value, words[result], result in (CancelResult.DONE, CancelResult.REQUESTED)

    return await _each(settings, ids, change, as_json=args.json)


Change = Callable[[OperatorPort, SessionId], Awaitable[tuple[str, str, bool]]]


async def _each(settings: Loaded, ids: list[SessionId], change: Change, *, as_json: bool) -> int:
    """Change each ID and print a line for it; return 3 when any was refused."""
    refused = False
    async with open_writing(settings, create=False) as queue:
        for session_id in ids:
            result, words, done = await change(queue, session_id)
            refused |= not done
            if as_json:
                emit_json({"session_id": session_id, "result": result})
            else:
                emit(f"{session_id}: {words.format(id=session_id)}")
    return Exit.DEAD if refused else Exit.OK


def configure_pause(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--for", dest="for_s", type=duration, metavar="TIME", help="end it after this time, as 30m")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="the reason; `status` prints it")


def run_pause(args: argparse.Namespace) -> int:
    if args.for_s == 0:
        raise UsageError("--for must be longer than 0; to end a pause: reaper resume")
    return run_async(_pause, args, loaded(args), clean_reason(args.reason))


async def _pause(args: argparse.Namespace, settings: Loaded, reason: str) -> int:
    async with open_writing(settings) as queue:
        now = queue.now()
        until = None if args.for_s is None else now + args.for_s
        await queue.pause(Pause(PauseReason.OPERATOR, now, f"{reason} ({operator_name()})", until))
    if args.json:
        emit_json({"paused": True, "until": format_time(until) if until else None})
    else:
        end = f"until {clock_time(until)}" if until else "until: reaper resume"
        emit(f"paused {end}; reaper sends nothing new, what is in flight ends")
    return Exit.OK


def configure_resume(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Ends the operator's pause. Automatic pauses end by themselves when their reason is gone."


async def run_resume(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_writing(settings, create=False) as queue:
        held, now = await queue.paused(), queue.now()
        await queue.pause(None)
    if args.json:
        emit_json({"paused": False, "was_paused": held is not None})
    else:
        emit(f"resumed after {format_duration(now - held.since)}" if held else "there was no operator's pause")
    return Exit.OK


COMMANDS = {
    "postpone": (configure_postpone, run_postpone),
    "cancel": (configure_cancel, run_cancel),
    "pause": (configure_pause, run_pause),
    "resume": (configure_resume, run_resume),
}

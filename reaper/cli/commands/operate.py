"""`pause`, `resume`: an operator's switch for the whole queue."""

from __future__ import annotations

import argparse

from reaper.app.operator_input import clean_reason, operator_name
from reaper.app.operator_orders import pause_queue, resume_queue
from reaper.cli.arguments import duration
from reaper.cli.context import loaded, open_writing, run_async
from reaper.cli.output import emit, emit_json
from reaper.core.errors import Exit, UsageError
from reaper.core.text import format_duration
from reaper.core.times import format_time
from reaper.core.words import clock_time
from reaper.settings.load import Loaded


def configure_pause(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="for_s",
        type=duration,
        metavar="TIME",
        help="end it after this time, as 30m (default: not before `reaper resume`)",
    )
    parser.add_argument("--reason", required=True, metavar="TEXT", help="required: the reason; `status` prints it")


def run_pause(args: argparse.Namespace) -> int:
    if args.for_s == 0:
        raise UsageError("--for must be longer than 0; to end a pause: reaper resume")
    return run_async(_pause, args, loaded(args), clean_reason(args.reason))


async def _pause(args: argparse.Namespace, settings: Loaded, reason: str) -> int:
    async with open_writing(settings) as queue:
        until = await pause_queue(queue, reason, args.for_s, by=operator_name())
    if args.json:
        emit_json({"paused": True, "until": format_time(until) if until else None})
    else:
        start, end = (f"paused until {clock_time(until)}", "to end it earlier") if until else ("paused", "to end it")
        emit(f"{start}: nothing new is sent, and what is in flight is finished; {end}: reaper resume")
    return Exit.OK


def configure_resume(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Automatic pauses end by themselves when their reason is gone."


async def run_resume(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_writing(settings, create=False) as queue:
        held, now = await resume_queue(queue), queue.now()
    if args.json:
        emit_json({"paused": False, "was_paused": held is not None})
    else:
        emit(f"resumed after {format_duration(now - held.since)}" if held else "there was no operator's pause")
    return Exit.OK


COMMANDS = {
    "pause": (configure_pause, run_pause),
    "resume": (configure_resume, run_resume),
}

"""`reaper check`: the first steps of `run` without a trace, one line each. Sends no DELETE."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from reaper.app.check.examine import Acceptance, examine
from reaper.app.check.line import Line, verdict_of
from reaper.app.descriptors import raise_limit
from reaper.cli.context import loaded, open_writing, run_async
from reaper.cli.output import emit, emit_json
from reaper.cli.wrap import columns
from reaper.core.errors import Exit, UsageError
from reaper.settings.load import Loaded

ROOMY = 60
"""From this width in columns on, a line's text stands beside its subject."""
BELOW = " " * 6


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-target",
        "--accept-account",
        dest="accept",
        action="store_true",
        help="pin the queue to this address and the account of this token, instead of those pinned before",
    )
    parser.add_argument(
        "--yes", action="store_true", help="accept an address that does not answer, or that api.verify forbids to read"
    )
    parser.epilog = "Exit 0 exactly when `reaper run` would start and could stop sessions now; 1 otherwise."


def run(args: argparse.Namespace) -> int:
    if args.yes and not args.accept:
        raise UsageError("--yes belongs to --accept-target")
    settings = loaded(args, warn=False)  # each warning is a line
    raise_limit(settings.settings.worker.concurrency)
    return run_async(_check, args, settings)


async def _check(args: argparse.Namespace, settings: Loaded) -> int:
    acceptance = Acceptance(partial(open_writing, settings), args.yes) if args.accept else None
    lines = await examine(settings, acceptance=acceptance)
    verdict = verdict_of(lines)
    if args.json:
        shown = [line.as_json() for line in lines]
        emit_json({"ok": verdict.stops_sessions, "run": verdict.as_json(), "lines": shown})
    else:
        width = columns(sys.stdout)
        for line in [*lines, verdict.line]:
            emit(*words_of(line, width))
    return Exit.OK if verdict.stops_sessions else Exit.INTERNAL


def words_of(line: Line, width: int | None) -> tuple[str, str]:
    """Return a line in words, and the indent of what is wrapped. On a narrow terminal its text stands below."""
    if width is None or width >= ROOMY:
        return f"{line.word:<4}  {line.subject:<14} {line.text}", " " * 21
    return f"{line.word:<4}  {line.subject}\n{BELOW}{line.text}", BELOW

"""Asks before much is changed at once: a person on a terminal; elsewhere --yes must have said it beforehand."""

from __future__ import annotations

import argparse
import os
import sys

from reaper.cli.failure import INTERRUPTED
from reaper.cli.wrap import wrap_for_terminal
from reaper.core.errors import Exit, ReaperError, UsageError
from reaper.telemetry import logs
from reaper.telemetry.terminal import can_ask

MAX_UNASKED = 20
"""So many IDs are changed without a question."""
UNCHANGED = "nothing was changed"
DRY_RUN = "dry run: "
"""Begins each line that says what would come of an order."""


class DeclinedError(ReaperError):
    """The operator answered no, and nothing was changed."""

    exit_code: int = Exit.WORK_LEFT


class InterruptedAtQuestionError(DeclinedError):
    """The operator pressed Ctrl-C instead of an answer, and nothing was changed."""

    exit_code = INTERRUPTED


def add_question_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a verb that asks."""
    parser.add_argument("--dry-run", action="store_true", help="count what would be changed; change nothing")
    parser.add_argument(
        "-y", "--yes", action="store_true", help=f"do not ask before more than {MAX_UNASKED} IDs are changed"
    )


def confirm(what: str, count: int, *, yes: bool) -> None:
    """Return when `count` IDs may be changed. `what` says it as an order: `cancel 3,000 IDs`.

    Raises DeclinedError when a person says no or presses Ctrl-C, UsageError where nobody can be asked.
    """
    if yes or count <= MAX_UNASKED:
        return
    if not can_ask(sys.stdin, sys.stderr, os.environ) or logs.writes_json():
        raise UsageError(f"{what}? There is no terminal to ask on: say --yes beforehand (--dry-run only counts)")
    sys.stderr.write(wrap_for_terminal(f"reaper: {what}? [y/N]", sys.stderr) + " ")
    sys.stderr.flush()
    answer = ""
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        raise InterruptedAtQuestionError(UNCHANGED) from None
    finally:
        if not answer:  # Ctrl-D or Ctrl-C: nobody ended the line
            sys.stderr.write("\n")
    if answer.strip().lower() not in ("y", "yes"):
        raise DeclinedError(UNCHANGED)

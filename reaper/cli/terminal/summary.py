"""What `once` prints at its end."""

from __future__ import annotations

import logging
import sys

from reaper.app.once import Summary
from reaper.cli.output import OUTCOME_WORDS, say
from reaper.core.errors import Exit
from reaper.core.model import DEAD, Outcome
from reaper.core.text import pluralize


def print_summary(summary: Summary, *, drawn: bool = False, quiet: bool = False, passing: bool = False) -> None:
    """Print it to stdout, and on stderr what should be known beside it.

    `drawn`: as a table in colour where stdout is a terminal. `quiet`: only what somebody must see to. `passing`: the
    ledger ends with this run, so nothing is said of what to do with it.
    """
    if drawn and sys.stdout.isatty():
        from reaper.cli.terminal.summary_table import summary_table

        summary_table(summary, passing=passing)
    else:
        sys.stdout.write(heading(summary) + "\n")
        for word, count in rows(summary):
            sys.stdout.write(f"  {word:<14}{count:>9}\n")
    sys.stdout.flush()
    if summary.why:
        kept = "" if passing else "; what was not stopped stays queued for the next run"
        say(f"left early: {summary.why}{kept}", logging.WARNING)
    elif summary.view.delayed and not quiet:
        words = pluralize(summary.view.delayed, "that is not due yet stays", "that are not due yet stay")
        say(f"{words} queued: run again later, or let `reaper run` wait")
    elif not _total(summary) and summary.exit is Exit.OK and not quiet:
        known = summary.added.accepted or summary.added.duplicate
        came = "what came in is settled or not due yet" if known else "no session ID came in"
        say(f"nothing to do: {came}, and none in the queue is due; see: reaper status")
    if summary.added.invalid:
        lines = pluralize(summary.added.invalid, "line is invalid and was", "lines are invalid and were")
        say(f"{lines} left out; the log says which and why", logging.WARNING)
    if dead := sum(summary.view.settled.get(outcome, 0) for outcome in DEAD) if not passing else 0:
        say(f"{pluralize(dead, 'session', 'sessions')} could not be stopped; see: reaper dead list", logging.WARNING)


def heading(summary: Summary) -> str:
    """Return the first line: how many, how long, and what the input brought."""
    added = summary.added
    return (
        f"{pluralize(_total(summary), 'session', 'sessions')} in {summary.duration_s:.1f} s"
        f" with {pluralize(summary.sends, 'send', 'sends')}"
        f"  ({added.accepted:,} accepted, {added.duplicate:,} duplicate, {added.invalid:,} invalid)"
    )


def _total(summary: Summary) -> int:
    return sum(summary.view.settled.values()) + summary.view.open


def rows(summary: Summary) -> list[tuple[str, int]]:
    """Return what became of them, in words, without what there is none of."""
    view = summary.view
    counted = [(OUTCOME_WORDS[outcome], view.settled.get(outcome, 0)) for outcome in Outcome]
    counted += [("still waiting", view.open - view.delayed), ("delayed", view.delayed)]
    return [(word, count) for word, count in counted if count]

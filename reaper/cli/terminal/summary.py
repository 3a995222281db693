"""Prints the summary of `once` to stdout, and to stderr what needs an operator."""

from __future__ import annotations

import logging
import sys

from reaper.app.once import Summary
from reaper.cli.output import OUTCOME_WORDS, say
from reaper.core.errors import Exit
from reaper.core.model import DEAD, Outcome
from reaper.core.text import pluralize


def print_summary(
    summary: Summary, *, as_table: bool = False, quiet: bool = False, ephemeral_ledger: bool = False
) -> None:
    """Print the summary.

    `as_table`: as a table in colour, where stdout is a terminal. `quiet`: on stderr only problems.
    `ephemeral_ledger`: the ledger is deleted after this run, so no command that reads it is named.
    """
    counted = rows(summary)
    if as_table and sys.stdout.isatty():
        from reaper.cli.terminal.summary_table import summary_table

        summary_table(heading(summary), counted, ephemeral_ledger=ephemeral_ledger)
    else:
        sys.stdout.write(heading(summary) + "\n")
        for word, count in counted:
            sys.stdout.write(f"  {word:<14}{count:>9}\n")
    sys.stdout.flush()
    if summary.why:
        kept = "" if ephemeral_ledger else "; what was not stopped stays queued for the next run"
        say(f"stopped early: {summary.why}{kept}", logging.WARNING)
    elif summary.view.delayed and not quiet:
        words = pluralize(summary.view.delayed, "ID is not due yet and stays", "IDs are not due yet and stay")
        say(f"{words} queued: run again later, or let `reaper run` wait")
    elif not counted and summary.exit is Exit.OK and not quiet:
        known = summary.added.accepted or summary.added.duplicate
        came = "every ID that came in is settled or not due yet" if known else "no session ID came in"
        say(f"nothing to do: {came}, and nothing in the queue is due; see: reaper status")
    if summary.added.invalid:
        lines = pluralize(summary.added.invalid, "line is invalid and was", "lines are invalid and were")
        say(f"{lines} skipped; the log names each with its reason", logging.WARNING)
    if dead := sum(summary.view.settled.get(outcome, 0) for outcome in DEAD) if not ephemeral_ledger else 0:
        say(f"{pluralize(dead, 'session', 'sessions')} could not be stopped; see: reaper dead list", logging.WARNING)


def heading(summary: Summary) -> str:
    """Return the first line: the sessions, the time they took, and the counts of the input."""
    added, total = summary.added, sum(summary.view.settled.values()) + summary.view.open
    return (
        f"{pluralize(total, 'session', 'sessions')} in {summary.duration_s:.1f} s"
        f" with {pluralize(summary.sends, 'send', 'sends')}"
        f"  ({added.accepted:,} accepted, {added.duplicate:,} duplicate, {added.invalid:,} invalid)"
    )


def rows(summary: Summary) -> list[tuple[str, int]]:
    """Return each outcome and each kind of open ID in words, with its count; without those that count 0."""
    view = summary.view
    counted = [(OUTCOME_WORDS[outcome], view.settled.get(outcome, 0)) for outcome in Outcome]
    counted += [("still waiting", view.open - view.delayed), ("delayed", view.delayed)]
    return [(word, count) for word, count in counted if count]

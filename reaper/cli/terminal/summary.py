"""Prints the first sentence of `once`, its summary to stdout, and to stderr what needs an operator."""

from __future__ import annotations

import logging
import sys

from reaper.app.run_summary import Summary
from reaper.cli.output import emit, flush, say
from reaper.cli.terminal.summary_rows import rows
from reaper.cli.wrap import columns
from reaper.core.errors import Exit
from reaper.core.model import DEAD
from reaper.core.text import pluralize
from reaper.queues.values import SetView


def begins(view: SetView, most: int) -> str:
    """Return what a run is about to do with a set, at most so many at once: its total is that of the progress."""
    before, sessions = sum(view.settled.values()), pluralize(view.to_do, "session", "sessions")
    if not before:
        return f"stopping {sessions}, at most {most} at once"
    were = pluralize(before, "was", "were")
    return (
        f"stopping {view.to_do:,} of {pluralize(before + view.to_do, 'session', 'sessions')}, at most {most} at once; "
        f"{were} settled by earlier runs"
    )


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

        summary_table(heading(summary, columns(sys.stdout)), counted, ephemeral_ledger=ephemeral_ledger)
    else:
        emit(heading(summary, columns(sys.stdout)))
        for row in counted:
            before = f" now, {row.earlier:,} by earlier runs" if row.earlier else ""
            fact = f"  {row.fact}" if row.fact else ""
            emit(f"  {row.word:<14}{row.count - row.earlier:>9,}{before}{fact}")
    flush()
    if summary.why:
        kept = "" if ephemeral_ledger else "; what was not stopped stays queued for the next run"
        say(f"stopped early: {summary.why}{kept}", logging.WARNING)
    elif summary.view.scheduled and not quiet:
        words = pluralize(summary.view.scheduled, "ID is not due yet and stays", "IDs are not due yet and stay")
        say(f"{words} queued: run again later, or let `reaper run` wait")
    elif not counted and summary.exit is Exit.OK and not quiet and summary.discovery is None:
        known = summary.added.accepted or summary.added.duplicate
        came = "every ID that came in is settled or not due yet" if known else "no session ID came in"
        say(f"nothing to do: {came}, and nothing in the queue is due; see: reaper status")
    for note in summary.notes:
        say(note, logging.WARNING)
    if summary.added.invalid:
        lines = pluralize(summary.added.invalid, "line is invalid and was", "lines are invalid and were")
        say(f"{lines} skipped; the log names the first of them with their reasons", logging.WARNING)
    if dead := sum(summary.view.settled.get(outcome, 0) for outcome in DEAD) if not ephemeral_ledger else 0:
        say(f"{pluralize(dead, 'session', 'sessions')} could not be stopped; see: reaper dead list", logging.WARNING)


def heading(summary: Summary, width: int | None = None) -> str:
    """Return the first line: the sessions, those settled where some are open, the time, and the counts of the input.

    Several lines where a terminal has no room for one.
    """
    added, settled, still_open = summary.added, sum(summary.view.settled.values()), summary.view.open
    whole = pluralize(settled + still_open, "session", "sessions")
    lines = [f"{f'{settled:,} of {whole}' if still_open else whole} in {summary.duration_s:.1f} s"]
    sends = f"with {pluralize(summary.sends, 'send', 'sends')}"
    if summary.retries:
        sends += f", of them {pluralize(summary.retries, 'retry', 'retries')}"
    came = f" ({added.accepted:,} accepted, {added.duplicate:,} duplicate, {added.invalid:,} invalid)"
    for part in (sends, came):
        if width is None or len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(part.lstrip())
    return "\n".join(lines)

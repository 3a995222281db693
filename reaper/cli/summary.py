"""What `once` prints at its end."""

from __future__ import annotations

import sys

from reaper.cli.common import OUTCOME_WORDS, say
from reaper.core.model import DEAD, Outcome
from reaper.oneshot import Summary


def print_summary(summary: Summary, *, drawn: bool = False) -> None:
    """Print it to stdout, and why work was left to stderr. `drawn`: as a table in colour where stdout is a terminal."""
    if drawn and sys.stdout.isatty():
        from reaper.cli.table import summary_table

        summary_table(summary)
    else:
        sys.stdout.write(heading(summary) + "\n")
        for word, count in rows(summary):
            sys.stdout.write(f"  {word:<14}{count:>9}\n")
    sys.stdout.flush()
    settled = summary.view.settled
    if summary.why:
        say(f"left early: {summary.why}; what was not stopped stays queued for the next run")
    elif summary.view.delayed:
        say(f"{summary.view.delayed} not due yet stay queued: run again later, or let `reaper run` wait for them")
    if any(settled.get(outcome, 0) for outcome in DEAD):
        say("some sessions could not be stopped; see: reaper dead list")


def heading(summary: Summary) -> str:
    """Return the first line: how many, how long, and what the input brought."""
    total = sum(summary.view.settled.values()) + summary.view.open
    added = summary.added
    return (
        f"{total} sessions in {summary.duration_s:.1f} s with {summary.sends} sends"
        f"  ({added.accepted} accepted, {added.duplicate} duplicate, {added.invalid} invalid)"
    )


def rows(summary: Summary) -> list[tuple[str, int]]:
    """Return what became of them, in words, without what there is none of."""
    view = summary.view
    counted = [(OUTCOME_WORDS[outcome], view.settled.get(outcome, 0)) for outcome in Outcome]
    counted += [("still waiting", view.open - view.delayed), ("delayed", view.delayed)]
    return [(word, count) for word, count in counted if count]

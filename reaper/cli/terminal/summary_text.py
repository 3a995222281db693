"""The summary of `once` as text: its first line, and one row for each outcome."""

from __future__ import annotations

from reaper.app.once import Summary
from reaper.cli.output import OUTCOME_WORDS
from reaper.core.model import Outcome
from reaper.core.text import pluralize


def total(summary: Summary) -> int:
    """Return how many IDs the set has, settled or open."""
    return sum(summary.view.settled.values()) + summary.view.open


def heading(summary: Summary) -> str:
    """Return the first line: the sessions, the time they took, and the counts of the input."""
    added = summary.added
    return (
        f"{pluralize(total(summary), 'session', 'sessions')} in {summary.duration_s:.1f} s"
        f" with {pluralize(summary.sends, 'send', 'sends')}"
        f"  ({added.accepted:,} accepted, {added.duplicate:,} duplicate, {added.invalid:,} invalid)"
    )


def rows(summary: Summary) -> list[tuple[str, int]]:
    """Return each outcome and each kind of open ID in words, with its count; without those that count 0."""
    view = summary.view
    counted = [(OUTCOME_WORDS[outcome], view.settled.get(outcome, 0)) for outcome in Outcome]
    counted += [("still waiting", view.open - view.delayed), ("delayed", view.delayed)]
    return [(word, count) for word, count in counted if count]

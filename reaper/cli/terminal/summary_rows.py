"""The counts of a summary in words, as both forms of printing need them."""

from __future__ import annotations

from dataclasses import dataclass

from reaper.app.run_summary import Summary
from reaper.cli.output import next_due
from reaper.core.model import Outcome
from reaper.core.words import OUTCOME_WORDS


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the summary: how many IDs of the set stand so, how many did before this run, and a fact beside them."""

    word: str
    count: int
    earlier: int = 0
    fact: str = ""


def rows(summary: Summary) -> list[Row]:
    """Return each outcome and each kind of open ID in words, with its counts; without those that count 0."""
    view, earlier = summary.view, summary.earlier
    counted = [Row(OUTCOME_WORDS[one], view.settled.get(one, 0), earlier.get(one, 0)) for one in Outcome]
    counted += [
        Row("still waiting", view.to_do - view.retrying),
        Row("retrying", view.retrying, fact=next_due(view.next_retry_at, summary.now)),
        Row("scheduled", view.scheduled, fact=next_due(view.next_scheduled_at, summary.now)),
    ]
    return [row for row in counted if row.count]

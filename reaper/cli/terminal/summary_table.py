"""The summary of `once` as a table in colour, for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reaper.cli.output import OUTCOME_WORDS
from reaper.cli.terminal.live import STYLES
from reaper.core.model import DEAD, Outcome

_OUTCOMES = {word: outcome for outcome, word in OUTCOME_WORDS.items()}


def summary_table(
    heading: str, rows: Sequence[tuple[str, int]], console: Console | None = None, *, ephemeral_ledger: bool = False
) -> None:
    """Print the summary to a console, by default on stdout. `ephemeral_ledger`: without the column of what to do."""
    console = console or Console(file=sys.stdout, force_terminal=True, highlight=False, emoji=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("outcome")
    table.add_column("sessions", justify="right")
    table.add_column("share", justify="right")
    if not ephemeral_ledger:
        table.add_column("what to do")
    total = sum(count for _, count in rows)
    for word, count in rows:
        outcome = _OUTCOMES.get(word)
        style = "yellow" if outcome is None else STYLES[outcome]
        to_do = () if ephemeral_ledger else (_to_do(outcome, word),)
        table.add_row(Text(word, style), f"{count:,}", f"{count / total:.1%}", *to_do)
    console.print(heading)
    if rows:
        console.print(table)


def _to_do(outcome: Outcome | None, word: str) -> str:
    if outcome in DEAD:
        return f"reaper dead list --outcome {outcome.value}"
    if outcome is None:
        return "run again" if word == "still waiting" else "run again when they are due"
    return ""

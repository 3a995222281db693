"""The summary of `once` as a table in colour, for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from reaper.cli.terminal.live import STYLES
from reaper.core.model import DEAD, Outcome
from reaper.core.text import wrap
from reaper.core.words import OUTCOME_WORDS

if TYPE_CHECKING:
    from reaper.cli.terminal.summary_rows import Row

UNBOUNDED = 1_000
_OUTCOMES = {word: outcome for outcome, word in OUTCOME_WORDS.items()}


def summary_table(
    heading: str, rows: Sequence[Row], console: Console | None = None, *, ephemeral_ledger: bool = False
) -> None:
    """Print the summary to a console, by default on stdout. `ephemeral_ledger`: without the column of what to do.

    Where the terminal has no room for it, what to do stands below the table.
    """
    console = console or Console(file=sys.stdout, force_terminal=True, highlight=False, emoji=False, markup=False)
    to_do = [(row.word, _to_do(_OUTCOMES.get(row.word), row)) for row in rows if not ephemeral_ledger]
    advises = any(words for _, words in to_do)
    forms = [(advises, "by earlier runs"), (False, "by earlier runs"), (False, "earlier")]
    tables = [_table(rows, advises=advised, earlier=earlier) for advised, earlier in forms]
    shown = next((n for n, one in enumerate(tables) if _width(console, one) <= console.width), len(forms) - 1)
    console.print(heading)
    if rows:
        console.print(tables[shown])
    if advises and not forms[shown][0]:
        for word, words in to_do:
            if words:
                console.print(Text(wrap(f"{word}: {words}", console.width)))


def _width(console: Console, table: Table) -> int:
    """Return the width of a table with no cell wrapped."""
    return Measurement.get(console, console.options.update(width=UNBOUNDED), table).maximum


def _table(rows: Sequence[Row], *, advises: bool, earlier: str) -> Table:
    """Return the table; `earlier`: the title of what earlier runs did, where they did something."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("outcome")
    has_earlier = any(row.earlier for row in rows)
    for column in ("now", earlier) if has_earlier else ("sessions", "share"):
        table.add_column(column, justify="right")
    if advises:
        table.add_column("what to do")
    total = sum(row.count for row in rows)
    for row in rows:
        outcome = _OUTCOMES.get(row.word)
        style = "yellow" if outcome is None else STYLES[outcome]
        to_do = (_to_do(outcome, row),) if advises else ()
        now = (row.count - row.earlier, f"{row.earlier:,}") if has_earlier else (row.count, _share(row.count, total))
        table.add_row(Text(row.word, style), f"{now[0]:,}", now[1], *to_do)
    return table


def _share(count: int, total: int) -> str:
    """Return the share of a count above 0; only the whole is 100 %."""
    if count < total / 2_000:
        return "<0.1%"
    return f"{count / total:.1%}" if count == total else f"{min(count / total, 0.999):.1%}"


def _to_do(outcome: Outcome | None, row: Row) -> str:
    if outcome in DEAD:
        return f"reaper dead list --outcome {outcome.value}"
    if outcome is None:
        return f"run again; {row.fact}" if row.fact else "run again"
    return ""

"""Lays a table out for the width of a terminal: no line is wrapped, and the most important columns stay whole.

Rows are formatted one by one, so that a table may have any number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reaper.cli.wrap import cells_of, truncate
from reaper.core.text import escaped, wrap

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `rank`: 0 is kept longest. `least`: the characters that are left of a longer text; None: never cut."""

    title: str
    rank: int
    least: int | None = None
    to_right: bool = False
    keeps_end: bool = False
    """A longer text loses its beginning, as a path does."""


class Columns:
    """The widths of the columns: of all where there is no terminal, else of those that find room, the others cut.

    Args:
        columns: from left to right.
        rows: the cells to measure, all or a sample.
        width: of the terminal, characters; None: none.
    """

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int | None) -> None:
        self._columns, self._width = columns, width
        natural = [len(column.title) for column in columns]
        for row in rows:
            natural = [max(known, cells_of(escaped(cell))) for known, cell in zip(natural, row, strict=True)]
        self._widths = natural if width is None else _fitted(columns, natural, width)

    def head(self) -> str:
        """Return the line of the titles."""
        return self.line([column.title for column in self._columns])

    @property
    def left_out(self) -> str:
        """Return the titles of the columns that find no room; "" where all do."""
        return ", ".join(one.title for one, width in zip(self._columns, self._widths, strict=True) if not width)

    def line(self, row: Sequence[str]) -> str:
        """Return the line of one row. A text that was not measured and is not cut moves what is right of it."""
        cells = []
        for column, width, cell in zip(self._columns, self._widths, row, strict=True):
            if not width:
                continue
            text = escaped(cell)
            if column.least is not None and self._width is not None:
                text = truncate(text, width, keeps_end=column.keeps_end)
            blanks = " " * (width - cells_of(text))
            cells.append(blanks + text if column.to_right else text + blanks)
        line = GAP.join(cells).rstrip()
        return line if self._width is None else truncate(line, self._width)


class Stacked:
    """The layout for a narrow terminal: the first columns, whole, and below them what `facts` says of the row."""

    def __init__(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        width: int,
        facts: Callable[[Sequence[str]], str],
    ) -> None:
        self._number, self._width, self._facts = len(columns), width, facts
        self._table = Columns(columns, [row[: self._number] for row in rows], None)

    def head(self) -> str:
        """Return the line of the titles."""
        return self._table.head()

    @property
    def left_out(self) -> str:
        """Return "": what has no room in columns stands below."""
        return ""

    def line(self, row: Sequence[str]) -> str:
        """Return the lines of one row."""
        first, facts = self._table.line(row[: self._number]), escaped(self._facts(row))
        return f"{first}\n{wrap(f'  {facts}', self._width)}" if facts else first


def fits(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Return whether the first cells of all rows fit into these columns, wholly."""
    layout = Columns(columns, [row[: len(columns)] for row in rows], None)
    return all(cells_of(layout.line(row[: len(columns)])) <= width for row in rows)


def _fitted(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    """Return the width of each column, 0 for those that find no room.

    The most important ones come first; what they leave over makes those that were cut wider, in the same order.
    """
    ranked = sorted(range(len(columns)), key=lambda number: columns[number].rank)
    least = [
        whole if columns[n].least is None else min(whole, columns[n].least or 0) for n, whole in enumerate(natural)
    ]
    first, second = ranked[:2]
    widths = [0] * len(columns)
    # A long key leaves room for the next column: single longer ones move what is right of them.
    widths[first] = min(natural[first], max(width - len(GAP) - least[second], 1))
    left = width - widths[first]
    for number in ranked[1:]:
        if least[number] + len(GAP) <= left:
            widths[number] = least[number]
            left -= least[number] + len(GAP)
    for number in ranked:
        if widths[number]:
            more = min(left, natural[number] - widths[number])
            widths[number] += more
            left -= more
    return widths

"""Prints a table whose rows come one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from reaper.cli.output import emit_row

NO_ROOM = "no room for these columns: {}; a wider terminal or --json has them"
MEASURED = 500
"""Rows that are read before the first is printed: they say how wide the columns are."""


class Layout(Protocol):
    """How the rows of a table look, known from its first ones."""

    def head(self) -> str:
        """Return the line of the titles."""

    @property
    def left_out(self) -> str:
        """Return the titles of the columns that found no room, "" where all did."""

    def line(self, row: Sequence[str]) -> str:
        """Return the lines of one row."""


class Rows:
    """Prints rows as they come, a page after the first of them, for there can be millions."""

    def __init__(self, lay_out: Callable[[Sequence[Sequence[str]]], Layout]) -> None:
        self._lay_out = lay_out
        self._first: list[Sequence[str]] = []
        self._layout: Layout | None = None
        self.note = ""
        """What is left out, for the foot of the table."""

    def add(self, row: Sequence[str]) -> None:
        if self._layout is not None:
            emit_row(self._layout.line(row))
            return
        self._first.append(row)
        if len(self._first) == MEASURED:
            self.end()

    def end(self) -> None:
        if self._layout is None and self._first:
            self._layout = self._lay_out(self._first)
            if left_out := self._layout.left_out:
                self.note = NO_ROOM.format(left_out)
            emit_row("\n".join([self._layout.head(), *map(self._layout.line, self._first)]))

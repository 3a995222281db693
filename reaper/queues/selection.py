"""Selections: the rows of a queue that an operator means, and how an engine reads them, a page in memory at a time.

An engine keeps its rows in a few indexes. A *strand* is a range of one index, all of one state, in the order of due
times. Strands that belong together are merged; those groups follow one another in `STATES_IN_ORDER`.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reaper.core.model import Item, Outcome, State

OPEN_STATES = frozenset({State.READY, State.SCHEDULED, State.RETRYING, State.IN_FLIGHT})
PAGE_ROWS = 500
"""Rows that an engine looks at for one page, those included that the source leaves out."""


class ReadLimitError(Exception):
    """A selection has looked at `max_read` rows, and there are more."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that meet every condition given. By default all open ones, which are those that can be cancelled.

    IDs from a file are no part of a selection: show them, and keep those that fit. A caller that changes rows while it
    reads the selection works by their session IDs, which the operator port judges anew; a row that it moves to a later
    due time comes again, as it still fits.
    """

    states: frozenset[State] = OPEN_STATES
    """Open rows in one of these states. `SETTLED` means nothing here: settled rows are named by their outcomes."""
    outcomes: frozenset[Outcome] = frozenset()
    """Settled rows with one of these outcomes, `DEAD` for the dead letters. Not bounded by `due_within_s`."""
    source: str = ""
    """A text that the name of the row's source contains, in the same case. Nothing but a scan can find it."""
    due_within_s: float | None = None
    """Open rows that are ready, in flight, or fall due within so many seconds."""
    settled_since: float | None = None
    """Settled rows that were settled at this instant or later."""
    max_read: int | None = None
    """Rows that are looked at, whether they fit or not: more than so many end the reading with `ReadLimitError`."""

    def fits(self, item: Item, now: float) -> bool:
        """Return whether a row as it was shown at `now` is one of the selection."""
        if self.source not in item.source:
            return False
        if item.state is State.SETTLED:
            since = self.settled_since
            return item.outcome in self.outcomes and (since is None or (item.settled_at or 0.0) >= since)
        is_later = item.state in (State.SCHEDULED, State.RETRYING)
        return item.state in self.states and not (is_later and item.due_at > self.due_until(now))

    def due_until(self, now: float) -> float:
        """Return the last due time that a row may have, infinity where there is no bound."""
        return float("inf") if self.due_within_s is None else now + self.due_within_s


def settled(since: float | None = None, only: frozenset[Outcome] | None = None) -> Selection:
    """Return the selection of settled rows: those since an instant, with one of the outcomes."""
    return Selection(frozenset(), frozenset(Outcome) if only is None else only, settled_since=since)


class Strand(NamedTuple):
    """A range of an index. The engine knows it by `name` and `part`. A settled one has rows of some of `outcomes`."""

    state: State
    name: str
    part: int = 0
    outcomes: frozenset[Outcome] = frozenset()


Groups = Sequence[Sequence[Strand]]
"""All strands of an engine: in flight, ready, due later, settled. The strands of one group are merged."""


def meant(groups: Groups, selection: Selection) -> list[list[Strand]]:
    """Return the strands that may have rows of a selection."""

    def has_rows(strand: Strand) -> bool:
        return bool(strand.outcomes & selection.outcomes) if strand.outcomes else strand.state in selection.states

    return [[strand for strand in group if has_rows(strand)] for group in groups]


Row = tuple[tuple[float, int], Item]
"""A row and its place among the rows of all strands of its group."""


class Page(NamedTuple):
    """Rows of a strand, and where the next page begins.

    `end` is what the engine's `read` gets as `after` for the next page, None when this is the last one.
    """

    rows: Sequence[Row]
    end: Any


Read = Callable[[Strand, Any], Awaitable[Page]]


async def select(groups: Groups, read: Read, max_read: int | None = None) -> AsyncIterator[Item]:
    """Yield the rows of each group, merged by place. `read` returns the page of a strand after an `end`, or the first.

    In memory is one page of each strand of a group. Raises ReadLimitError before the page that follows `max_read` rows.
    """
    looked = 0

    async def bounded(strand: Strand, after: Any) -> Page:
        nonlocal looked
        if max_read is not None and looked >= max_read:
            raise ReadLimitError
        page = await read(strand, after)
        looked += len(page.rows) if page.end is None else PAGE_ROWS
        return page

    for group in groups:
        walks = [_Walk(strand, bounded) for strand in group]
        heads = [(place, number, item) for number, walk in enumerate(walks) for place, item in await walk.next()]
        heapq.heapify(heads)
        while heads:
            _, number, item = heads[0]
            yield item
            following = await walks[number].next()
            if following:
                heapq.heapreplace(heads, (following[0][0], number, following[0][1]))
            else:
                heapq.heappop(heads)


class _Walk:
    """Goes along one strand. No generator: one that is left before its end would have to be closed by the caller."""

    def __init__(self, strand: Strand, read: Read) -> None:
        self._strand, self._read = strand, read
        self._rows: Iterator[Row] = iter(())
        self._end: Any = None
        self._is_last = False

    async def next(self) -> tuple[Row, ...]:
        """Return the next row, an empty tuple when there is none."""
        while (row := next(self._rows, None)) is None:
            if self._is_last:
                return ()
            page = await self._read(self._strand, self._end)
            self._rows, self._end, self._is_last = iter(page.rows), page.end, page.end is None
        return (row,)


async def count(
    groups: Groups, count_one: Callable[[Strand], Awaitable[Iterable[tuple[State | Outcome, int]]]]
) -> dict[State | Outcome, int]:
    """Return how many rows the strands have in each state, settled ones by outcome, without those that have none."""
    counted: dict[State | Outcome, int] = {}
    for group in groups:
        for strand in group:
            for name, number in await count_one(strand):
                if number:
                    counted[name] = counted.get(name, 0) + number
    return counted

"""Selections of rows, read along the sorted sets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from reaper.core.model import Item, Outcome, SessionId, State
from reaper.queues import selection as selections
from reaper.queues.redis import rows
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.scripts import load
from reaper.queues.selection import PAGE_ROWS, Page, Selection, Strand

_SELECT, _COUNT = load("select"), load("count")
_WAITING = ("first", "retry")
GROUPS = (
    (Strand(State.IN_FLIGHT, "lease"),),
    tuple(Strand(State.READY, name) for name in (*_WAITING, "lease")),
    (Strand(State.SCHEDULED, "first"), Strand(State.RETRYING, "retry")),
    tuple(Strand(State.SETTLED, f"out:{outcome}", outcomes=frozenset({outcome})) for outcome in Outcome),
)
_BEYOND = 10**12
"""More than any place: after all rows of a score."""

Place = tuple[str, int]
"""A score, and the place in the order of acceptance."""


@dataclass(slots=True)
class RedisSelection:
    """A selection of an open queue, at one instant by the server's clock."""

    connection: RedisConnection
    selection: Selection
    now: float

    def select(self) -> AsyncIterator[Item]:
        """Yield the rows, a page in memory at a time."""
        return selections.select(selections.meant(GROUPS, self.selection), self._page, self.selection.max_read)

    async def count(self) -> dict[State | Outcome, int]:
        """Count the rows by state and outcome."""
        return await selections.count(selections.meant(GROUPS, self.selection), self._count)

    async def _page(self, strand: Strand, after: Place | None) -> Page:
        end, _, found = await self._look(strand, after, count=False)
        items = (
            (float(at), n, rows.item(SessionId(name), flat, source, self.now)) for name, at, n, flat, source in found
        )
        return Page([((at, n), item) for at, n, item in items if item is not None], end)

    async def _count(self, strand: Strand) -> Iterable[tuple[State | Outcome, int]]:
        if self.selection.source:
            end, number, _ = await self._look(strand, None, count=True)
            while end is not None:
                end, more, _ = await self._look(strand, end, count=True)
                number += more
        else:
            work = self.connection.run(_COUNT, strand.name, *self._range(strand))
            number = await self.connection.run_shielded(work)
        (name,) = strand.outcomes or (strand.state,)
        return [(name, number)]

    async def _look(self, strand: Strand, after: Place | None, *, count: bool) -> tuple[Place | None, int, list[Any]]:
        """Look at the next rows of a strand; return where the page after them begins, how many match, and these."""
        low, high = self._range(strand)
        score, n = after or (low.lstrip("("), _BEYOND if low.startswith("(") else -1)
        work = self.connection.run(_SELECT, strand.name, score, n, high, PAGE_ROWS, self.selection.source, int(count))
        score, n, number, found = await self.connection.run_shielded(work)
        return (score, n) if score else None, number, found

    def _range(self, strand: Strand) -> tuple[str, str]:
        """Return the first and the last score of a strand, as the engine writes them."""
        now = repr(self.now)
        match strand.state:
            case State.READY:
                return "-inf", now
            case State.IN_FLIGHT:
                return f"({now}", "inf"
            case State.SCHEDULED | State.RETRYING:
                return f"({now}", repr(self.selection.due_until(self.now))
            case State.SETTLED:
                since = self.selection.settled_since
                return "-inf" if since is None else repr(since), "inf"

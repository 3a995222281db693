"""Selections of rows, read along the indexes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from reaper.core.model import DEAD, Item, Outcome, State
from reaper.queues import selection as selections
from reaper.queues.selection import PAGE_ROWS, Page, Selection, Strand
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.maintenance import dead_holders
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.rows import parse_item, written_by_us
from reaper.queues.sqlite.schema import statements
from reaper.queues.sqlite.thread import LedgerThread

_ORDERED_BY = {"in_flight": "lease_until", "orphaned": "lease_until", "expired": "lease_until", "settled": "settled_at"}
_SQL = {
    name: statements(
        "selection.sql",
        STRAND=strand,
        AT=_ORDERED_BY.get(name, "due_at"),
        OUTCOME="outcome" if name == "settled" else "NULL",
    )
    for name, strand in statements("strands.sql").items()
}
_OF_HOLDERS = ("in_flight", "orphaned")
_PARTS = (0, 1)
"""A strand of waiting rows has those never sent, or those sent before; a settled one the dead, or the rest."""
GROUPS = (
    (Strand(State.IN_FLIGHT, "in_flight"),),
    (Strand(State.READY, "orphaned"),),
    (
        Strand(State.READY, "expired"),
        *(Strand(State.READY, name, part) for name in ("due_now", "due") for part in _PARTS),
    ),
    tuple(Strand(State.READY, "too_far", part) for part in _PARTS),
    (Strand(State.SCHEDULED, "later", 0), Strand(State.RETRYING, "later", 1)),
    (Strand(State.SETTLED, "settled", 1, DEAD), Strand(State.SETTLED, "settled", 0, frozenset(Outcome) - DEAD)),
)
_FIRST = float("-inf")
_LAST_ID = (1 << 63) - 1


@dataclass(slots=True)
class SqliteSelection:
    """A selection of an open ledger, at one instant."""

    thread: LedgerThread
    locks: Locks
    selection: Selection
    now: float
    steady: float

    @classmethod
    def at_once(cls, thread: LedgerThread, locks: Locks, selection: Selection, clock: LedgerClock) -> SqliteSelection:
        """Return the selection as it is now."""
        return cls(thread, locks, selection, **clock.instants())

    def select(self) -> AsyncIterator[Item]:
        """Yield the rows, a page in memory at a time."""
        return selections.select(selections.meant(GROUPS, self.selection), self._page, self.selection.max_read)

    async def count(self) -> dict[State | Outcome, int]:
        """Count the rows by state and outcome."""
        return await selections.count(selections.meant(GROUPS, self.selection), self._count)

    async def _page(self, strand: Strand, after: tuple[float, int] | None) -> Page:
        def read(connection: sqlite3.Connection) -> list[Any]:
            return connection.execute(_SQL[strand.name]["page"], self._values(connection, strand, after)).fetchall()

        rows = await self.thread.read(read)
        items = [(row[16], parse_item(row, self.now, self.steady, self.locks.is_alive)) for row in rows if row[21]]
        places = [((item.due_at if item.settled_at is None else item.settled_at, id_), item) for id_, item in items]
        is_full = bool(rows) and rows[-1][20] == PAGE_ROWS
        return Page(places, (rows[-1][19], rows[-1][16]) if is_full else None)

    async def _count(self, strand: Strand) -> Iterable[tuple[State | Outcome, int]]:
        def read(connection: sqlite3.Connection) -> list[Any]:
            return connection.execute(_SQL[strand.name]["count"], self._values(connection, strand, None)).fetchall()

        rows = await self.thread.read(read)
        with written_by_us():
            return [(strand.state if outcome is None else Outcome(outcome), number) for outcome, number in rows]

    def _values(
        self, connection: sqlite3.Connection, strand: Strand, after: tuple[float, int] | None
    ) -> dict[str, object]:
        at, row_id = self._start(strand) if after is None else after
        return {
            "part": strand.part,
            "at": at,
            "id": row_id,
            "now": self.now,
            "steady": self.steady,
            "until": self.selection.due_until(self.now),
            "source": self.selection.source,
            "outcomes": json.dumps(sorted(self.selection.outcomes)),
            "limit": PAGE_ROWS,
            "dead": json.dumps(dead_holders(connection, self.locks)) if strand.name in _OF_HOLDERS else "[]",
        }

    def _start(self, strand: Strand) -> tuple[float, int]:
        """Return the place after which a strand begins: a second condition on its column would lead a page astray."""
        match strand.name:
            case "in_flight" | "orphaned":
                return self.steady, _LAST_ID
            case "too_far" | "later":
                return self.now, _LAST_ID
            case "settled" if self.selection.settled_since is not None:
                return self.selection.settled_since, -1
            case _:
                return _FIRST, -1

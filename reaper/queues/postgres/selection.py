"""Selections of rows, read along the indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from reaper.core.model import DEAD, Item, Outcome, State
from reaper.queues import selection as selections
from reaper.queues.postgres import rows
from reaper.queues.postgres.database import Database, Row
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load
from reaper.queues.selection import PAGE_ROWS, Page, Selection, Strand

_OPEN = {"BY": "coalesce(lease_until, due_at)", "OUTCOME": "NULL::text"}
_SETTLED = {"BY": "settled_at", "OUTCOME": "outcome"}
_SQL = {
    name: load("selection.sql", STRAND=strand, **(_SETTLED if name in ("dead", "done") else _OPEN))
    for name, strand in load("strands.sql").items()
}
GROUPS = (
    (Strand(State.IN_FLIGHT, "in_flight"),),
    (Strand(State.READY, "ready_first"), Strand(State.READY, "ready_retry")),
    (Strand(State.SCHEDULED, "later_first"), Strand(State.RETRYING, "later_retry")),
    (Strand(State.SETTLED, "dead", outcomes=DEAD), Strand(State.SETTLED, "done", outcomes=frozenset(Outcome) - DEAD)),
)
_LAST_ID = (1 << 63) - 1


@dataclass(slots=True)
class PostgresSelection:
    """A selection of an open queue, at one instant by the server's clock."""

    database: Database
    selection: Selection
    now: float

    def select(self) -> AsyncIterator[Item]:
        """Yield the rows, a page in memory at a time."""
        return selections.select(selections.meant(GROUPS, self.selection), self._page, self.selection.max_read)

    async def count(self) -> dict[State | Outcome, int]:
        """Count the rows by state and outcome."""
        return await selections.count(selections.meant(GROUPS, self.selection), self._count)

    async def _page(self, strand: Strand, after: tuple[str, int] | None) -> Page:
        params = self.database.params(**self._values(strand, after))

        async def read(connection: Session) -> list[Row]:
            async with connection.pipeline():
                await connection.execute(_SQL[strand.name]["along_the_index"])
                page = await connection.execute(_SQL[strand.name]["page"], params)
            return await page.fetchall()

        found = await self.database.read(read)
        items = [(row[17], rows.item(row)) for row in found if row[19]]
        places = [((item.due_at if item.settled_at is None else item.settled_at, id_), item) for id_, item in items]
        is_full = bool(found) and found[-1][20] == PAGE_ROWS
        return Page(places, (found[-1][21], found[-1][17]) if is_full else None)

    async def _count(self, strand: Strand) -> Iterable[tuple[State | Outcome, int]]:
        found = await self.database.fetch(_SQL[strand.name]["count"], **self._values(strand, None))
        return [(strand.state if outcome is None else Outcome(outcome), number) for outcome, number in found]

    def _values(self, strand: Strand, after: tuple[str, int] | None) -> dict[str, object]:
        begin, row_id = self._start(strand)
        at, row_id = (None, row_id) if after is None else after
        return {
            "at": at,
            "begin": begin,
            "id": row_id,
            "now": self.now,
            "until": self.selection.due_until(self.now),
            "source": rows.clean(self.selection.source),
            "outcomes": [outcome.value for outcome in self.selection.outcomes],
            "limit": PAGE_ROWS,
        }

    def _start(self, strand: Strand) -> tuple[float, int]:
        """Return the place after which a strand begins: a second condition on its column would lead a page astray."""
        if strand.state in (State.SCHEDULED, State.RETRYING):
            return self.now, _LAST_ID
        if strand.state is State.SETTLED and self.selection.settled_since is not None:
            return self.selection.settled_since, -1
        return float("-inf"), -1

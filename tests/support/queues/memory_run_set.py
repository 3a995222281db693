"""The run set of a queue in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from anyio.lowlevel import checkpoint

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import (
    Outcome,
    SessionId,
    State,
)
from reaper.queues.values import SetView
from tests.support.queues.memory_store import Instants, Row, Store, next_due


@dataclass(slots=True, eq=False)
class MemoryRunSet:
    """The IDs that one `once` is responsible for; see `reaper.queues.base.RunSet`."""

    store: Store
    clock: Callable[[], Instants]
    owner: str
    members: set[SessionId] = field(default_factory=set)

    async def include(self, session_ids: Sequence[SessionId]) -> None:
        await self._begin()
        self.members.update(one for one in session_ids if self.store.find(one) is not None)

    async def include_due(self, limit: int | None = None) -> int:
        await self._begin()
        now = self.clock()
        due = [
            row
            for row in self.store.open.values()
            if row.session_id not in self.members and row.state(now) in (State.READY, State.IN_FLIGHT)
        ]
        more = len(due) if limit is None else max(0, limit - len(self.members))
        self.members.update(row.session_id for row in sorted(due, key=lambda row: row.order)[:more])
        return len(self.members)

    async def ids(self) -> AsyncIterator[SessionId]:
        await self._begin()
        for row in sorted(self._rows(), key=lambda row: row.place):
            yield row.session_id

    async def view(self) -> SetView:
        await self._begin()
        now = self.clock()
        rows = list(self._rows())
        states = Counter(row.state(now) for row in rows)
        return SetView(
            ready=states[State.READY],
            scheduled=states[State.SCHEDULED],
            retrying=states[State.RETRYING],
            in_flight=states[State.IN_FLIGHT],
            settled=dict(Counter(row.outcome for row in rows if row.outcome is not None)),
            next_scheduled_at=next_due(rows, State.SCHEDULED, now),
            next_retry_at=next_due(rows, State.RETRYING, now),
        )

    async def settled_before(self, at: float) -> dict[Outcome, int]:
        await self._begin()
        rows = (row for row in self._rows() if row.settled_at is not None and row.settled_at < at)
        return dict(Counter(row.outcome for row in rows if row.outcome is not None))

    async def next_at(self) -> float | None:
        await self._begin()
        now = self.clock()
        rows = [row for row in self._rows() if row.outcome is None and (row.sends > 0 or row.is_due(now))]
        return min((row.at(now) for row in rows), default=None)

    async def _begin(self) -> None:
        await checkpoint()
        if self.store.away:
            raise QueueUnavailableError("the engine cannot be reached")

    def _rows(self) -> Iterator[Row]:
        return (row for row in map(self.store.find, self.members) if row is not None)

"""Takes batches of IDs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reaper.core.model import REAPER, Outcome, SessionId
from reaper.queues.accounting import POSTPONED
from reaper.queues.base import PositionStore, RunSet
from reaper.queues.redis import rows
from reaper.queues.redis.connection import RedisConnection, Value
from reaper.queues.redis.run_sets import KEPT_S, own_key
from reaper.queues.redis.scripts import load
from reaper.queues.values import Added, Batch, Position, reopenable

_ADD = load("add")


@dataclass(slots=True, eq=False)
class RedisIntake:
    """The intake port of one open queue."""

    connection: RedisConnection
    store: PositionStore
    now: Callable[[], float]

    async def add(
        self,
        batch: Batch,
        *,
        again: bool | frozenset[Outcome] = False,
        or_postpone: bool = False,
        by: str | None = None,
        default_after_s: float = 0.0,
        into: RunSet | None = None,
    ) -> Added:
        self.connection.refuse_read_only()
        now = self.now()
        values: list[Value] = [
            f",{','.join(sorted(reopenable(again)))},",
            int(or_postpone),
            by or "",
            REAPER,
            POSTPONED,
            max(0.0, default_after_s),
            own_key(self.connection, into),
            KEPT_S,
            batch.source,
            len(batch.invalid),
            *(rows.invalid(batch.source, line, now) for line in batch.invalid),
        ]
        for new in batch.items:
            values += (new.session_id, "" if new.due_at is None else repr(new.due_at))
        return await self.connection.run_shielded(self._add(batch, values))

    async def _add(self, batch: Batch, values: Sequence[Value]) -> Added:
        accepted, duplicate, postponed, *names = await self.connection.run(_ADD, *values)
        if batch.position is not None:
            await self.store.save(batch.position)  # after the rows: a crash in between reads some lines twice
        return Added(accepted, duplicate, len(batch.invalid), tuple(map(SessionId, names)), postponed)

    async def positions(self) -> list[Position]:
        return await self.connection.run_shielded(self.store.positions())

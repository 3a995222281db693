"""Takes batches of IDs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reaper.core.model import Outcome, SessionId
from reaper.queues.accounting import POSTPONED
from reaper.queues.base import PositionStore, RunSet
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.rows import clean
from reaper.queues.postgres.run_sets import PostgresRunSet, own_set
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load
from reaper.queues.values import MAX_INVALID_KEPT, Added, Batch, InvalidLine, Position, reopenable

DUPLICATES_NAMED = 100
_SQL = load("intake.sql")


@dataclass(slots=True, eq=False)
class PostgresIntake:
    """The intake port of one open queue."""

    database: Database
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
        run_set = own_set(self.database, into)
        if run_set is not None:
            await run_set.register()
        first: dict[SessionId, float | None] = {}
        for item in batch.items:
            first.setdefault(item.session_id, item.due_at)
        params = self.database.params(
            ids=list(first),
            dues=list(first.values()),
            source=clean(batch.source),
            later_s=max(0.0, default_after_s),
            again=[outcome.value for outcome in reopenable(again)],
            or_postpone=or_postpone,
            reason=POSTPONED,
            by=None if by is None else clean(by),
            all=len(batch.items),
            invalid=len(batch.invalid),
        )
        taken, moved = await self.database.write(lambda connection: _add(connection, params, batch.invalid, run_set))
        if batch.position is not None:
            await self.store.save(batch.position)
        accepted, postponed = len(taken), len(moved)
        duplicates = _duplicates(batch, taken | moved)
        return Added(
            accepted=accepted,
            duplicate=len(duplicates),
            invalid=len(batch.invalid),
            duplicates=tuple(duplicates[:DUPLICATES_NAMED]),
            postponed=postponed,
        )

    async def positions(self) -> list[Position]:
        return await self.store.positions()


async def _add(
    connection: Session, params: dict[str, Any], invalid: Sequence[InvalidLine], run_set: PostgresRunSet | None
) -> tuple[set[str], set[str]]:
    """Take a batch in, in one transaction; return the IDs whose round began, and those that were postponed."""
    async with connection.pipeline():
        added = await connection.execute(_SQL["add"], params)
        if invalid:
            lines = {
                "lines": [line.line for line in invalid],
                "reasons": [clean(line.reason) for line in invalid],
                "texts": [clean(line.text) for line in invalid],
            }
            await connection.execute(_SQL["keep_invalid"], params | lines)
            await connection.execute(_SQL["drop_old_invalid"], {"kept": MAX_INVALID_KEPT})
        into = None if run_set is None else params | {"set_id": run_set.set_id}
        members = None if into is None else await connection.execute(_SQL["add_members"], into)
    if run_set is not None and members is not None:
        run_set.size += members.rowcount
    ((taken, moved),) = await added.fetchall()
    return set(taken), set(moved)


def _duplicates(batch: Batch, taken: set[str]) -> list[SessionId]:
    """Return the IDs that changed nothing: known before, unless re-opened now, and repetitions within the batch."""
    named = []
    for item in batch.items:
        if item.session_id in taken:
            taken.remove(item.session_id)
        else:
            named.append(item.session_id)
    return named

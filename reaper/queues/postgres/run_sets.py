"""Run sets: row IDs in a table, under a name of the process's own. A queue that only reads keeps them in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from reaper.core.model import Outcome, SessionId
from reaper.queues.base import RunSet
from reaper.queues.postgres.database import Database, Row, fetch
from reaper.queues.postgres.owners import Owner
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load
from reaper.queues.values import SetView

PAGE = 1_000
_IN_TABLE = load("run_sets.sql", MEMBERS="(SELECT id FROM reaper_member WHERE set_id = %(set_id)s)")
_IN_MEMORY = load("run_sets.sql", MEMBERS="(SELECT unnest(%(ids)s::bigint[]) AS id)")


@dataclass(slots=True, eq=False)
class PostgresRunSet:
    """The IDs that one `once` is responsible for; see `reaper.queues.base.RunSet`."""

    set_id: str
    database: Database
    owner: Owner
    size: int = 0
    _is_registered: bool = False
    _ids: list[int] = field(default_factory=list)

    async def register(self) -> None:
        """Make the set known as its owner's, so that it ends with the owner."""
        self.database.refuse_read_only()
        await self.owner.register()
        if not self._is_registered:
            await self.database.change(_IN_TABLE["register"], set_id=self.set_id, owner=self.owner.name)
            self._is_registered = True

    async def include(self, session_ids: Sequence[SessionId]) -> None:
        await self.register()
        params = self._params(session_ids=list(session_ids))

        async def include(connection: Session) -> None:
            self.size += (await connection.execute(_IN_TABLE["include"], params)).rowcount

        await self.database.write(include)

    async def include_due(self, limit: int | None = None) -> int:
        if not self.database.read_only:
            await self.register()

        async def include(connection: Session) -> int:
            params = self._params(more=None if limit is None else max(0, limit - self.size))
            if self.database.read_only:
                self._ids += [row[0] for row in await fetch(connection, _IN_MEMORY["due"], params)]
                self.size = len(self._ids)
            else:
                self.size += (await connection.execute(_IN_TABLE["include_due"], params)).rowcount
            return self.size

        return await (self.database.read(include) if self.database.read_only else self.database.write(include))

    async def ids(self) -> AsyncIterator[SessionId]:
        after = -1
        while True:
            page = await self._fetch("ids", after=after, page=PAGE)
            for _, session_id in page:
                yield SessionId(session_id)
            if len(page) < PAGE:
                return
            after = page[-1][0]

    async def view(self) -> SetView:
        ((counts, next_at),) = await self._fetch("view")
        return SetView.of_counts(counts, next_at)

    async def settled_before(self, at: float) -> dict[Outcome, int]:
        return {Outcome(outcome): number for outcome, number in await self._fetch("settled_before", at=at)}

    async def next_at(self) -> float | None:
        ((at,),) = await self._fetch("next_at")
        return None if at is None else float(at)

    async def _fetch(self, name: str, **values: object) -> list[Row]:
        query = (_IN_MEMORY if self.database.read_only else _IN_TABLE)[name]
        return await self.database.fetch(query, **self._params(**values))

    def _params(self, **values: object) -> dict[str, object]:
        return self.database.params(set_id=self.set_id, ids=self._ids, **values)


def own_set(database: Database, run_set: RunSet | None) -> PostgresRunSet | None:
    """Return a run set as one of this queue. Raises TypeError for a set that another queue made."""
    if run_set is not None and (not isinstance(run_set, PostgresRunSet) or run_set.database is not database):
        raise TypeError("a run set belongs to the queue that made it")
    return run_set

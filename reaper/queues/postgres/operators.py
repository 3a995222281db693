"""Changes what is queued, on an operator's order: one statement each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from reaper.core.model import Pause, SessionId
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.rows import clean
from reaper.queues.postgres.statements import load
from reaper.queues.values import CancelResult, PostponeResult

_SQL = load("operators.sql")
_POSTPONED = {None: PostponeResult.UNKNOWN, "waiting": PostponeResult.DONE, "in_flight": PostponeResult.IN_FLIGHT}
_CANCELLED = {None: CancelResult.UNKNOWN, "waiting": CancelResult.DONE, "in_flight": CancelResult.REQUESTED}


@dataclass(slots=True, eq=False)
class PostgresOperators:
    """The operators' port of one open queue."""

    database: Database
    now: Callable[[], float]

    async def postpone(self, session_id: SessionId, after_s: float) -> PostponeResult:
        state = await self.database.change(_SQL["postpone"], session_id=clean(session_id), after_s=max(0.0, after_s))
        return _POSTPONED.get(state, PostponeResult.SETTLED)

    async def make_due(self, *, retries: bool) -> int:
        return int(await self.database.change(_SQL["make_due"], retries=retries))

    async def cancel(self, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
        state = await self.database.change(
            _SQL["cancel"], session_id=clean(session_id), reason=clean(reason), by=clean(by)
        )
        return _CANCELLED.get(state, CancelResult.SETTLED)

    async def reopen(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> int:
        ids = [clean(each) for each in session_ids]
        return int(await self.database.change(_SQL["reopen"], ids=ids, reason=clean(reason), by=clean(by)))

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        return int(await self.database.change(_SQL["purge"], ids=[clean(each) for each in session_ids]))

    async def pause(self, pause: Pause | None) -> None:
        if pause is None:
            await self.database.change(_SQL["resume"])
        else:
            text = json.dumps({**asdict(pause), "detail": clean(pause.detail)})
            await self.database.change(_SQL["pause"], pause=text)

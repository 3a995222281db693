"""Changes what is queued, on an operator's order: one statement each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from reaper.core.model import DEAD, Outcome, Pause, SessionId
from reaper.queues.accounting import postponement
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.rows import clean
from reaper.queues.postgres.statements import load
from reaper.queues.values import CancelResult, PostponeResult

_SQL = load("operators.sql")
_POSTPONED = {"waiting": PostponeResult.DONE, "in_flight": PostponeResult.IN_FLIGHT}
_CANCELLED = {"waiting": CancelResult.DONE, "in_flight": CancelResult.REQUESTED}


@dataclass(slots=True, eq=False)
class PostgresOperators:
    """The operators' port of one open queue."""

    database: Database
    now: Callable[[], float]

    async def postpone(
        self,
        session_ids: Sequence[SessionId],
        *,
        after_s: float = 0.0,
        at: float | None = None,
        by: str,
        reason: str = "",
    ) -> dict[SessionId, PostponeResult]:
        states = await self.database.change(
            _SQL["postpone"],
            ids=[clean(each) for each in session_ids],
            after_s=max(0.0, after_s),
            at=at,
            by=clean(by),
            reason=clean(postponement(reason)),
        )
        known = {SessionId(name): _POSTPONED.get(state, PostponeResult.SETTLED) for name, state in states.items()}
        return dict.fromkeys(session_ids, PostponeResult.UNKNOWN) | known

    async def make_due(self, *, retries: bool) -> int:
        return int(await self.database.change(_SQL["make_due"], retries=retries))

    async def cancel(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> dict[SessionId, CancelResult]:
        ids = [clean(each) for each in session_ids]
        states = await self.database.change(_SQL["cancel"], ids=ids, reason=clean(reason), by=clean(by))
        known = {SessionId(name): _CANCELLED.get(state, CancelResult.SETTLED) for name, state in states.items()}
        return dict.fromkeys(session_ids, CancelResult.UNKNOWN) | known

    async def reopen(
        self,
        session_ids: Sequence[SessionId],
        *,
        reason: str,
        by: str,
        only: frozenset[Outcome] = DEAD,
        after_s: float = 0.0,
    ) -> int:
        ids = [clean(each) for each in session_ids]
        chosen = [outcome.value for outcome in only]
        return int(
            await self.database.change(
                _SQL["reopen"], ids=ids, reason=clean(reason), by=clean(by), only=chosen, after_s=after_s
            )
        )

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        return int(await self.database.change(_SQL["purge"], ids=[clean(each) for each in session_ids]))

    async def pause(self, pause: Pause | None) -> None:
        if pause is None:
            await self.database.change(_SQL["resume"])
        else:
            text = json.dumps({**asdict(pause), "detail": clean(pause.detail), "by": clean(pause.by or "") or None})
            await self.database.change(_SQL["pause"], pause=text)

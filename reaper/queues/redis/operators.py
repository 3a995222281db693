"""Changes what is queued, on an operator's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from json import dumps

from reaper.core.model import DEAD, REAPER, Outcome, Pause, SessionId
from reaper.queues.accounting import POSTPONED, postponement
from reaper.queues.base import MAX_CHANGED
from reaper.queues.redis.connection import RedisConnection, Value
from reaper.queues.redis.scripts import Script, load
from reaper.queues.values import CancelResult, PostponeResult

_DEAD = f",{','.join(sorted(DEAD))},"
_POSTPONE, _CANCEL, _MAKE_DUE = load("postpone"), load("cancel"), load("make_due")
_REOPEN, _PURGE = load("reopen"), load("purge")


@dataclass(slots=True, eq=False)
class RedisOperators:
    """The operators' port of one open queue."""

    connection: RedisConnection
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
        values = (max(0.0, after_s), "" if at is None else at, by, postponement(reason), REAPER, POSTPONED)
        states = await self._results(_POSTPONE, values, session_ids)
        return {session_id: PostponeResult(state) for session_id, state in states}

    async def make_due(self, *, retries: bool) -> int:
        self.connection.refuse_read_only()
        return await self.connection.run_shielded(self._make_due(retries))

    async def _make_due(self, retries: bool) -> int:
        made = more = await self.connection.run(_MAKE_DUE, int(retries), MAX_CHANGED)
        while more == MAX_CHANGED:
            more = await self.connection.run(_MAKE_DUE, int(retries), MAX_CHANGED)
            made += more
        return int(made)

    async def cancel(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> dict[SessionId, CancelResult]:
        states = await self._results(_CANCEL, (by, reason), session_ids)
        return {session_id: CancelResult(state) for session_id, state in states}

    async def reopen(
        self,
        session_ids: Sequence[SessionId],
        *,
        reason: str,
        by: str,
        only: frozenset[Outcome] = DEAD,
        after_s: float = 0.0,
    ) -> int:
        return await self._change_each(_REOPEN, (by, reason, f",{','.join(sorted(only))},", after_s), session_ids)

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        return await self._change_each(_PURGE, (_DEAD,), session_ids)

    async def pause(self, pause: Pause | None) -> None:
        self.connection.refuse_read_only()
        key = self.connection.key("pause")
        command = ("DEL", key) if pause is None else ("SET", key, dumps(asdict(pause)))
        await self.connection.run_shielded(self.connection.execute(*command))

    async def _results(
        self, script: Script, values: Sequence[Value], session_ids: Sequence[SessionId]
    ) -> Iterable[tuple[SessionId, str]]:
        """Run a script over IDs; return each with its result."""
        self.connection.refuse_read_only()
        ids = list(dict.fromkeys(session_ids))
        results: list[str] = await self.connection.run_shielded(self.connection.run(script, *values, *ids))
        return zip(ids, results, strict=True)

    async def _change_each(self, script: Script, values: Sequence[Value], session_ids: Sequence[SessionId]) -> int:
        self.connection.refuse_read_only()
        ids = list(dict.fromkeys(session_ids))
        return await self.connection.run_shielded(self.connection.run_in_portions(script, values, ids, MAX_CHANGED))

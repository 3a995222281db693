"""Changes what is queued, on an operator's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from json import dumps

from reaper.core.model import DEAD, Pause, SessionId
from reaper.queues.redis.connection import RedisConnection, Value
from reaper.queues.redis.scripts import Script, load
from reaper.queues.values import CancelResult, PostponeResult

PORTION = 1_000
"""Rows that one script changes at most, so that no other waits for long."""
_DEAD = f",{','.join(sorted(DEAD))},"
_POSTPONE, _CANCEL, _MAKE_DUE = load("postpone"), load("cancel"), load("make_due")
_REOPEN, _PURGE = load("reopen"), load("purge")


@dataclass(slots=True, eq=False)
class RedisOperators:
    """The operators' port of one open queue."""

    connection: RedisConnection
    now: Callable[[], float]

    async def postpone(self, session_id: SessionId, after_s: float) -> PostponeResult:
        return PostponeResult(await self._change(_POSTPONE, session_id, max(0.0, after_s)))

    async def make_due(self, *, retries: bool) -> int:
        self.connection.refuse_read_only()
        return await self.connection.run_shielded(self._make_due(retries))

    async def _make_due(self, retries: bool) -> int:
        made = more = await self.connection.run(_MAKE_DUE, int(retries), PORTION)
        while more == PORTION:
            more = await self.connection.run(_MAKE_DUE, int(retries), PORTION)
            made += more
        return int(made)

    async def cancel(self, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
        return CancelResult(await self._change(_CANCEL, session_id, by, reason))

    async def reopen(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> int:
        return await self._change_each(_REOPEN, (by, reason, _DEAD), session_ids)

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        return await self._change_each(_PURGE, (_DEAD,), session_ids)

    async def pause(self, pause: Pause | None) -> None:
        self.connection.refuse_read_only()
        key = self.connection.key("pause")
        command = ("DEL", key) if pause is None else ("SET", key, dumps(asdict(pause)))
        await self.connection.run_shielded(self.connection.execute(*command))

    async def _change(self, script: Script, *values: Value) -> str:
        self.connection.refuse_read_only()
        return str(await self.connection.run_shielded(self.connection.run(script, *values)))

    async def _change_each(self, script: Script, values: Sequence[Value], session_ids: Sequence[SessionId]) -> int:
        self.connection.refuse_read_only()
        ids = list(dict.fromkeys(session_ids))
        return await self.connection.run_shielded(self.connection.run_in_portions(script, values, ids, PORTION))

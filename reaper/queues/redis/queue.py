"""The queue's protocol over scripts; `reaper.queues.redis.open` opens it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from json import dumps

from reaper.core.errors import QueueError
from reaper.core.model import (
    DEAD,
    Audit,
    Item,
    Lease,
    LeaseResult,
    Outcome,
    Pause,
    Release,
    SessionId,
    Stats,
    WorkerHeartbeat,
)
from reaper.queues.base import MAX_RESULTS, PositionStore, RunSet
from reaper.queues.redis import rows as redis_rows
from reaper.queues.redis.apply_log import ApplyPipeline
from reaper.queues.redis.audit import audit, settled, stats
from reaper.queues.redis.connection import RedisConnection, Value
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.run_sets import KEPT_S, SMALL, RedisRunSet
from reaper.queues.redis.scripts import Script, load
from reaper.queues.server_time import ServerTime
from reaper.queues.values import Added, Batch, CancelResult, Position, PostponeResult

PORTION = 1_000
"""Rows that one script changes at most, so that no other waits for long."""
HEARTBEAT_LIFE_S = 20.0
"""After so long without a word from a process, `status` leaves it out."""
_FORGOTTEN_S = 3_600.0
_DEAD = ",".join(sorted(DEAD))
_PRUNED = ",".join(outcome for outcome in Outcome if outcome not in DEAD)

_ADD = load("add")
_CANCEL = load("cancel")
_CLAIM = load("claim")
_COMPARE_AND_SET = load("compare_and_set")
_DEREGISTER = load("deregister")
_HEARTBEAT = load("heartbeat")
_HEARTBEATS = load("heartbeats")
_MAINTAIN = load("maintain")
_MAKE_DUE = load("make_due")
_NEXT_AT = load("next_at")
_OUTCOMES_OF = load("outcomes_of")
_PAUSED = load("paused")
_POSTPONE = load("postpone")
_PURGE = load("purge")
_REOPEN = load("reopen")
_RETRYING = load("retrying")
_SHOW = load("show")


class RedisQueue:
    """One open queue; made by `open_redis`. Without an inbox it is open for reading only."""

    def __init__(
        self, engine: RedisConnection, inbox: Inbox | None, positions: PositionStore, started_at: float
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._positions = positions
        self._owner = secrets.token_hex(8)
        self._started_at = started_at
        self._time = ServerTime(engine.clock)
        self._time.measured(started_at)
        self._applies = ApplyPipeline(engine, self._owner)
        self._claims = 0
        self._told = False
        self._sets: list[str] = []

    @property
    def owner(self) -> str:
        return self._owner

    def now(self) -> float:
        return self._time.now()

    # intake
    async def add(
        self,
        batch: Batch,
        *,
        again: bool = False,
        by: str | None = None,
        default_after_s: float = 0.0,
        into: RunSet | None = None,
    ) -> Added:
        self._refuse_read_only()
        values: list[Value] = [
            int(again),
            by or "",
            max(0.0, default_after_s),
            "" if into is None else self._own_set(into).key,
            KEPT_S,
            batch.source,
            len(batch.invalid),
            *(redis_rows.invalid(batch.source, line) for line in batch.invalid),
        ]
        for new in batch.items:
            values += (new.session_id, "" if new.due_at is None else repr(new.due_at))
        return await self._engine.whole(self._add(batch, values))

    async def _add(self, batch: Batch, values: Sequence[Value]) -> Added:
        accepted, duplicate, *names = await self._engine.run(_ADD, *values)
        if batch.position is not None:
            await self._positions.save(batch.position)  # after the rows: a crash in between reads some lines twice
        return Added(accepted, duplicate, len(batch.invalid), tuple(map(SessionId, names)))

    async def positions(self) -> list[Position]:
        return await self._engine.whole(self._positions.positions())

    # work
    def new_set(self) -> RunSet:
        self._sets.append(self._engine.key(f"set:{self._owner}:{len(self._sets)}"))
        return RedisRunSet(self._engine, self._inbox, self._sets[-1])

    async def claim(self, most: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        self._refuse_read_only()
        self._engine.refuse_closed()
        set_key = "" if within is None else self._own_set(within).key
        task = self._engine.spawn(self._claim(most, lease_s, set_key))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._hand_back)
            raise

    async def _claim(self, most: int, lease_s: float, set_key: str) -> list[Lease]:
        """Claim, and once more when something came out of the inbox meanwhile."""
        last = False
        leases: list[Lease] = []
        while True:
            self._claims += 1
            try:
                rows, until, unread = await self._engine.run(
                    _CLAIM, most - len(leases), lease_s, self._owner, self._claims, set_key, SMALL
                )
                leases += [redis_rows.lease(row, float(until)) for row in rows]
                if last or not unread or len(leases) == most or self._inbox is None or not await self._inbox.drain():
                    return leases
            except QueueError:
                if not leases:
                    raise
                return leases  # the next call says so; what was claimed is good
            last = True

    def _hand_back(self, task: asyncio.Task[list[Lease]]) -> None:
        """Release what was claimed for a caller that is gone. A claim in doubt comes back when its lease is over."""
        if not task.cancelled() and task.exception() is None:
            ends = [LeaseResult(lease, Release(0.0), None) for lease in task.result()]
            for at in range(0, len(ends), MAX_RESULTS):
                # Nobody waits for it: an error here ends with the leases.
                self._applies.post(ends[at : at + MAX_RESULTS]).add_done_callback(_is_recent)

    async def apply(self, ends: Sequence[LeaseResult]) -> list[bool]:
        self._refuse_read_only()
        self._engine.refuse_closed()
        return await self._applies.post(ends)

    async def next_at(self) -> float | None:
        return await self._engine.whole(self._next_at())

    async def _next_at(self) -> float | None:
        at, unread = await self._engine.run(_NEXT_AT)
        if unread and self._inbox is not None and await self._inbox.drain():
            at, _ = await self._engine.run(_NEXT_AT)
        return float(at) if at else None

    async def maintain(self, keep_settled_s: float) -> int:
        self._refuse_read_only()
        return await self._engine.whole(self._tend(keep_settled_s))

    async def _tend(self, keep_settled_s: float) -> int:
        freed, unread = await self._engine.run(
            _MAINTAIN, keep_settled_s, PORTION, _FORGOTTEN_S, KEPT_S, _PRUNED, *self._sets
        )
        if unread and self._inbox is not None:
            await self._inbox.drain()
        return int(freed)

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        self._refuse_read_only()
        self._told = True
        told = redis_rows.heartbeat_text(os.getpid(), self._started_at, limit, pauses)
        await self._engine.whole(self._engine.run(_HEARTBEAT, self._owner, told))

    async def live_workers(self) -> list[WorkerHeartbeat]:
        found = await self._engine.whole(self._engine.run(_HEARTBEATS, HEARTBEAT_LIFE_S))
        return sorted((redis_rows.heartbeat(*one) for one in found), key=lambda one: (one.started_at, one.owner))

    # operators
    async def postpone(self, session_id: SessionId, after_s: float) -> PostponeResult:
        return PostponeResult(await self._change(_POSTPONE, session_id, max(0.0, after_s)))

    async def make_due(self, *, retries: bool) -> int:
        self._refuse_read_only()
        return await self._engine.whole(self._make_due(retries))

    async def _make_due(self, retries: bool) -> int:
        made = more = await self._engine.run(_MAKE_DUE, int(retries), PORTION)
        while more == PORTION:
            more = await self._engine.run(_MAKE_DUE, int(retries), PORTION)
            made += more
        return int(made)

    async def cancel(self, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
        return CancelResult(await self._change(_CANCEL, session_id, by, reason))

    async def reopen(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> int:
        return await self._each(_REOPEN, (by, reason, f",{_DEAD},"), session_ids)

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        return await self._each(_PURGE, (f",{_DEAD},",), session_ids)

    async def pause(self, pause: Pause | None) -> None:
        self._refuse_read_only()
        key = self._engine.key("pause")
        command = ("DEL", key) if pause is None else ("SET", key, dumps(asdict(pause)))
        await self._engine.whole(self._engine.ask(*command))

    async def paused(self) -> Pause | None:
        now, written = await self._engine.whole(self._engine.run(_PAUSED))
        self._time.measured(float(now))
        return redis_rows.pause(written, float(now))

    # notes
    async def read_value(self, name: str) -> str | None:
        found = await self._engine.whole(self._engine.ask("HGET", self._engine.key("notes"), name))
        return None if found is None else str(found)

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        values = (name, int(was is not None), was or "", int(text is not None), text or "")
        return await self._change(_COMPARE_AND_SET, *values) == "1"

    # reading
    async def show(self, session_id: SessionId) -> Item | None:
        now, flat, source = await self._engine.whole(self._engine.run(_SHOW, session_id))
        return redis_rows.item(session_id, flat, source, float(now))

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        found: dict[SessionId, Outcome | None] = {}
        for start in range(0, len(session_ids), PORTION):
            asked = session_ids[start : start + PORTION]
            rows = await self._engine.whole(self._engine.run(_OUTCOMES_OF, *asked))
            known = zip(asked, rows, strict=True)
            found |= {name: Outcome(outcome) if outcome else None for name, outcome in known if outcome is not None}
        return found

    async def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]:
        async for item in settled(self._engine, since, frozenset(Outcome) if only is None else only):
            yield item

    async def retrying(self, most: int) -> list[Item]:
        now, rows = await self._engine.whole(self._engine.run(_RETRYING, most))
        items = (redis_rows.item(SessionId(name), flat, source, float(now)) for name, flat, source in rows)
        return [item for item in items if item is not None]

    async def stats(self) -> Stats:
        return await self._engine.whole(stats(self._engine))

    async def audit(self) -> Audit:
        return await self._engine.whole(audit(self._engine))

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in Redis cannot be copied to a file: back up the server's append-only file instead")

    async def close(self) -> None:
        async def leave() -> None:
            if self._told or self._claims or self._sets:
                claimed = int(self._claims > 0)
                await self._engine.run(_DEREGISTER, self._owner, claimed, *self._sets)

        if not self._engine.closed:
            try:
                await self._engine.close(leave)
            finally:
                await self._positions.close()

    async def _change(self, script: Script, *values: Value) -> str:
        self._refuse_read_only()
        return str(await self._engine.whole(self._engine.run(script, *values)))

    async def _each(self, script: Script, values: Sequence[Value], session_ids: Sequence[SessionId]) -> int:
        self._refuse_read_only()
        names = list(dict.fromkeys(session_ids))
        return await self._engine.whole(self._engine.portions(script, values, names, PORTION))

    def _refuse_read_only(self) -> None:
        if self._inbox is None:
            raise QueueError(f"the queue at {self._engine.name} is open for reading only")

    def _own_set(self, run_set: RunSet) -> RedisRunSet:
        if not isinstance(run_set, RedisRunSet) or run_set.engine is not self._engine:
            raise TypeError("a run set belongs to the queue that made it")
        return run_set


def _is_recent(future: asyncio.Future[list[bool]]) -> None:
    future.exception()

"""Run sets: each is a sorted set on the server, which expires a day after its last use."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from reaper.core.model import Outcome, SessionId
from reaper.queues.base import RunSet
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.scripts import load
from reaper.queues.values import SetView

KEPT_S = 86_400
"""A set that was not used for so long belongs to a dead process."""
SMALL = 1_000
"""Sets up to this are searched row by row; larger ones along the queue, whose head they mostly are."""
PAGE = 1_000
_INCLUDE, _INCLUDE_DUE, _VIEW, _NEXT = load("include"), load("include_due"), load("view"), load("next_of_set")


@dataclass(slots=True, eq=False)
class RedisRunSet:
    """The IDs that one `once` is responsible for; see `reaper.queues.base.RunSet`."""

    connection: RedisConnection
    inbox: Inbox | None
    key: str

    async def include(self, session_ids: Sequence[SessionId]) -> None:
        """Add those of the IDs that the queue knows."""
        await self.connection.run_shielded(self.connection.run(_INCLUDE, self.key, KEPT_S, *session_ids))

    async def include_due(self, limit: int | None = None) -> int:
        """Take in what is open and due, in flight included, until the set has `limit` IDs; return its size."""
        return await self.connection.run_shielded(self._include_due(limit))

    async def _include_due(self, limit: int | None) -> int:
        if self.inbox is not None:
            await self.inbox.drain()
        score, place = "", 0
        while True:
            size, score, place = await self.connection.run(
                _INCLUDE_DUE, self.key, KEPT_S, "" if limit is None else limit, score, place, PAGE
            )
            if not score:
                return int(size)

    async def ids(self) -> AsyncIterator[SessionId]:
        """Yield the IDs of the set, in the order they were accepted, a page at a time."""
        after = "-inf"
        while True:
            command = ("ZRANGEBYSCORE", self.key, f"({after}", "+inf", "LIMIT", 0, PAGE)
            page = await self.connection.run_shielded(self.connection.execute(*command))
            for session_id in page:
                yield SessionId(session_id)
            if len(page) < PAGE:
                return
            after = await self.connection.run_shielded(self.connection.execute("ZSCORE", self.key, page[-1]))

    async def view(self) -> SetView:
        """Count the set by state and outcome."""
        return await self.connection.run_shielded(self._view())

    async def settled_before(self, at: float) -> dict[Outcome, int]:
        """Count those of the set that were settled before an instant, by outcome."""
        return (await self.connection.run_shielded(self._view(repr(at)))).settled

    async def _view(self, before: str = "") -> SetView:
        counts: Counter[str] = Counter()
        next_at: dict[str, float] = {}
        after = "-inf"
        while after:
            after, flat = await self.connection.run(_VIEW, self.key, KEPT_S, after, PAGE, before)
            for state, number, first in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
                counts[state] += number
                next_at[state] = min(next_at.get(state, float("inf")), float(first))
        return SetView.of_counts(counts, next_at)

    async def next_at(self) -> float | None:
        """Return when the next open ID of the set can be claimed, delayed ones aside."""
        at = await self.connection.run_shielded(self.connection.run(_NEXT, self.key, KEPT_S, SMALL))
        return float(at) if at else None


def own_key(connection: RedisConnection, run_set: RunSet | None) -> str:
    """Return the key of a run set, "" for none. Raises TypeError for a set that another queue made."""
    if run_set is None:
        return ""
    if not isinstance(run_set, RedisRunSet) or run_set.connection is not connection:
        raise TypeError("a run set belongs to the queue that made it")
    return run_set.key

"""A model of an API behind a gateway: which sessions live, what its list shows, and what stands in between.

Time is virtual; every answer is a function of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from reaper.core.model import Answered, Reply, SessionId
from tests.support.worker import GONE, STOPPED

NO_ROUTE = Answered(404, b'{"message":"no Route matched with those values"}', 0.0)
LONG_AGO = -1e9


@dataclass
class Gateway:
    """`broken` says of the n-th request whether the gateway answers it itself; `list_lag_s`: how late the list is."""

    live: set[str]
    broken: Callable[[int], bool] = lambda n: False
    list_is_behind_it: bool = True
    list_lag_s: float = 0.0
    ended_at: dict[str, float] = field(default_factory=dict)
    requests: int = 0

    async def stop(self, session_id: SessionId, nth: int) -> Reply:
        self.requests += 1
        if self.broken(self.requests):
            return NO_ROUTE
        if session_id not in self.live:
            return GONE
        self.live.discard(session_id)
        self.ended_at[session_id] = anyio.current_time()
        return STOPPED

    def lists(self) -> Reply:
        if self.list_is_behind_it:
            self.requests += 1
            if self.broken(self.requests):
                return NO_ROUTE
        now = anyio.current_time()
        late = {each for each, at in self.ended_at.items() if now - at < self.list_lag_s}
        sessions = [{"sessionId": each, "status": "running", "alive": True} for each in sorted(self.live | late)]
        return Answered(200, json.dumps({"sessions": sessions}).encode(), 0.0)

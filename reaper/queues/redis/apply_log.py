"""Sends the applies one after the other, so that a repeated apply can be recognised."""

from __future__ import annotations

from collections.abc import Sequence

from reaper.core.model import LeaseResult
from reaper.queues.batching import Batcher, Call
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.rows import apply_values
from reaper.queues.redis.scripts import load

MAX_UNACKNOWLEDGED = 4_096
"""Results that the server remembers for one process while their answer may be lost."""
UNACKNOWLEDGED_S = 86_400
_APPLY = load("apply")


class ApplyPipeline:
    """The applies of one open queue.

    One script runs at a time and names the last one that was answered. So the server remembers the receipts of an
    apply for as long as its answer may be lost, and no longer (promise 11).
    """

    def __init__(self, connection: RedisConnection, owner: str) -> None:
        self._connection = connection
        self._owner = owner
        self._batcher: Batcher[Sequence[LeaseResult]] = Batcher(self._run, 1, connection.spawn)
        self._sent = 0
        self._answered = 0

    def post(self, results: Sequence[LeaseResult]) -> Call[Sequence[LeaseResult]]:
        """Queue results of different leases for one script."""
        return self._batcher.post(results)

    async def _run(self, batch: Sequence[Sequence[LeaseResult]]) -> list[list[bool]]:
        self._sent = number = self._sent + 1
        values = [value for results in batch for result in results for value in apply_values(result)]
        answers = await self._connection.run(
            _APPLY, self._owner, number, self._answered, MAX_UNACKNOWLEDGED, UNACKNOWLEDGED_S, *values
        )
        self._answered = number
        return [[good == 1 for good in answers]]

"""Outcomes on their way to the queue: shielded from cancellation, kept while it is away, given up at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from reaper.core.model import Decision, Lease, Send, Settle
from reaper.errors import QueueError, QueueUnavailableError
from reaper.queues.base import Queue
from reaper.reach import Reach
from reaper.seams import Journal

SETTLE_TIMEOUT_S = 15.0
"""How long a queue that is there may take to apply; longer than its own wait for a lock or an answer."""
LOOK_S = 0.5


@dataclass(slots=True)
class Settler:
    """Applies decisions. As many are kept as sends were in flight when the queue went away: nothing is claimed then."""

    queue: Queue
    journal: Journal
    reach: Reach
    leaving: Callable[[], bool]
    """Whether nothing is waited for any more: what an absent queue does not take then stays unrecorded."""
    _under_way: dict[anyio.CancelScope, float] = field(default_factory=dict)
    """What the queue is asked to take, since when."""

    @contextmanager
    def shielding(self) -> Iterator[anyio.CancelScope]:
        """Open what `apply` is called in, as often as need be; it shields from outside while an apply is under way.

        One for each task, because one for each apply would cost as much as a request. Raises QueueError at the end
        when an apply was given up.
        """
        with anyio.CancelScope() as scope:
            yield scope
        if scope.cancel_called:
            why = f": {self.reach.why}" if self.reach.away_s else f" within {SETTLE_TIMEOUT_S:g} s"
            raise QueueError(f"the queue did not take an outcome{why}; it stays open and is asked for again")

    async def apply(self, scope: anyio.CancelScope, lease: Lease, decision: Decision, send: Send | None) -> None:
        """Have a decision carried out, and say what came of it; `scope` is cancelled when it was given up."""
        scope.shield = True
        self._under_way[scope] = self.reach.now()
        try:
            while True:
                try:
                    held = await self.queue.apply(lease, decision, send)
                except QueueUnavailableError as error:
                    await self.reach.wait_out(error)
                else:
                    break
        finally:
            del self._under_way[scope]
            # Given up, it is to end as that, whatever else is going on outside.
            scope.shield = scope.cancel_called
        self.reach.found()
        if not held:
            self.journal.lease_lost(lease)
        elif isinstance(decision, Settle):
            self.journal.settled(lease, decision, send)
        else:
            self.journal.returned(lease, decision, send)
        if scope.cancel_called:  # given up in the very moment in which it was taken: nothing more is begun
            await anyio.lowlevel.checkpoint()

    async def guard(self) -> None:
        """Give up what the queue does not take: one look for all, because a timer for each would cost each."""
        while True:
            await anyio.sleep(LOOK_S)
            away = self.reach.away_s > 0
            if away and not self.leaving():
                continue
            late = self.reach.now() - (0.0 if away else SETTLE_TIMEOUT_S)
            for scope in [scope for scope, since in self._under_way.items() if since < late]:
                scope.cancel()

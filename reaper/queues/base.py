"""The queue's protocol and its promises. Every back-end passes `tests/contract`, which holds each of them.

1. *Durable.* What `add` or `apply` returned for survives the death of the process and of the machine.
2. *One place.* A session ID has at most one row; adding it again changes nothing unless `again` re-opens it.
3. *One holder.* A claimed ID is claimable by nobody else until its lease is over: by `apply`, by expiry, or at once
   when the process that held it ran on this machine and is gone.
4. *Fenced.* `apply` with a receipt that is no longer the row's changes nothing and answers False. Only the receipt
   counts: an apply that comes late, but before anyone else claimed the ID, is good.
5. *One outcome.* A round's outcome is written once, with the lease's end and the counters, in one atomic step.
6. *Counted at claim.* `sends` grows durably before the DELETE is sent; a claim handed back unsent is taken back.
7. *Never early.* Nothing is claimed before its due time.
8. *Fair.* While first sends and retries are both ready, every fourth claim is a retry; within each, oldest due first.
9. *Accounted.* `accepted` is counted where IDs come in, outcomes where they end; `audit` compares them with the rows.
10. *Cancellation.* A cancelled call has either happened wholly or not at all; the queue stays usable.
11. *Asked again.* An `apply` that ended in `QueueUnavailableError` may be asked again with the same ends: it happens
    once, and answers as if nothing had been between.

Instants are Unix seconds by the engine's clock. All methods raise `QueueUnavailableError` while the engine is away,
another `QueueError` when it cannot be used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from reaper.core.model import (
    Audit,
    Item,
    Lease,
    LeaseResult,
    Outcome,
    Pause,
    SessionId,
    Stats,
    WorkerHeartbeat,
)
from reaper.queues.values import Added, Batch, CancelResult, Position, PostponeResult, SetView

MAX_RESULTS = 256
"""How many ends one `apply` brings at most: what takes longer holds up an engine for all."""


class PositionStore(Protocol):
    """Where a queue on other machines keeps the positions of this machine's files; raises `QueueError`."""

    async def save(self, position: Position) -> None:
        """Keep a position, durably, after the rows it stands for."""

    async def positions(self) -> list[Position]:
        """Return all that are kept, by path."""

    async def close(self) -> None:
        """End the use of the store."""


class RunSet(Protocol):
    """The IDs that one `once` is responsible for. It belongs to one open queue and goes with it."""

    async def include_due(self, limit: int | None = None) -> int:
        """Take in what is open and due (in flight included) until the set has `limit` IDs; return its size."""

    def ids(self) -> AsyncIterator[SessionId]:
        """Yield the IDs of the set, in the order they were taken in, a page in memory at a time."""

    async def view(self) -> SetView:
        """Count the set by state and outcome."""

    async def next_at(self) -> float | None:
        """Return when the next open ID of the set can be claimed, *delayed* ones aside; None when there is none.

        An ID in flight counts with its lease's end.
        """


class Queue(Protocol):
    """One queue and its ledger, opened by this process."""

    @property
    def owner(self) -> str:
        """This process's random name in leases."""

    def now(self) -> float:
        """Tell the engine's time, as far as it is known: measured at the opening and with each `tend`."""

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
        """Take in a batch. `again` re-opens settled IDs as a new round. `into` takes the batch's IDs, known or new.

        `default_after_s` is the time to live of items without a due time.
        """

    async def positions(self) -> list[Position]:
        """Return the positions of the files that were followed."""

    # work
    def new_set(self) -> RunSet:
        """Return an empty run set."""

    async def claim(self, most: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        """Claim up to `most` ready IDs (of the set, if given), each under a lease of `lease_s`."""

    async def apply(self, ends: Sequence[LeaseResult]) -> list[bool]:
        """Carry out decisions and end their leases in one atomic step, at most `MAX_RESULTS` and of different ones.

        Without a send the claim is taken back. Returns for each False when its receipt is stale (promise 4). An ID
        whose cancellation was requested meanwhile ends `cancelled` unless an answer's outcome settles it.
        """

    async def next_at(self) -> float | None:
        """Return when the next open ID can be claimed (in the past when one is ready), None when all is settled."""

    async def maintain(self, keep_settled_s: float) -> int:
        """Free the leases of dead processes, settle what they left cancelled, prune a portion of old settled rows.

        Dead letters are never pruned. Returns how many leases were freed. Cheap when there is nothing to do.
        """

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        """Record how this process stands, for `status` in another one."""

    async def live_workers(self) -> list[WorkerHeartbeat]:
        """Return what the living working processes told last."""

    # operators
    async def postpone(self, session_id: SessionId, after_s: float) -> PostponeResult:
        """Set a waiting ID's due time to `after_s` from now."""

    async def make_due(self, *, retries: bool) -> int:
        """Make the waiting IDs that are due later due now; with `retries` also those that were sent before.

        Returns how many.
        """

    async def cancel(self, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
        """Take an open ID out."""

    async def reopen(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> int:
        """Start a new round, due now, for those of the IDs that are dead; return how many."""

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        """Drop the rows of those of the IDs that are dead; their counts stay. Returns how many."""

    async def pause(self, pause: Pause | None) -> None:
        """Set or (None) lift the operator's pause of the whole queue."""

    async def paused(self) -> Pause | None:
        """Return the operator's pause, unless it is over."""

    # notes
    async def note(self, name: str) -> str | None:
        """Return what is noted under a name: of the queue as a whole, for all its processes."""

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        """Replace the note `was` (None: there is none) by `text` (None: there shall be none).

        Returns False, and nothing has changed, when another one stands there.
        """

    # reading
    async def show(self, session_id: SessionId) -> Item | None:
        """Return one ID's row."""

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        """Return those of the IDs that have a row: the outcome of what is settled, None while open."""

    def outcomes(self, *, since: float | None = None, only: frozenset[Outcome] | None = None) -> AsyncIterator[Item]:
        """Yield settled rows, oldest settled first, a page in memory at a time."""

    async def retrying(self, most: int) -> list[Item]:
        """Return up to `most` IDs that were sent before and wait for another try, the latest due first.

        Back-off grows with each try, so this end of the queue is where the most often sent are.
        """

    async def stats(self) -> Stats:
        """Return the whole queue in numbers."""

    async def audit(self) -> Audit:
        """Verify the accounting."""

    async def backup(self, path: str) -> None:
        """Write a consistent copy of the ledger to a new private file."""

    async def close(self) -> None:
        """Hand back nothing, lose nothing: end this process's use of the queue."""

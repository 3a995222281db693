"""The queue's five ports and the promises behind them. Every engine passes `tests/contract`, which checks each promise.

1. *Durable.* An `add` or `apply` that returned survives the death of the process and of the machine.
2. *One place.* A session ID has at most one row; adding it again changes nothing unless `again` re-opens it.
3. *One holder.* A claimed ID cannot be claimed again until its lease is over: by `apply`, by expiry, or at once when
   the process that held it ran on this machine and is gone.
4. *Fenced.* `apply` with a receipt that is no longer the row's changes nothing and answers False. Only the receipt
   counts: an apply that comes late, but before anyone else claimed the ID, is good.
5. *One outcome.* A round's outcome is written once, with the lease's end and the counters, in one atomic step.
6. *Counted at claim.* `sends` grows durably before the DELETE is sent; a claim released unsent is uncounted.
7. *Never early, never by a wrong clock.* Nothing is claimed before its due time. What is due now waits for no clock; a
   wait that lies further ahead than its length and 60 s is over; a jump ends no lease of a process on this machine.
8. *Fair.* While first sends and retries are both ready, every fourth claim is a retry; within each, oldest due first.
9. *Accounted.* `accepted` is counted where IDs come in, outcomes where they end; `audit` compares them with the rows.
10. *Cancellation.* A cancelled call has either happened wholly or not at all; the queue stays usable.
11. *Repeatable.* An `apply` that raised `QueueUnavailableError` may be repeated with the same results: they are applied
    once, and the answer is the one of an undisturbed call.

Instants are Unix seconds by the engine's clock. All methods raise `QueueUnavailableError` while the engine is
unavailable, another `QueueError` when it cannot be used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from reaper.core.model import (
    DEAD,
    Audit,
    Item,
    Lease,
    LeaseHolder,
    LeaseResult,
    Outcome,
    Pause,
    SessionId,
    State,
    Stats,
    WorkerHeartbeat,
)
from reaper.queues.history import HistorySlot
from reaper.queues.selection import Selection
from reaper.queues.values import Added, Batch, CancelResult, KeptInvalidLine, Position, PostponeResult, SetView

MAX_RESULTS = 256
"""How many results one `apply` takes at most: a longer one would block the engine for its other callers."""

MAX_CHANGED = 1_000
"""How many IDs an operator's order changes in one step at most, so that no other work waits for long."""


class PositionStore(Protocol):
    """Keeps the positions of this machine's files for a queue on other machines. Its methods raise `QueueError`."""

    async def save(self, position: Position) -> None:
        """Store a position durably. Called after the rows that it stands for are durable."""

    async def positions(self) -> list[Position]:
        """Return all stored positions, by path."""

    async def close(self) -> None:
        """End the use of the store."""


class RunSet(Protocol):
    """The IDs that one `once` is responsible for. A set belongs to one open queue and ends with it."""

    async def include(self, session_ids: Sequence[SessionId]) -> None:
        """Add those of the IDs that the queue knows; nothing of them changes."""

    async def include_due(self, limit: int | None = None) -> int:
        """Add open IDs that are due or in flight, oldest first, until the set has `limit`; return the set's size."""

    def ids(self) -> AsyncIterator[SessionId]:
        """Yield the IDs of the set, in the order they were added to the queue, a page in memory at a time."""

    async def view(self) -> SetView:
        """Count the set by state and outcome."""

    async def settled_before(self, at: float) -> dict[Outcome, int]:
        """Count those of the set that were settled before an instant, by outcome."""

    async def next_at(self) -> float | None:
        """Return when the next open ID of the set can be claimed, *delayed* ones aside; None when there is none.

        An ID in flight counts with its lease's end.
        """


class EngineClock(Protocol):
    """The clock that the instants of a queue are read from."""

    def now(self) -> float:
        """Return the engine's time in Unix seconds, extrapolated from the last measurement where it is a server's.

        Measured when the queue is opened and with each `maintain`.
        """


class IntakePort(EngineClock, Protocol):
    """Takes IDs in."""

    async def add(
        self,
        batch: Batch,
        *,
        again: bool | frozenset[Outcome] = False,
        or_postpone: bool = False,
        by: str | None = None,
        default_after_s: float = 0.0,
        into: RunSet | None = None,
    ) -> Added:
        """Add a batch and its position in one atomic step.

        `again` re-opens settled IDs as a new round, requested `by`: all of them (True), or those that ended so.
        `or_postpone` gives those that wait the new due time, as `postpone` does; the ledger counts them as duplicates.
        `into` receives all IDs of the batch, known or new. Items without a due time become due `default_after_s` from
        now.
        """

    async def positions(self) -> list[Position]:
        """Return the stored positions of followed files, by path."""


class WorkPort(EngineClock, Protocol):
    """Serves the worker: leases out, results in, and the upkeep beside them."""

    @property
    def owner(self) -> str:
        """The random name of this process in its leases."""

    def new_set(self) -> RunSet:
        """Return an empty run set."""

    async def claim(self, limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        """Claim up to `limit` ready IDs (of the set, if given), each under a lease of `lease_s`; `sends` grows by one.

        Cancelled, what was claimed is released.
        """

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        """Write decisions and end their leases in one atomic step: at most `MAX_RESULTS`, of different leases.

        A result without a send undoes the claim. Returns for each False when its receipt is stale (promise 4). An ID
        whose cancellation was requested meanwhile ends `cancelled` unless an answer of the API settles it.
        """

    async def next_at(self) -> float | None:
        """Return when the next open ID can be claimed (in the past when one is ready), None when all is settled."""

    async def paused(self) -> Pause | None:
        """Return the operator's pause, None when there is none or it is over."""

    async def maintain(self, keep_settled_s: float) -> int:
        """Release leases of dead processes, settle their cancelled items, prune some rows older than `keep_settled_s`.

        Dead letters are never pruned. Returns how many leases were released. Called every 2 s; cheap when idle.
        """

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        """Store this worker's heartbeat (limit and pauses) so that `reaper status` can show it."""


class OperatorPort(EngineClock, Protocol):
    """Changes what is queued, on an operator's order."""

    async def postpone(
        self,
        session_ids: Sequence[SessionId],
        *,
        after_s: float = 0.0,
        at: float | None = None,
        by: str,
        reason: str = "",
    ) -> dict[SessionId, PostponeResult]:
        """Set the due time of those of the IDs that wait, to `after_s` from now or to the instant `at`.

        At most `MAX_CHANGED` at once, in one atomic step. Returns for each what was done, or why not. Who ordered it,
        and why, is kept with the ID (`accounting.postponement`).
        """

    async def make_due(self, *, retries: bool) -> int:
        """Make waiting IDs that are due later due now, with `retries` also those that were sent; return how many."""

    async def cancel(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> dict[SessionId, CancelResult]:
        """Settle those of the IDs that wait as cancelled, and request it for those in flight.

        It is requested of those booked as gone, too: their round has ended, and `reopen` honours the request. At most
        `MAX_CHANGED` at once, in one atomic step. Returns for each what was done, or why not.
        """

    async def reopen(
        self,
        session_ids: Sequence[SessionId],
        *,
        reason: str,
        by: str,
        only: frozenset[Outcome] = DEAD,
        after_s: float = 0.0,
    ) -> int:
        """Start a new round, due `after_s` from now, for those of the IDs that ended so; return how many.

        One that was booked as gone although its cancellation was requested, or whose cancellation was requested since,
        ends cancelled at once. (A round that `add` starts forgets that request: a person began it.)
        """

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        """Delete the rows of those of the IDs that are dead and keep their counts; return how many."""

    async def pause(self, pause: Pause | None) -> None:
        """Set the operator's pause of the whole queue, or lift it (None)."""


class ValuePort(EngineClock, Protocol):
    """Stores small texts by name, for all processes of the queue: the account, holds, sightings."""

    async def read_value(self, name: str) -> str | None:
        """Return the text stored under a name, None when there is none."""

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        """Replace the text `was` (None: there is none) by `text` (None: delete it).

        Returns False, and changes nothing, when the stored text is not `was`.
        """


class LedgerReader(EngineClock, Protocol):
    """Reads rows, counts and heartbeats; changes nothing."""

    async def show(self, session_id: SessionId) -> Item | None:
        """Return one ID's row."""

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        """Return the outcome of each of the IDs that has a row, None while it is open."""

    def outcomes(self, *, since: float | None = None, only: frozenset[Outcome] | None = None) -> AsyncIterator[Item]:
        """Yield settled rows, oldest settled first, a page in memory at a time."""

    def select(self, selection: Selection) -> AsyncIterator[Item]:
        """Yield the rows of a selection, a page in memory at a time.

        First those in flight (by the end of the lease), then the ready ones, then those due later (each by due time),
        then settled ones (by settling). The states are as they were at the first page; a row that changes before its
        page is read may come twice or not at all, any other comes once.
        """

    async def count(self, selection: Selection) -> dict[State | Outcome, int]:
        """Count the rows of a selection by state, the settled ones by outcome. States without rows are left out.

        By the indexes; with a source every row of the states is looked at: about a second for each million.
        """

    async def retrying(self, limit: int) -> list[Item]:
        """Return up to `limit` IDs that were sent before and wait for another try, the latest due first.

        Back-off grows with each try, so this end of the queue is where the most often sent are.
        """

    async def invalid_lines(self) -> list[KeptInvalidLine]:
        """Return the newest `MAX_INVALID_KEPT` of the lines that intake rejected, in the order they came."""

    async def live_workers(self) -> list[WorkerHeartbeat]:
        """Return the last heartbeat of each living worker."""

    async def lease_holders(self) -> list[LeaseHolder]:
        """Return the processes that hold leases in force, those aside that are known to be dead."""

    async def stats(self) -> Stats:
        """Count the whole queue."""

    async def history(self, since: float) -> list[HistorySlot]:
        """Return what was settled since an instant, whichever process did it, oldest slot first.

        The slot of `since` is whole in it; slots in which nothing was settled are left out. Kept for a day, written in
        the same atomic step as the outcomes.
        """

    async def audit(self) -> Audit:
        """Verify the accounting: compare the counters with the rows."""

    async def backup(self, path: str) -> None:
        """Write a consistent copy of the ledger to a new private file. Raises UsageError when the file exists."""


class Queue(IntakePort, WorkPort, OperatorPort, ValuePort, LedgerReader, Protocol):
    """One queue and its ledger, opened by this process: all five ports."""

    async def close(self) -> None:
        """Finish the calls under way and end this process's use of the queue. Leases stay as they are."""

"""What the contract suite needs of a back-end: processes on one store, a clock, and the death of one of them.

A new back-end is one more harness here and no new test.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from reaper.core.model import Decision, Lease, LeaseResult, Outcome, Release, Retry, Send, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.sqlite.open import Ledger
from reaper.queues.values import Batch, CancelResult, NewItem, PostponeResult
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.memory_store import Store

START = 1_000_000.0
LEASE_S = 60.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Clocks:
    """A wall clock, which can jump, and a monotonic clock; both stand still until `advance`."""

    def __init__(self) -> None:
        self.wall, self.monotonic = Clock(), Clock()

    def advance(self, seconds: float) -> None:
        self.wall.now += seconds
        self.monotonic.now += seconds

    def jump(self, seconds: float) -> None:
        self.wall.now += seconds


class Harness(Protocol):
    """One store; `cannot` names what its engine can't promise.

    "backup": a copy of the ledger from within. "death": to see that a process died before its leases are over.
    """

    cannot: frozenset[str]

    async def open(self) -> Queue:
        """Open the store as one more process."""

    async def die(self, queue: Queue) -> None:
        """Let the process that opened `queue` die: no goodbye, nothing handed back."""

    async def close(self) -> None:
        """Close whatever is open."""

    def advance(self, seconds: float) -> None:
        """Let time pass for all processes."""

    def jump(self, seconds: float) -> None:
        """Set the wall clock of the processes' machine forward, or back (negative)."""

    def now(self) -> float:
        """Tell the time."""


class MemoryHarness:
    cannot = frozenset({"backup"})

    def __init__(self) -> None:
        self._store = Store()
        self._clocks = Clocks()
        self.advance, self.jump, self.now = self._clocks.advance, self._clocks.jump, self._clocks.wall

    async def open(self) -> Queue:
        return MemoryQueue(self._store, self._clocks.wall, self._clocks.monotonic)

    async def die(self, queue: Queue) -> None:
        self._store.mark_dead(queue.owner)

    async def close(self) -> None:
        pass


class SqliteHarness:
    cannot: frozenset[str] = frozenset()

    def __init__(self, directory: Path) -> None:
        self._path = str(directory / "state" / "ledger.db")
        self._clocks = Clocks()
        self.advance, self.jump, self.now = self._clocks.advance, self._clocks.jump, self._clocks.wall
        self._opened: dict[Queue, Ledger] = {}

    async def open(self) -> Queue:
        queue, ledger = await open_for_work(self._path, self._clocks.wall, self._clocks.monotonic)
        self._opened[queue] = ledger
        return queue

    async def die(self, queue: Queue) -> None:
        await abandon(self._opened[queue])

    async def close(self) -> None:
        for queue in self._opened:
            await queue.close()


async def open_for_work(
    path: Path | str, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] | None = None
) -> tuple[Queue, Ledger]:
    """Open a ledger as a worker does, and return the parts of it, too."""
    ledger = Ledger(str(path), clock=clock, monotonic=monotonic)
    await ledger.start(create=True, worker=True)
    return ledger.queue(), ledger


async def abandon(ledger: Ledger) -> None:
    """Do what the kernel does at the death of a process: drop its locks, leave its files and rows."""
    ledger.locks.drop()
    await ledger.thread.stop()


# --- words for the tests --------------------------------------------------------------------------------------------

NO_CONTENT = 204
GONE = 404
STOPPED = Settle(Outcome.STOPPED)
NOW = Release(0.0)


def ids(*names: str) -> Batch:
    """Make a batch of IDs that are due now."""
    return Batch("test", [NewItem(SessionId(name)) for name in names])


def due(**at: float) -> Batch:
    """Make a batch of IDs with their due times."""
    return Batch("test", [NewItem(SessionId(name), due_at) for name, due_at in at.items()])


def sent(status: int | None = NO_CONTENT, error: str | None = None) -> Send:
    """Make the record of a send."""
    return Send(at=START, duration_s=0.25, status=status, error=error)


def names(leases: list[Lease]) -> list[str]:
    """Name the leases' IDs."""
    return [lease.session_id for lease in leases]


async def claim_one(queue: Queue) -> Lease:
    """Claim exactly one ID."""
    (lease,) = await queue.claim(1, lease_s=LEASE_S)
    return lease


async def ended(queue: Queue, lease: Lease, decision: Decision, send: Send | None) -> bool:
    """Apply one end; return whether its receipt was good."""
    (held,) = await queue.apply([LeaseResult(lease, decision, send)])
    return held


async def stop_one(queue: Queue) -> None:
    """Claim one ID and settle it as stopped."""
    assert await ended(queue, await claim_one(queue), STOPPED, sent())


async def fail_one(queue: Queue, after_s: float = 0.0) -> Lease:
    """Claim one ID and let its send fail, charged."""
    lease = await claim_one(queue)
    assert await ended(queue, lease, Retry(after_s), sent(502))
    return lease


async def end_one(queue: Queue, outcome: Outcome, status: int | None = None) -> None:
    """Claim one ID and settle it, by a send with `status` if given."""
    send = None if status is None else sent(status)
    assert await ended(queue, await claim_one(queue), Settle(outcome), send)


async def cancel_one(queue: Queue, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
    """Cancel one ID."""
    return (await queue.cancel([session_id], reason=reason, by=by))[session_id]


async def postpone_one(queue: Queue, session_id: SessionId, after_s: float) -> PostponeResult:
    """Postpone one ID."""
    return (await queue.postpone([session_id], after_s=after_s, by="ops"))[session_id]

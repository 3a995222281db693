"""What the worker needs from other rooms, in its own words. The queue's ports are in `queues/base.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reaper.core.classify import OtherAccount, ReadVerdict
from reaper.core.decide import RetryPolicy
from reaper.core.model import (
    Item,
    Lease,
    LeaseResult,
    Outcome,
    Pause,
    PauseReason,
    Release,
    Reply,
    Retry,
    Send,
    SessionId,
    Settle,
)
from reaper.core.preflight import Recheck
from reaper.core.target import OtherTarget
from reaper.queues.base import ValuePort, WorkPort


class Api(Protocol):
    """The calls of the API. None raises for what a network can do."""

    async def stop(self, session_id: SessionId, may_start: Callable[[], bool]) -> Reply:
        """Send a DELETE. Raises Withheld if it may not start any more when there is a connection."""

    async def list_sessions(self) -> Reply: ...

    async def whoami(self) -> Reply: ...


class TokenWatch(Protocol):
    """The token, which may be rotated while the process runs."""

    def refresh(self) -> bool:
        """Read the token again; return whether it changed since the last call."""

    @property
    def generation(self) -> int: ...


class TargetJournal(Protocol):
    """Logs whose sessions these are, and where."""

    def target_pinned(self, address: str) -> None: ...

    def account_pinned(self, account: str) -> None: ...

    def account_unknown(self, why: str) -> None: ...


class GoneJournal(Protocol):
    """Logs what becomes of answers that call a session gone."""

    def reopened(self, session_ids: Sequence[SessionId], why: str) -> None: ...

    def ghost(self, session_id: SessionId, outcome: Outcome) -> None: ...

    def unproven_gone(self, count: int) -> None: ...

    def list_cut(self, size: int) -> None: ...


class QueueJournal(Protocol):
    """Logs whether the queue is available, once per change."""

    def queue_unavailable(self, why: str) -> None: ...

    def queue_recovered(self, unavailable_s: float) -> None: ...


class Journal(QueueJournal, TargetJournal, GoneJournal, Protocol):
    """Logs and counts what happened, once it is durable; the event names are in `reaper.telemetry.events`."""

    @property
    def is_behind(self) -> bool:
        """Whether the log is read more slowly than it is written: nothing more should be sent until that is over."""

    def settled(self, lease: Lease, settle: Settle, send: Send | None, waited_s: float) -> None:
        """Log and count a settled ID. `waited_s`: from when its round first fell due."""

    def retry_scheduled(self, lease: Lease, decision: Retry | Release, send: Send | None) -> None: ...

    def lease_lost(self, lease: Lease) -> None: ...

    def results_unwritten(self, results: Sequence[LeaseResult]) -> None:
        """Log answers that the queue did not take before the end: their IDs stay open."""

    def paused(self, pause: Pause) -> None: ...

    def pause_changed(self, pause: Pause) -> None:
        """Log a pause that goes on for another reason in detail."""

    def resumed(self, reason: PauseReason, held_s: float, *, last: bool) -> None: ...


class Ledger(ValuePort, Protocol):
    """Reads and re-opens what was booked as gone."""

    def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]: ...

    async def show(self, session_id: SessionId) -> Item | None: ...

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]: ...

    async def reopen(
        self,
        session_ids: Sequence[SessionId],
        *,
        reason: str,
        by: str,
        only: frozenset[Outcome] = ...,
        after_s: float = ...,
    ) -> int: ...


class WorkQueue(WorkPort, Ledger, Protocol):
    """The queue as the worker uses it."""


class Preflight(Protocol):
    """The check just before a DELETE, where something may spare the session (docs/discovery.md)."""

    def applies_to(self, lease: Lease) -> bool:
        """Return whether there is anything to check."""

    async def __call__(self, lease: Lease, may_start: Callable[[], bool]) -> Recheck:
        """Check the session. Sends no DELETE; raises QueueError as the queue does, and Withheld as `Api.stop` does."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The worker's settings; durations in seconds.

    `lease_s`: length of each claim's lease. `send_s`: total deadline of one send. `keep_settled_s`: age at which
    settled rows are pruned. `drain_timeout_s`: how long a drain waits for what is in flight.
    """

    lease_s: float
    send_s: float
    retry: RetryPolicy
    keep_settled_s: float
    drain_timeout_s: float


Identify = Callable[[], Awaitable[tuple[Reply | None, ReadVerdict]]]
"""Makes the identity read. Returns the reply with the list and what it proves: that the API is the API, accepts the
token, and belongs to the right account. No reply: nothing was sent to another address."""


class CompareTarget(Protocol):
    """Compares address and account with the queue's, and sends nothing. None: they agree."""

    async def __call__(self, *, proven: bool) -> OtherTarget | OtherAccount | None:
        """`proven`: an answer has shown the address to be the API's, so that it is pinned where none is."""


IdleWait = Callable[[bool], Awaitable[float | None]]
"""Asked when nothing can be claimed, with whether a pause holds. Returns after how long to ask again (s); None ends."""

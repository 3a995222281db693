"""What the worker needs from other rooms, in its own words. The queue's ports are in `queues/base.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from reaper.core.classify import ReadVerdict
from reaper.core.decide import RetryPolicy
from reaper.core.model import Lease, Pause, PauseReason, Release, Reply, Retry, Send, SessionId, Settle
from reaper.core.preflight import Recheck


class Api(Protocol):
    """The calls of the API. None raises for what a network can do."""

    async def stop(self, session_id: SessionId) -> Reply: ...

    async def list_sessions(self) -> Reply: ...

    async def whoami(self) -> Reply: ...


class TokenWatch(Protocol):
    """The token, which may be rotated while the process runs."""

    def refresh(self) -> bool:
        """Read the token again; return whether it changed since the last call."""

    @property
    def generation(self) -> int: ...


class AccountJournal(Protocol):
    """Logs whose sessions these are."""

    def account_pinned(self, account: str) -> None: ...

    def account_unknown(self, why: str) -> None: ...


class QueueJournal(Protocol):
    """Logs whether the queue is available, once per change."""

    def queue_unavailable(self, why: str) -> None: ...

    def queue_recovered(self, unavailable_s: float) -> None: ...


class Journal(QueueJournal, AccountJournal, Protocol):
    """Logs and counts what happened, once it is durable; the event names are in `reaper.telemetry.events`."""

    def settled(self, lease: Lease, settle: Settle, send: Send | None) -> None: ...

    def retry_scheduled(self, lease: Lease, decision: Retry | Release, send: Send | None) -> None: ...

    def lease_lost(self, lease: Lease) -> None: ...

    def paused(self, pause: Pause) -> None: ...

    def resumed(self, reason: PauseReason, held_s: float, *, last: bool) -> None: ...


class Preflight(Protocol):
    """The check just before a DELETE, where something may spare the session (docs/discovery.md)."""

    def applies_to(self, lease: Lease) -> bool:
        """Return whether there is anything to check."""

    async def __call__(self, lease: Lease) -> Recheck:
        """Check the session. Sends no DELETE; raises QueueError as the queue does."""


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


Identify = Callable[[], Awaitable[ReadVerdict]]
"""Makes the identity read: shows whether the API is the API, accepts the token, and belongs to the right account."""
IdleWait = Callable[[bool], Awaitable[float | None]]
"""Asked when nothing can be claimed, with whether a pause holds. Returns after how long to ask again (s); None ends."""

"""What the worker asks of the rest of the house, in its own words: the API, the token, the journal, its rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from reaper.core.classify import ReadVerdict
from reaper.core.decide import RetryPolicy
from reaper.core.discovery.recheck import Recheck
from reaper.core.model import Lease, Pause, PauseReason, Release, Reply, Retry, Send, SessionId, Settle


class Api(Protocol):
    """What the worker asks of the API. No call raises for what a network can do."""

    async def stop(self, session_id: SessionId) -> Reply: ...

    async def list_sessions(self) -> Reply: ...

    async def get_session(self, session_id: SessionId) -> Reply: ...

    async def whoami(self) -> Reply: ...


class TokenWatch(Protocol):
    """Tells of changes of the token."""

    def refresh(self) -> bool:
        """Return whether the token is another one since the last call."""

    @property
    def generation(self) -> int: ...


class AccountJournal(Protocol):
    """Where it is said whose sessions these are."""

    def account_pinned(self, account: str) -> None: ...

    def account_untold(self, why: str) -> None: ...


class QueueJournal(Protocol):
    """Where it is said, once per change, whether the queue can be reached."""

    def queue_unavailable(self, why: str) -> None: ...

    def queue_recovered(self, away_s: float) -> None: ...


class Journal(QueueJournal, AccountJournal, Protocol):
    """Where the worker says what happened; the words are in `reaper.telemetry.events`."""

    def settled(self, lease: Lease, settle: Settle, send: Send | None) -> None: ...

    def returned(self, lease: Lease, decision: Retry | Release, send: Send | None) -> None: ...

    def lease_lost(self, lease: Lease) -> None: ...

    def paused(self, pause: Pause) -> None: ...

    def resumed(self, reason: PauseReason, held_s: float, *, last: bool) -> None: ...


class Preflight(Protocol):
    """Looks once more at a session just before its DELETE, where something may spare it (SPEC 7)."""

    def applies_to(self, lease: Lease) -> bool:
        """Tell whether there is anything to look at."""

    async def __call__(self, lease: Lease) -> Recheck:
        """Look. Sends no DELETE; raises QueueError as the queue does."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """`lease_s` of each claim, `send_s` of each send at most, the retry policy, how long settled rows are kept, the
    drain's limit (seconds).
    """

    lease_s: float
    send_s: float
    retry: RetryPolicy
    keep_settled_s: float
    drain_timeout_s: float


Identify = Callable[[], Awaitable[ReadVerdict]]
"""Makes the read that shows whether the API is the API, takes the token, and tells of the right account."""
IdleWait = Callable[[bool], Awaitable[float | None]]
"""Asked when nothing can be claimed, with whether a pause holds: seconds until it is worth asking again; None ends."""

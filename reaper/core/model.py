"""The values that flow through the reaper. Instants are Unix seconds (UTC), durations float seconds.

One file, though a little over 300 lines: they refer to each other, and every room uses most of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, NewType

from reaper.core.owners import Place, place_of
from reaper.core.value import value

SessionId = NewType("SessionId", str)
"""An opaque name of one hosted session, checked once where it comes in (`reaper.core.ids`)."""

MAX_HISTORY = 20
"""Sends of an item that are kept for `show`."""

HEARTBEAT_LATE_S = 12.0
"""A worker sends a heartbeat every 5 s: with none for so long it is dead, hangs, or is cut off from the queue."""


class Outcome(StrEnum):
    """How a round ended. Exactly one per round."""

    STOPPED = "stopped"
    ALREADY_GONE = "already_gone"
    FORBIDDEN = "forbidden"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    PROTECTED = "protected"
    CANCELLED = "cancelled"


REAPER = "reaper"
"""The name under which reaper itself re-opens. It reads its reason again, so a postponement does not replace that."""

DEAD = frozenset({Outcome.FORBIDDEN, Outcome.REJECTED, Outcome.EXHAUSTED})
"""Outcomes that are kept until someone retries or purges them."""

PROVEN = frozenset({Outcome.STOPPED, Outcome.ALREADY_GONE})
"""Outcomes that need a recorded send whose answer proves them."""


class State(StrEnum):
    """The state of an item. Scheduled and retrying are *delayed*; ready and delayed together are *waiting*."""

    READY = "ready"
    SCHEDULED = "scheduled"
    """Due later, and not sent in this round."""
    RETRYING = "retrying"
    """Due later, after a send of this round."""
    IN_FLIGHT = "in_flight"
    SETTLED = "settled"


class PauseReason(StrEnum):
    """Why no DELETE is sent. Several can hold at once."""

    OPERATOR = "operator"
    CREDENTIALS = "credentials"
    WRONG_TARGET = "wrong_target"
    API_DOWN = "api_down"
    THROTTLED = "throttled"
    FORBIDDEN_STORM = "forbidden_storm"


@dataclass(frozen=True, slots=True)
class Pause:
    """A stated reason to send nothing. `until` is set only where the end is known beforehand."""

    reason: PauseReason
    since: float
    detail: str
    until: float | None = None
    needs_operator: bool = False
    """Whether waiting cannot end it, so that `once` does not wait."""
    by: str | None = None
    """The person who ordered an operator's pause; the detail names them, too. None from older versions."""

    def shifted(self, seconds: float) -> Pause:
        """Return the pause on a clock that is `seconds` ahead; an operator's pause is on the wall clock already."""
        if self.reason is PauseReason.OPERATOR:
            return self
        return replace(self, since=self.since + seconds, until=None if self.until is None else self.until + seconds)


# --- from the API -------------------------------------------------------------------------------------------------


class Fault(StrEnum):
    """The reason why a send got no answer."""

    NO_TOKEN = "no_token"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    PROXY = "proxy"
    """The proxy refused to open a tunnel to the API, for a reason of its own."""
    RESOURCES = "resources"
    """This process could not open a socket (no file descriptor, no port, no memory)."""
    TIMEOUT = "timeout"
    RESET = "reset"
    MALFORMED = "malformed"
    """The bytes of the answer are not HTTP."""


@value(frozen=True, slots=True)
class Answered:
    """An HTTP answer. `body` is no longer than the call allows: 64 KiB for a DELETE, 32 MiB for the list."""

    status: int
    body: bytes
    duration_s: float
    retry_after: str | None = None
    date: str | None = None
    request_id: str | None = None
    token_generation: int = 0
    """The generation of the token in the request: the number of changes of the token in this process until then."""
    again: int = 0
    """DELETEs sent beyond the first one, because a kept-alive connection had gone stale."""
    undecoded: str | None = None
    """The codings of a body that could not be decoded; the body is then as it came."""


@value(frozen=True, slots=True)
class Failed:
    """No answer. `written`: a byte of the request may have reached the server."""

    fault: Fault
    written: bool
    error: str
    duration_s: float
    again: int = 0
    status: int = 0
    """That of the proxy's answer, under Fault.PROXY."""


Reply = Answered | Failed


class Withheld(Exception):
    """A request was not sent: when there was a connection for it, who asked for it did not want it any more."""


# --- in the queue -------------------------------------------------------------------------------------------------


CHECK_FAILED = "check: "
"""How the `error` of a send begins that was not made, because the check before it failed."""


@value(frozen=True, slots=True)
class Send:
    """One DELETE, as recorded: `status` or `error`, never both. Or a failed check, because of which none was sent."""

    at: float
    duration_s: float
    status: int | None = None
    error: str | None = None
    request_id: str | None = None

    @property
    def is_check(self) -> bool:
        """Whether no DELETE was sent, because the check before it failed."""
        return self.error is not None and self.error.startswith(CHECK_FAILED)


@value(frozen=True, slots=True)
class Lease:
    """A time-limited right to one session ID.

    `attempts` are the charged sends of this round before this one; `sends` are all sends of this round, this one
    included; `unanswered` are the sends before this one that have no recorded answer, because their process died.
    """

    session_id: SessionId
    receipt: str
    round: int
    attempts: int
    sends: int
    unanswered: int
    ambiguous: bool
    """An earlier attempt of this round ended in a timeout or a reset, and may have stopped the session."""
    others_final: bool
    """Since this ID's previous send another ID got a final answer."""
    source: str
    expires_at: float
    due_at: float
    """When this round first fell due; back-off does not move it. The latency of its settling counts from here."""


# --- decisions about a lease --------------------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Retry:
    """End the lease and charge one attempt; due again in `after_s` seconds. `ambiguous`: the send may have worked."""

    after_s: float
    ambiguous: bool = False


@value(frozen=True, slots=True)
class Release:
    """End the lease and charge nothing; due again in `after_s` seconds. `ambiguous`: the send may have worked."""

    after_s: float
    ambiguous: bool = False


@value(frozen=True, slots=True)
class Settle:
    """End the round with its one outcome."""

    outcome: Outcome
    detail: str | None = None
    charged: bool = True
    unless_up: Release | None = None
    """What to do instead of `exhausted`, unless something shows that the API works: a read of the list that begins
    after the failure, or another ID's final answer that comes after it."""


Decision = Settle | Retry | Release


class LeaseResult(NamedTuple):
    """The end of one lease. `send` is the DELETE that was sent under it; None when none was sent."""

    lease: Lease
    decision: Decision
    send: Send | None


# --- readings of the queue ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    """One session ID's row, for `show`, `outcomes` and `dead list`. In flight, `due_at` is the end of its lease."""

    session_id: SessionId
    state: State
    outcome: Outcome | None
    source: str
    added_at: float
    due_at: float
    round: int
    attempts: int
    sends: int
    """All sends of this round, also those that `history` dropped for their age or that got no answer."""
    unanswered: int
    history: tuple[Send, ...]
    status: int | None = None
    detail: str | None = None
    settled_at: float | None = None
    by: str | None = None
    """The person who cancelled, retried or re-opened the ID; None when no person did."""
    reason: str | None = None
    owner: str | None = None
    """The process that holds its lease, or held it when it died."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The whole queue in numbers. `settled` counts rounds since the ledger began, pruned ones included."""

    ready: int
    scheduled: int
    retrying: int
    in_flight: int
    accepted: int
    settled: dict[Outcome, int]
    dead: int
    """Dead letters kept now."""
    duplicate: int
    invalid: int
    oldest_due_s: float
    """How long the oldest ready ID has been due, seconds; 0 when none is ready."""
    next_scheduled_at: float | None = None
    """When the first of the scheduled IDs falls due; None when there are none."""
    next_retry_at: float | None = None
    """The same of the retrying ones."""
    dead_by_outcome: dict[Outcome, int] = field(default_factory=dict)
    """The dead letters kept now, by outcome; those without any are left out."""

    @property
    def next_due_at(self) -> float | None:
        """When the first of the delayed IDs falls due; None when there are none."""
        return min((at for at in (self.next_scheduled_at, self.next_retry_at) if at is not None), default=None)

    @property
    def delayed(self) -> int:
        """How many IDs are due later: scheduled and retrying ones together."""
        return self.scheduled + self.retrying

    @property
    def imbalance(self) -> int:
        """Rounds that were accepted and are not accounted for; 0 when the accounting balances."""
        return self.accepted - sum(self.settled.values()) - self.ready - self.delayed - self.in_flight


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One equation of the accounting: two figures that are counted independently."""

    name: str
    left: int
    right: int

    @property
    def balanced(self) -> bool:
        return self.left == self.right


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of `audit`. `stats` and `lines` come from one consistent view of the ledger."""

    stats: Stats
    lines: tuple[AuditLine, ...]

    @property
    def balanced(self) -> bool:
        return all(line.balanced for line in self.lines)


@dataclass(frozen=True, slots=True)
class WorkerHeartbeat:
    """The last heartbeat of one working process."""

    owner: str
    pid: int
    started_at: float
    last_seen_at: float
    limit: int
    pauses: tuple[Pause, ...] = field(default=())

    @property
    def place(self) -> Place:
        """Its host, "" where an older version did not say it, and its PID."""
        found = place_of(self.owner)
        return Place(found.host if found else "", self.pid)

    def silent_s(self, now: float) -> float:
        """Return for how long no heartbeat came, 0 while they come in time."""
        late_s = now - self.last_seen_at
        return late_s if late_s > HEARTBEAT_LATE_S else 0.0


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """A process that holds leases in force: how many, and when the last of them ends."""

    owner: str
    in_flight: int
    until: float

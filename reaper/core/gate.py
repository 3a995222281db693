"""The one admission gate: how many sends may start now, and if none, why and until when.

A state machine over answers, with time as an argument: seconds of any clock that never runs backwards. It combines the
operator's pause, the identity read, the automatic pauses (`core/pauses.py`), the throttle, the rate and the limit on
sends in flight; `admit` returns the least that any of them allows. docs/concepts.md is its source.

Each automatic pause is a circuit breaker: *open* until the identity read succeeds, then *half-open* (one probe DELETE
at a time), then closed. The pause `api_down` skips the probes: after the read the gate admits an eighth of the bound
until the first final answer. Where reads are not allowed (`verify` off), every pause is half-open from its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from reaper.core.adaptive_limit import AdaptiveLimit
from reaper.core.backoff import backoff_s
from reaper.core.classify import (
    Broken,
    Final,
    Foreign,
    OtherAccount,
    Proven,
    ReadVerdict,
    ServerFault,
    Throttled,
    Unauthorized,
    Unsent,
    Verdict,
    is_own,
)
from reaper.core.model import Outcome, Pause, PauseReason, SessionId
from reaper.core.pauses import PROBE_FIRST_S, Breakers, no_answer, no_token, read_refusal
from reaper.core.rate_limit import RateLimit
from reaper.core.throttle import Throttle

FAILURES_TO_PAUSE = 5
"""Failures in a row, with no final answer between, that open `api_down` (docs/concepts.md)."""
FAILURES_TO_PAUSE_AGAIN = 20
"""The same after an outage, until the first final answer (docs/concepts.md)."""
FOREIGN_IDS_TO_PAUSE = 5
"""Different IDs with a foreign answer, with no own answer between, that open `wrong_target` (docs/concepts.md)."""
FORBIDDEN_TO_PAUSE = 20
"""Answers of 403 in a row, with no other final answer between, that open `forbidden_storm` (docs/concepts.md)."""
READ_FIRST_S, READ_MAX_S = 1.0, 5.0
"""The gap between the first two reads, doubled after each one, and the longest gap (docs/concepts.md)."""
RECOVERY_SHARE = 8
"""After an outage, one part in this many of the bound is admitted (docs/concepts.md)."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The number of sends that are allowed to start now.

    When it is 0, `why` has the reason in a word, and `until` the instant at which time alone may change it.
    """

    allowed: int
    why: str | None = None
    until: float | None = None


@dataclass(slots=True)
class Gate:
    """The state of one process. `bound` is the most sends in flight that the settings allow.

    The worker calls `start` before each send and `observe` after it, and makes a read when `read_due` asks for one.
    """

    bound: int
    adaptive: bool = False
    rate: RateLimit = field(default_factory=lambda: RateLimit(0.0))
    verify: bool = True
    in_flight: int = 0
    finals: int = 0
    """Final answers so far: by them a worker knows whether another ID got one since a given send."""
    generation: int = 0
    """The current token's generation."""
    proven: bool = field(init=False)
    """Whether the API has shown that it is the API and takes the current token; others only read it."""

    _limiter: AdaptiveLimit = field(init=False)
    _operator: Pause | None = None
    _breakers: Breakers = field(default_factory=Breakers)
    _read_at: float = float("-inf")
    _reads: int = 0
    """Reads made since the last reason to read anew."""
    _throttle: Throttle = field(default_factory=Throttle)
    _failures: int = 0
    """Failures in a row, with no final answer between."""
    _recovering: bool = False
    """From the end of `api_down` until the first final answer."""
    _foreign: set[SessionId] = field(default_factory=set)
    """IDs with a foreign answer since the last own answer."""
    _forbidden: int = 0
    """Answers of 403 in a row, with no other final answer between."""

    def __post_init__(self) -> None:
        self.proven = not self.verify
        self._limiter = AdaptiveLimit(self.bound, adaptive=self.adaptive)

    def admit(self, now: float) -> Admission:
        """Return how many sends may start now."""
        if self._operator is not None:
            return Admission(0, PauseReason.OPERATOR)
        if throttle := self._throttle.pause(now):
            return Admission(0, PauseReason.THROTTLED, throttle.until)
        if not self.proven:
            return Admission(0, next(iter(self._breakers.active), "identity"), None)
        if blocked := self._breakers.blocked(now):
            return Admission(0, *blocked)
        free = (1 if self._breakers.active else self.limit) - self.in_flight
        if free <= 0:
            return Admission(0, "in_flight", None)
        by_rate = self.rate.allowed(now)
        if by_rate == 0:
            return Admission(0, "rate", self.rate.next_at(now))
        return Admission(min(free, by_rate))

    @property
    def limit(self) -> int:
        """The most sends in flight that the state of the API allows now."""
        limit = self._limiter.limit
        return min(limit, max(1, self.bound // RECOVERY_SHARE)) if self._recovering else limit

    def read_due(self) -> float | None:
        """Return the instant of the next identity read; None when none is needed."""
        if not self.verify or (self.proven and not any(map(self._breakers.is_open, self._breakers.active))):
            return None
        return max(self._read_at, self._throttle.until)

    @property
    def unrestricted(self) -> bool:
        """Whether nothing but the limit, the throttle and the operator can hold sends up."""
        return self.proven and not (self._breakers.active or self._recovering or self.rate.per_s)

    @property
    def outage(self) -> bool:
        """Whether the API counts as down: a send that starts now is a probe, and its failure is the API's."""
        return PauseReason.API_DOWN in self._breakers.active

    def pauses(self, now: float) -> tuple[Pause, ...]:
        """Return the pauses that hold, their instants on the gate's clock."""
        return (
            *filter(None, (self._operator, self._throttle.pause(now))),
            *(breaker.pause for breaker in self._breakers.active.values()),
        )

    def start(self, now: float) -> bool:
        """Count one send that starts now, and return True; count nothing and return False when it may not start."""
        if self.in_flight < self.limit and self._only_limited(now):
            self.in_flight += 1  # the fast path: with no pause and no rate there is nothing else to count
            return True
        if self.admit(now).allowed < 1:
            return False
        self.in_flight += 1
        self.rate.take(now)
        self._breakers.count_probe(now)
        return True

    def withdraw(self) -> None:
        """Take back a `start`: no DELETE went out, or its answer will never be known."""
        self.in_flight -= 1

    def observe(self, now: float, session_id: SessionId, verdict: Verdict, *, began: float, jitter: float) -> None:
        """Take in the answer to a send that `start` counted at the instant `began`; `jitter` is uniform in [0, 1)."""
        self._limiter.observe(now, verdict, began=began, in_flight=self.in_flight)
        self.in_flight -= 1
        if is_own(verdict):
            self._foreign.clear()
        match verdict:
            case Final(outcome=outcome):
                self.finals += 1
                self._failures, self._recovering = 0, False
                self._throttle.calm()
                self._forbidden = self._forbidden + 1 if outcome is Outcome.FORBIDDEN else 0
                self._end_probes(None if outcome is not Outcome.FORBIDDEN else PauseReason.FORBIDDEN_STORM)
                if self._forbidden >= FORBIDDEN_TO_PAUSE:
                    self._pause(now, PauseReason.FORBIDDEN_STORM, f"{FORBIDDEN_TO_PAUSE} answers of 403 in a row")
            case Unauthorized(generation=generation):
                if generation not in (None, self.generation):
                    return  # late, from before a rotation: it says nothing of the current token
                if generation is not None:
                    self._end_probes(PauseReason.CREDENTIALS)
                self._pause(now, PauseReason.CREDENTIALS, no_token(verdict))
            case Foreign(status=status):
                if len(self._foreign) < FOREIGN_IDS_TO_PAUSE:
                    self._foreign.add(session_id)
                self._end_probes(PauseReason.WRONG_TARGET)
                if len(self._foreign) >= FOREIGN_IDS_TO_PAUSE:
                    self._pause(now, PauseReason.WRONG_TARGET, f"answers that are not the API's, the last a {status}")
            case Throttled(after_s=after_s):
                self._end_probes(None)
                self._throttle.hold(now, after_s, jitter)
            case ServerFault(status=status):
                self._end_probes(PauseReason.API_DOWN)
                self._count_failure(now, f"answers of {status}")
            case Broken(fault=fault) | Unsent(fault=fault):
                self._count_failure(now, no_answer(fault))
            case _ as never:
                assert_never(never)

    def observe_read(self, now: float, verdict: ReadVerdict, *, jitter: float) -> None:
        """Take in the answer to an identity read; `jitter` is uniform in [0, 1)."""
        current = (None, self.generation)
        if isinstance(verdict, Proven | OtherAccount | Unauthorized) and verdict.generation not in current:
            return  # asked before a rotation, which made the next read due at once
        match verdict:
            case Proven():
                self._prove(now)
            case Throttled(after_s=after_s):
                self._throttle.hold(now, after_s, jitter)
            case _:
                reason, detail = read_refusal(verdict)
                self._pause(now, reason, detail, reopen=True)
        refused = self._breakers.is_open(PauseReason.CREDENTIALS)
        self._read_at = now + (READ_MAX_S if refused else backoff_s(self._reads, READ_FIRST_S, READ_MAX_S))
        self._reads += 1

    def target_changed(self, now: float, generation: int, *, elsewhere: bool = False) -> None:
        """Require a new proof of identity at once: the token is another one, or (`elsewhere`) the address is.

        `generation` is that of the current token.
        """
        self.generation = generation
        if elsewhere:  # the silence and the failures of another host say nothing about this one
            self._throttle, self._failures, self._forbidden, self._foreign = Throttle(), 0, 0, set()
        if not self.verify:
            self._breakers.half_open(now, restart=True)
            return
        self._require_proof(now)
        if refused := self._breakers.active.get(PauseReason.CREDENTIALS):
            self._breakers.set(refused.pause)

    def set_operator(self, pause: Pause | None) -> None:
        """Take over the operator's pause as it stands in the queue; None when there is none."""
        self._operator = pause

    def reconfigure(self, now: float, bound: int, rate: RateLimit, *, verify: bool, adaptive: bool) -> None:
        """Take over new settings and keep what was learned. With reads turned off, open pauses become half-open."""
        if verify and not self.verify:
            self._require_proof(now)
        self.bound, self.rate, self.verify, self.adaptive = bound, rate, verify, adaptive
        self._limiter.reconfigure(bound, adaptive=adaptive)
        if not verify:
            self.proven = True
            self._breakers.half_open(float("-inf"), restart=True)

    def _only_limited(self, now: float) -> bool:
        """Return whether nothing but the limit can hold up a send: a short `admit` for the usual case."""
        return self._operator is None and self.unrestricted and self._throttle.until <= now

    def _pause(self, now: float, reason: PauseReason, detail: str, *, reopen: bool = False) -> None:
        """Begin a pause; with `reopen`, one that is half-open waits for a read again. An open one stays as it is."""
        breaker = self._breakers.active.get(reason)
        if breaker is not None and (breaker.next_probe_at is None or not reopen):
            return
        if breaker is None and self.read_due() is None:
            self._reads = 0
            self._read_at = now + (READ_MAX_S if reason is PauseReason.CREDENTIALS else READ_FIRST_S)
        pause = breaker.pause if breaker else Pause(reason, now, detail)
        self._breakers.set(pause, None if self.verify else now + PROBE_FIRST_S)

    def _end_probes(self, same: PauseReason | None) -> None:
        """Close the half-open pauses, except the one whose kind of answer this is (`same`)."""
        if not self._breakers.active:
            return
        for reason in list(self._breakers.active):
            if reason is not same and not self._breakers.is_open(reason):
                self._close(reason)

    def _close(self, reason: PauseReason) -> None:
        """End a pause and forget the answers that led to it."""
        del self._breakers.active[reason]
        if reason is PauseReason.WRONG_TARGET:
            self._foreign.clear()
        elif reason is PauseReason.FORBIDDEN_STORM:
            self._forbidden = 0
        elif reason is PauseReason.API_DOWN:
            self._failures = 0

    def _require_proof(self, now: float) -> None:
        self.proven, self._read_at, self._reads = False, now, 0

    def _prove(self, now: float) -> None:
        self.proven = True
        if PauseReason.API_DOWN in self._breakers.active:
            self._close(PauseReason.API_DOWN)
            self._recovering = True
        self._breakers.half_open(now, restart=not self.verify)

    def _count_failure(self, now: float, detail: str) -> None:
        self._failures += 1
        if self._failures >= (FAILURES_TO_PAUSE_AGAIN if self._recovering else FAILURES_TO_PAUSE):
            self._recovering = False
            self._pause(now, PauseReason.API_DOWN, f"{self._failures} failures in a row, the last: {detail}")

"""The one admission gate: how many sends may start now, and if none, why and until when.

A state machine over what was answered, with time as an argument (any clock that never runs backwards, in seconds). It
holds the operator's switch, identity, credentials, wrong target, the breaker, the throttle, the storm of 403s, the
rate and the bound; `admit` takes the least that any of them allows. SPEC 2 is its source.

How a suspicion ends: *closed* until the read of `GET /api/sessions` succeeds, then *trial*: one DELETE at a time, 1 s
apart doubling to 60 s, until one gets an answer of another kind. The breaker skips the trial: after the read it admits
an eighth of the bound until the first final answer. Where reads are not allowed (`verify` off) all go by trial.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import assert_never

from reaper.core.adaptive_limit import AdaptiveLimit
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
from reaper.core.rate_limit import RateLimit
from reaper.core.throttle import Throttle

BREAKER = 5
BREAKER_RECOVERING = 20
FOREIGN_IDS = 5
STORM = 20
READ_FIRST_S, READ_MAX_S = 1.0, 5.0
PROBE_FIRST_S, PROBE_MAX_S = 1.0, 60.0
RECOVERY_SHARE = 8
_NO_ANSWER = "no answer ({})"


@dataclass(frozen=True, slots=True)
class Admission:
    """`most` sends may start now. When 0: `why` in a word, and `until` when that may change by time alone."""

    most: int
    why: str | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class _PauseState:
    """One automatic pause. `trial_at` None: closed, waiting for the read; else the instant of the next trial."""

    pause: Pause
    next_probe_at: float | None = None
    gap_s: float = PROBE_FIRST_S


@dataclass(slots=True)
class Gate:
    """The state. Not shared between processes; the operator's pause is what the queue says of it."""

    bound: int
    adaptive: bool = False
    rate: RateLimit = field(default_factory=lambda: RateLimit(0.0))
    verify: bool = True
    in_flight: int = 0
    finals: int = 0
    """Final answers so far: what `others_final` is measured with."""
    generation: int = 0
    """The current token's generation."""

    _limiter: AdaptiveLimit = field(init=False)
    _operator: Pause | None = None
    _held: dict[PauseReason, _PauseState] = field(default_factory=dict)
    _proven: bool = field(init=False)
    _read_at: float = float("-inf")
    _read_gap_s: float = READ_FIRST_S
    _throttle: Throttle = field(default_factory=Throttle)
    _failures: int = 0
    _recovering: bool = False
    _foreign: set[SessionId] = field(default_factory=set)
    _storm: int = 0

    def __post_init__(self) -> None:
        self._proven = not self.verify
        self._limiter = AdaptiveLimit(self.bound, adaptive=self.adaptive)

    # --- questions -------------------------------------------------------------------------------------------------

    def admit(self, now: float) -> Admission:
        """Return how many sends may start now."""
        if self._operator is not None:
            return Admission(0, PauseReason.OPERATOR)
        if throttle := self._throttle.pause(now):
            return Admission(0, PauseReason.THROTTLED, throttle.until)
        most = self.limit - self.in_flight
        if not self._proven:
            return Admission(0, next(iter(self._held), "identity"), None)
        for reason, held in self._held.items():
            if held.next_probe_at is None:
                return Admission(0, reason, None)
            if now < held.next_probe_at:
                return Admission(0, reason, held.next_probe_at)
            most = min(most, 1 - self.in_flight)
        if most <= 0:
            return Admission(0, "in_flight", None)
        allowed = self.rate.allowed(now)
        if allowed == 0:
            return Admission(0, "rate", self.rate.next_at(now))
        return Admission(min(most, allowed))

    @property
    def limit(self) -> int:
        """The most sends in flight that the state of the API allows now."""
        most = self._limiter.limit
        return min(most, max(1, self.bound // RECOVERY_SHARE)) if self._recovering else most

    def read_due(self) -> float | None:
        """Return the instant at which the next read is wanted, None when none is."""
        wanted = not self._proven or any(held.next_probe_at is None for held in self._held.values())
        if not wanted or not self.verify:
            return None
        return max(self._read_at, self._throttle.until)

    @property
    def proven(self) -> bool:
        """Whether the API has shown that it is the API and takes the current token."""
        return self._proven

    @property
    def unrestricted(self) -> bool:
        """Whether nothing but the limit holds sends up."""
        return self._proven and not (self._held or self._recovering or self.rate.per_s)

    @property
    def outage(self) -> bool:
        """Whether a send that starts now is a trial of an API that counts as down."""
        return PauseReason.API_DOWN in self._held

    def pauses(self, now: float) -> tuple[Pause, ...]:
        """Return the pauses that hold, in this clock's time."""
        return (
            *filter(None, (self._operator, self._throttle.pause(now))),
            *(held.pause for held in self._held.values()),
        )

    # --- events ----------------------------------------------------------------------------------------------------

    def start(self, now: float) -> bool:
        """Count one send that starts now; False, and nothing counted, when it may not."""
        if self.in_flight < self.limit and self._open(now):
            self.in_flight += 1  # as below, of which nothing else has anything to do then
            return True
        if self.admit(now).most < 1:
            return False
        self.in_flight += 1
        self.rate.take(now)
        for reason, held in self._held.items():
            gap_s = min(PROBE_MAX_S, held.gap_s * 2)
            self._held[reason] = replace(held, next_probe_at=now + held.gap_s, gap_s=gap_s)
        return True

    def observe(self, now: float, session_id: SessionId, verdict: Verdict, *, began: float, jitter: float) -> None:
        """Take in the answer to a send that `start` counted, at `began`; `jitter` is uniform in [0, 1)."""
        self._limiter.observe(now, verdict, began=began, in_flight=self.in_flight)
        self.in_flight -= 1
        if is_own(verdict):
            self._foreign.clear()
        match verdict:
            case Final(outcome=outcome):
                self.finals += 1
                self._failures, self._recovering = 0, False
                self._throttle.calm()
                self._storm = self._storm + 1 if outcome is Outcome.FORBIDDEN else 0
                self._answered_otherwise(None if outcome is not Outcome.FORBIDDEN else PauseReason.FORBIDDEN_STORM)
                if self._storm >= STORM:
                    self._hold(now, PauseReason.FORBIDDEN_STORM, f"{STORM} answers of 403 in a row")
            case Unauthorized(generation=generation):
                if generation not in (None, self.generation):
                    return  # late, from before a rotation: it says nothing of the current token
                if generation is not None:
                    self._answered_otherwise(PauseReason.CREDENTIALS)
                self._hold(now, PauseReason.CREDENTIALS, _no_token(verdict))
            case Foreign(status=status):
                if len(self._foreign) < FOREIGN_IDS:
                    self._foreign.add(session_id)
                self._answered_otherwise(PauseReason.WRONG_TARGET)
                if len(self._foreign) >= FOREIGN_IDS:
                    self._hold(now, PauseReason.WRONG_TARGET, f"answers that are not the API's, the last a {status}")
            case Throttled(after_s=after_s):
                self._answered_otherwise(None)
                self._throttle.hold(now, after_s, jitter)
            case ServerFault(status=status):
                self._answered_otherwise(PauseReason.API_DOWN)
                self._fail(now, f"answers of {status}")
            case Broken(fault=fault) | Unsent(fault=fault):
                self._fail(now, _NO_ANSWER.format(fault.value))
            case _ as never:
                assert_never(never)

    def observe_read(self, now: float, verdict: ReadVerdict, *, jitter: float) -> None:
        """Take in the answer to a read."""
        if isinstance(verdict, Proven | OtherAccount | Unauthorized) and verdict.generation not in (
            None,
            self.generation,
        ):
            return  # asked before a rotation, which made the next read due at once
        match verdict:
            case Proven():
                self._prove(now)
            case OtherAccount(pinned=pinned, found=found):
                detail = f"the token is that of {found}, the queue was filled for {pinned}"
                self._hold(now, PauseReason.WRONG_TARGET, detail, closed=True)
            case Unauthorized():
                self._hold(now, PauseReason.CREDENTIALS, _no_token(verdict), closed=True)
            case Throttled(after_s=after_s):
                self._throttle.hold(now, after_s, jitter)
            case Foreign(status=status):
                detail = f"GET /api/sessions answered {status}, not a list of sessions"
                self._hold(now, PauseReason.WRONG_TARGET, detail, closed=True)
            case ServerFault(status=status):
                self._hold(now, PauseReason.API_DOWN, f"GET /api/sessions answered {status}", closed=True)
            case Broken(fault=fault) | Unsent(fault=fault):
                self._hold(now, PauseReason.API_DOWN, _NO_ANSWER.format(fault.value), closed=True)
            case _ as never:
                assert_never(never)
        refused = self._held.get(PauseReason.CREDENTIALS)
        self._read_at = now + (READ_MAX_S if refused and refused.next_probe_at is None else self._read_gap_s)
        self._read_gap_s = min(READ_MAX_S, self._read_gap_s * 2)

    def target_changed(self, now: float, generation: int, *, elsewhere: bool = False) -> None:
        """Note that the token, or (`elsewhere`) the address is another one: identity has to be shown anew, at once."""
        self.generation = generation
        if elsewhere:  # what another host asked for and failed in says nothing of this one
            self._throttle, self._failures, self._storm, self._foreign = Throttle(), 0, 0, set()
        if not self.verify:
            self._to_trial(now)
            return
        self._proven = False
        self._read_at, self._read_gap_s = now, READ_FIRST_S
        if PauseReason.CREDENTIALS in self._held:
            self._held[PauseReason.CREDENTIALS] = _PauseState(self._held[PauseReason.CREDENTIALS].pause)

    def set_operator(self, pause: Pause | None) -> None:
        """Take over what the queue says of the operator's switch."""
        self._operator = pause

    def reconfigure(self, now: float, bound: int, rate: RateLimit, *, verify: bool, adaptive: bool) -> None:
        """Take over new settings; what was learned stays. Without reads, what waits for one goes by trial."""
        if verify and not self.verify:
            self._proven, self._read_at, self._read_gap_s = False, now, READ_FIRST_S
        self.bound, self.rate, self.verify, self.adaptive = bound, rate, verify, adaptive
        self._limiter.reconfigure(bound, adaptive=adaptive)
        if not verify:
            self._proven = True
            self._to_trial(float("-inf"))

    # --- inside ----------------------------------------------------------------------------------------------------

    def _open(self, now: float) -> bool:
        """Whether nothing but the limit can hold up a send: `admit` in short, for every send of a good day."""
        return self._operator is None and self.unrestricted and self._throttle.until <= now

    def _hold(self, now: float, reason: PauseReason, detail: str, *, closed: bool = False) -> None:
        """Raise a pause, or with `closed` return one that is on trial to waiting for the read."""
        held = self._held.get(reason)
        if held is not None and (held.next_probe_at is None or not closed):
            return
        if held is None and self.read_due() is None:
            self._read_gap_s = READ_FIRST_S
            self._read_at = now + (READ_MAX_S if reason is PauseReason.CREDENTIALS else READ_FIRST_S)
        pause = held.pause if held else Pause(reason, now, detail)
        self._held[reason] = _PauseState(pause, None if self.verify else now + PROBE_FIRST_S)

    def _answered_otherwise(self, same: PauseReason | None) -> None:
        """End the trials that this answer, of the kind `same`, shows to be over."""
        if not self._held:
            return
        for reason in [r for r, held in self._held.items() if held.next_probe_at is not None and r is not same]:
            self._drop(reason)

    def _drop(self, reason: PauseReason) -> None:
        del self._held[reason]
        if reason is PauseReason.WRONG_TARGET:
            self._foreign.clear()
        elif reason is PauseReason.FORBIDDEN_STORM:
            self._storm = 0
        elif reason is PauseReason.API_DOWN:
            self._failures = 0

    def _prove(self, now: float) -> None:
        self._proven = True
        if PauseReason.API_DOWN in self._held:
            self._drop(PauseReason.API_DOWN)
            self._recovering = True
        self._to_trial(now)

    def _to_trial(self, now: float) -> None:
        for reason, held in self._held.items():
            if held.next_probe_at is None or not self.verify:
                self._held[reason] = _PauseState(held.pause, now)

    def _fail(self, now: float, detail: str) -> None:
        self._failures += 1
        if self._failures >= (BREAKER_RECOVERING if self._recovering else BREAKER):
            self._recovering = False
            self._hold(now, PauseReason.API_DOWN, f"{self._failures} failures in a row, the last: {detail}")


def _no_token(verdict: Unauthorized) -> str:
    return "there is no token to send" if verdict.generation is None else "the API refused the token (401)"

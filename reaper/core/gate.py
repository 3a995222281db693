"""The one admission gate: how many sends may start now, and if none, why and until when.

A state machine over answers, with time as an argument: seconds of any clock that never runs backwards. It combines the
operator's pause, the identity read, the automatic pauses (`core/pauses.py`), the throttle, the rate and the limit on
sends in flight; `admit` returns the least that any of them allows. docs/concepts.md is its source. Each part
has a module; the order in which one answer meets them is kept together here, in a little more than 300 lines.

Each automatic pause is a circuit breaker: *open* until the identity read succeeds, then *half-open* (one probe DELETE
at a time), then closed. The pause `api_down` skips the probes: an eighth of the bound is admitted until the first final
answer. Where reads are not allowed (`verify` off), every pause is half-open from its beginning.

It is longer than other files: all of it concerns the same breakers; what counts by itself is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import assert_never

from reaper.core.adaptive_limit import AdaptiveLimit
from reaper.core.admission import Admission
from reaper.core.allowance import Allowance
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
from reaper.core.read_schedule import ReadSchedule
from reaper.core.storm import REFUSED, Storm
from reaper.core.streaks import RECOVERY_SHARE, Streaks
from reaper.core.target import OtherTarget, TargetHold
from reaper.core.throttle import Throttle


@dataclass(slots=True)
class Gate:
    """The state of one process. `bound` is the most sends in flight that the settings allow.

    The worker calls `start` before each send, `observe` after it, and makes a read when `read_due` asks for one.
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
    allowance: Allowance = field(init=False)
    """How many answers of 404 may be booked before a read of the list."""
    proven: bool = field(init=False)
    """Whether the API has shown that it is the API and takes the current token; others only read it."""
    throttle: Throttle = field(default_factory=Throttle)
    """Of the present address. Who sends a request keeps it for the answer: the address may be another one by then."""

    _limiter: AdaptiveLimit = field(init=False)
    _operator: Pause | None = None
    _operator_until: float = inf
    """Until when that counts: later the queue may hold another."""
    _target: TargetHold = field(default_factory=TargetHold)
    _breakers: Breakers = field(default_factory=Breakers)
    _reads: ReadSchedule = field(default_factory=ReadSchedule)
    _throttles: dict[str, Throttle] = field(default_factory=dict)
    """Those of the other addresses that were used: who goes back to one keeps its silence."""
    _streaks: Streaks = field(default_factory=Streaks)

    def __post_init__(self) -> None:
        self.proven = not self.verify
        self.allowance = Allowance(self.verify)
        self._limiter = AdaptiveLimit(self.bound, adaptive=self.adaptive)

    def admit(self, now: float) -> Admission:
        """Return how many sends may start now."""
        if self._operator is not None:
            return Admission(0, PauseReason.OPERATOR)
        if now >= self._operator_until:
            return Admission(0, "unread")
        if self._target.pause is not None:
            return Admission(0, PauseReason.WRONG_TARGET)
        if throttle := self.throttle.pause(now):
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
        return min(limit, max(1, self.bound // RECOVERY_SHARE)) if self._streaks.is_recovering else limit

    def read_due(self) -> float | None:
        """Return the instant of the next read of the list; None when none is needed."""
        if self._target.pause is not None:
            return None
        due = self._reads.due_at if self.needs_identity else self.allowance.read_due()
        return None if due is None else max(due, self.throttle.until)

    @property
    def needs_identity(self) -> bool:
        """Whether nothing is sent until a read succeeds."""
        return self.verify and (not self.proven or any(map(self._breakers.is_open, self._breakers.active)))

    @property
    def has_failed_to_read(self) -> bool:
        """Whether nothing is sent until a read succeeds, and one has failed since that is so."""
        return self.needs_identity and self._reads.reads > 0

    @property
    def unrestricted(self) -> bool:
        """Whether nothing but the limit, the throttle and the operator can hold sends up."""
        return self.may_send and not (self._breakers.active or self._streaks.is_recovering or self.rate.per_s)

    @property
    def is_held_by_operator(self) -> bool:
        """Whether an operator's pause holds."""
        return self._operator is not None

    @property
    def may_send(self) -> bool:
        """Whether the token may go to the present address: it is the queue's, and the API has shown itself there."""
        return self.proven and self._target.pause is None

    @property
    def silent_until(self) -> float:
        """The end of the last silence that a 429 asked for, past or future: nothing at all is sent before it."""
        return self.throttle.until

    def may_go_on(self, now: float) -> bool:
        """Return whether what was started, and is not sent yet, may still be sent: no pause began meanwhile."""
        is_silent = self._operator is not None or now >= self._operator_until or self.throttle.until > now
        return self.may_send and not is_silent and all(one.is_probing for one in self._breakers.active.values())

    @property
    def has_proof(self) -> bool:
        """Whether an answer has shown the present address to be the API's: the read, or 2xx where reads are off."""
        return self.proven if self.verify else self._target.has_stopped

    @property
    def outage(self) -> bool:
        """Whether the API counts as down: a send that starts now is a probe, and its failure is the API's."""
        return PauseReason.API_DOWN in self._breakers.active

    def pauses(self, now: float) -> tuple[Pause, ...]:
        """Return the pauses that hold, their instants on the gate's clock."""
        return (
            *filter(None, (self._operator, self.throttle.pause(now), self._target.pause)),
            *(breaker.pause for reason, breaker in self._breakers.active.items() if not self._target.hides(reason)),
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

    def observe(
        self,
        now: float,
        session_id: SessionId,
        verdict: Verdict,
        *,
        began: float,
        jitter: float,
        throttle: Throttle | None = None,
    ) -> bool:
        """Take in the answer to a send that `start` counted at the instant `began`; `jitter` is uniform in [0, 1).

        `throttle`: as it was when the send began (None: as it is now).
        Returns whether a pause held already because of such answers: then this one charges and settles nothing.
        """
        self._limiter.observe(now, verdict, began=began, in_flight=self.in_flight)
        self.in_flight -= 1
        if is_own(verdict):
            self._streaks.own()
        match verdict:
            case Final():
                outcome = verdict.outcome
                self.finals += 1
                self._target.observe(outcome, began)
                self._streaks.final()
                (throttle or self.throttle).calm()
                if outcome in REFUSED:
                    return self._observe_refusal(now, verdict.status)
                self._streaks.storm.calm()
                if outcome is Outcome.ALREADY_GONE:
                    self.allowance.count(now)
                    self._end_probes(PauseReason.WRONG_TARGET if self.verify else None)
                else:
                    self.allowance.prove()
                    self._end_probes(None, proof=True)
            case Unauthorized(generation=generation):
                if generation not in (None, self.generation):
                    return False  # late, from before a rotation: it says nothing of the current token
                if generation is not None:
                    self._end_probes(PauseReason.CREDENTIALS)
                self._pause(now, PauseReason.CREDENTIALS, no_token(verdict))
            case Foreign():
                withheld = PauseReason.WRONG_TARGET in self._breakers.active
                self._end_probes(PauseReason.WRONG_TARGET)
                self._pause(now, PauseReason.WRONG_TARGET, self._streaks.meet_stranger(session_id, verdict.shown))
                return withheld
            case Throttled(after_s=after_s):
                self._end_probes(None)
                (throttle or self.throttle).hold(now, after_s, jitter)
            case ServerFault(status=status):
                self._end_probes(PauseReason.API_DOWN)
                self._pause(now, PauseReason.API_DOWN, self._streaks.fail(f"answers of {status}"))
            case Broken() | Unsent():
                self._pause(now, PauseReason.API_DOWN, self._streaks.fail(no_answer(verdict)))
            case _ as never:
                assert_never(never)
        return False

    def observe_read(
        self, now: float, verdict: ReadVerdict, *, jitter: float, throttle: Throttle | None = None
    ) -> None:
        """Take in the answer to a read of the list; `jitter` is uniform in [0, 1), `throttle` as for `observe`."""
        current = (None, self.generation)
        if isinstance(verdict, Proven | OtherAccount | Unauthorized) and verdict.generation not in current:
            self.allowance.abandon_read()
            return  # asked before a rotation, which made the next read due at once
        match verdict:
            case Proven():
                self.allowance.succeed()
                self.proven = True
                if PauseReason.API_DOWN in self._breakers.active:
                    self._close(PauseReason.API_DOWN)
                    self._streaks.is_recovering = True
                self._breakers.half_open(now, restart=not self.verify)
            case Throttled(after_s=after_s):
                self.allowance.abandon_read()
                (throttle or self.throttle).hold(now, after_s, jitter)
            case OtherTarget(detail=detail):
                self.allowance.fail()
                self.hold_target(now, detail)
            case _:
                self.allowance.fail()
                reason, detail = read_refusal(verdict)
                certain = isinstance(verdict, OtherAccount) and verdict.known
                self._pause(now, reason, detail, reopen=True, needs_operator=certain)
        self._reads.count(now, refused=self._breakers.is_open(PauseReason.CREDENTIALS))

    def keep_silence(self, now: float, throttled: Throttled, *, jitter: float) -> None:
        """Take in a 429 to a request that was none of the gate's: a sweep's."""
        self.throttle.hold(now, throttled.after_s, jitter)

    def contradict(self, now: float, detail: str) -> None:
        """Begin the pause `wrong_target`: the list shows sessions alive that a DELETE called gone."""
        self.allowance.restart()
        self._streaks.is_one_sided = True
        self._pause(now, PauseReason.WRONG_TARGET, detail)

    def confirm_gone(self) -> None:
        """End the trial of `wrong_target`: the list, read after an answer of 404, does not show its session."""
        if PauseReason.WRONG_TARGET in self._breakers.half_open_reasons():
            self._close(PauseReason.WRONG_TARGET)

    @property
    def is_suspicious(self) -> bool:
        """Whether each answer of 404 needs a read that begins after it."""
        return self.verify and PauseReason.WRONG_TARGET in self._breakers.active

    def target_changed(self, now: float, generation: int, *, moved: tuple[str, str] | None = None) -> None:
        """Require a new proof of identity at once: the token is another one, or the setting of the address is.

        `generation` is that of the current token; `moved`: the addresses before and after, which may be the same.
        """
        self.generation = generation
        self.allowance.restart()
        self._streaks.storm = Storm()
        if moved:  # the silence and the failures of another host say nothing about this one
            before, after = moved
            self._throttles[before] = self.throttle
            self.throttle = self._throttles.pop(after, Throttle())
            self._streaks.change_host()
            self._target.move(now)
        if not self.verify:
            self._breakers.half_open(now, restart=True)
            return
        self.proven, self._reads = False, ReadSchedule(now)
        if refused := self._breakers.active.get(PauseReason.CREDENTIALS):
            self._breakers.set(refused.pause)

    def hold_target(self, now: float, detail: str | None) -> None:
        """Send and read nothing while the address is not the queue's, as `detail` says; None: it is, or none is kept.

        When the hold ends, identity has to be shown anew.
        """
        if self._target.hold(now, detail) and self.verify:
            self.proven, self._reads = False, ReadSchedule(now)

    def set_operator(self, pause: Pause | None, until: float = inf) -> None:
        """Take over the operator's pause from the queue, or its end (None).

        From the instant `until` on nothing is admitted until it is taken over anew: there may be one that nobody read.
        """
        self._operator, self._operator_until = pause, until

    def reconfigure(self, now: float, bound: int, rate: RateLimit, *, verify: bool, adaptive: bool) -> None:
        """Take over new settings and keep what was learned. With reads turned off, open pauses become half-open."""
        if verify and not self.verify:
            self.proven, self._reads = False, ReadSchedule(now)
        self.bound, self.rate, self.adaptive = bound, rate, adaptive
        self.verify = self.allowance.verify = verify
        self._limiter.reconfigure(bound, adaptive=adaptive)
        if not verify:
            self.proven, self._streaks.is_one_sided = True, False
            self._breakers.half_open(float("-inf"), restart=True)

    def _only_limited(self, now: float) -> bool:
        """Return whether nothing but the limit can hold up a send: a short `admit` for the usual case."""
        is_open = self._operator is None and now < self._operator_until
        return is_open and self.unrestricted and self.throttle.until <= now

    def _pause(
        self,
        now: float,
        reason: PauseReason,
        detail: str | None,
        *,
        reopen: bool = False,
        needs_operator: bool = False,
    ) -> None:
        """Begin a pause, if there is a detail; with `reopen`, one that holds gets this detail, and waits for a read."""
        breaker = self._breakers.active.get(reason)
        if detail is None or (breaker is not None and not reopen):
            return
        if breaker is None and not self.needs_identity:
            self._reads.begin_pause(now, refused=reason is PauseReason.CREDENTIALS)
        since = breaker.pause.since if breaker else now
        pause = Pause(reason, since, detail, needs_operator=needs_operator)
        self._breakers.set(pause, None if self.verify else now + PROBE_FIRST_S)

    def _observe_refusal(self, now: float, status: int) -> bool:
        """Take in the API's own 4xx to a DELETE; return whether the storm held already."""
        self._end_probes(PauseReason.FORBIDDEN_STORM)
        breaker = self._breakers.active.get(PauseReason.FORBIDDEN_STORM)
        if breaker is None:
            self._pause(now, PauseReason.FORBIDDEN_STORM, self._streaks.refuse(status))
            return False
        if breaker.is_probing and self._streaks.storm.refuse_trial():
            self._close(PauseReason.FORBIDDEN_STORM)
        return True

    def _end_probes(self, same: PauseReason | None, *, proof: bool = False) -> None:
        """Close the half-open pauses, except the one whose kind of answer this is (`same`).

        One-sided answers need a `proof`: a 2xx, or a list that does not show the session (`confirm_gone`).
        """
        if not self._breakers.active:
            return
        for reason in self._breakers.half_open_reasons():
            unproven = reason is PauseReason.WRONG_TARGET and self._streaks.is_one_sided and not proof
            if reason is not same and not unproven:
                self._close(reason)

    def _close(self, reason: PauseReason) -> None:
        """End a pause and forget the answers that led to it."""
        del self._breakers.active[reason]
        self._streaks.forget(reason)

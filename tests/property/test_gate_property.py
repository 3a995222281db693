"""Every pair of controllers, in random interleavings: the gate keeps every promise at once and never gets stuck.

The drive beside the gate holds what each controller forbids on its own, in its own few words.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reaper.core.classify import (
    Broken,
    Final,
    Foreign,
    Proven,
    ReadVerdict,
    ServerFault,
    Throttled,
    Unauthorized,
    Unsent,
    Verdict,
)
from reaper.core.gate import Gate
from reaper.core.model import Fault, Outcome, Pause, PauseReason, SessionId
from reaper.core.rate_limit import RateLimit

STOPPED = Final(Outcome.STOPPED)
SWITCH = Pause(PauseReason.OPERATOR, 0.0, "maintenance")
AUTOMATIC = frozenset(PauseReason) - {PauseReason.OPERATOR, PauseReason.THROTTLED}
PER_S = 4.0
RESUMES_WITHIN_S = 990.0 + 60.0 + 10.0
"""The longest throttle with its jitter, the longest gap between probes, and a few reads."""

Step = Callable[["Drive"], None]


@dataclass
class Drive:
    """The gate, a clock, and an independent record of what must not happen."""

    gate: Gate
    now: float = 1000.0
    proven: bool = False
    operator: bool = False
    is_elsewhere: bool = False
    """The address is not the queue's."""
    throttled_until: float = 0.0
    waiting: set[PauseReason] = field(default_factory=set)
    """Pauses that only a successful read can half-open."""
    failures: int = 0
    breaker: int = 5
    refusals: int = 0
    are_own: bool = False
    """Ten trials showed that the refusals are the IDs' own."""
    ids: int = 0
    probed_at: float | None = None
    """When the last start was made while a pause was half-open."""
    starts: list[float] = field(default_factory=list)

    def held(self) -> set[PauseReason]:
        return {pause.reason for pause in self.gate.pauses(self.now)}

    def check(self) -> None:
        gate, held = self.gate, self.held()
        admission, due = gate.admit(self.now), gate.read_due()
        assert 0 <= gate.in_flight <= gate.bound
        assert 0 <= admission.allowed <= gate.bound - gate.in_flight
        assert self.waiting <= held
        assert gate.proven == self.proven
        if admission.allowed:
            assert not self.operator
            assert not self.is_elsewhere
            assert self.proven
            assert not self.waiting
            assert self.now >= self.throttled_until
            if held & AUTOMATIC:
                assert (admission.allowed, gate.in_flight) == (1, 0)
                assert self.probed_at is None or self.now >= self.probed_at + 1.0
        else:
            assert admission.why
            assert admission.until is None or admission.until > self.now
            stopped = self.operator or self.is_elsewhere
            assert gate.in_flight or stopped or admission.until is not None or due is not None
        assert due is None or not self.is_elsewhere
        if due is not None and self.now < self.throttled_until:
            assert due >= self.throttled_until
        assert (PauseReason.THROTTLED in held) or self.now >= self.throttled_until
        assert self.failures < self.breaker or PauseReason.API_DOWN in held
        assert self.refusals < 20 or self.are_own or PauseReason.FORBIDDEN_STORM in held

    def wait(self, wait_s: float) -> None:
        self.now += wait_s

    def send(self, most: int) -> None:
        allowed = self.gate.admit(self.now).allowed
        probing = bool(self.held() & AUTOMATIC)
        started = 0
        while started < most and self.gate.start(self.now):
            started += 1
            self.check()
        assert started == min(most, allowed)
        if started:
            self.probed_at = self.now if probing else None
            self.starts += [self.now] * started
            if self.gate.rate.per_s:
                assert sum(self.now - at < 1.0 for at in self.starts) <= PER_S * 1.02 + 1

    def answer(self, verdict: Verdict, most: int, jitter: float = 0.5) -> None:
        for _ in range(min(most, self.gate.in_flight)):
            before, in_flight = self.held(), self.gate.in_flight
            self.ids += 1
            session_id = SessionId(f"ses-{self.ids}")
            withheld = self.gate.observe(self.now, session_id, verdict, began=self.now, jitter=jitter)
            assert self.gate.in_flight == in_flight - 1
            match verdict:
                case Final(outcome=outcome):
                    self.failures, self.breaker = 0, 5
                    if outcome not in (Outcome.FORBIDDEN, Outcome.REJECTED):
                        self.refusals, self.are_own = 0, False
                    elif PauseReason.FORBIDDEN_STORM not in before:
                        self.refusals += 1
                    elif PauseReason.FORBIDDEN_STORM not in self.held():
                        self.are_own = True
                    assert withheld == (
                        PauseReason.FORBIDDEN_STORM in before and outcome in (Outcome.FORBIDDEN, Outcome.REJECTED)
                    )
                case ServerFault() | Broken() | Unsent():
                    self.failures += 1
                case Throttled():
                    self.throttle(verdict)
                case Unauthorized(generation=generation) if generation in (None, self.gate.generation):
                    assert PauseReason.CREDENTIALS in self.held()
                case Unauthorized():
                    assert self.held() == before, "an answer to an older token changes nothing"
                case _:
                    pass
            self.note(before)
            self.check()

    def read(self, verdict: ReadVerdict) -> None:
        due = self.gate.read_due()
        if due is None or due > self.now:
            return
        before = self.held()
        self.gate.observe_read(self.now, verdict, jitter=0.5)
        stale = isinstance(verdict, Proven | Unauthorized) and verdict.generation not in (None, self.gate.generation)
        if stale:
            assert self.gate.read_due() == due
        elif isinstance(verdict, Throttled):
            self.throttle(verdict)
        elif isinstance(verdict, Proven):
            self.proven = True
            self.waiting.clear()
            assert PauseReason.API_DOWN not in self.held()
            if PauseReason.API_DOWN in before:
                self.failures, self.breaker = 0, 20
                assert self.gate.limit == max(1, self.gate.bound // 8)
        else:
            again = self.gate.read_due()
            assert again is not None
            assert again > self.now
            assert again <= self.now + 5.0 or PauseReason.THROTTLED in self.held()
        self.note(before)
        self.check()

    def throttle(self, verdict: Throttled) -> None:
        after_s = min(max(verdict.after_s or 0.0, 1.0), 900.0)
        self.throttled_until = max(self.throttled_until, self.now + after_s)

    def note(self, before: set[PauseReason]) -> None:
        """Take in which pauses began and ended."""
        held = self.held()
        if self.gate.verify:
            self.waiting |= (held - before) & AUTOMATIC
        if PauseReason.API_DOWN in before - held:
            self.failures = 0
        elif PauseReason.API_DOWN in held:
            self.breaker = 5
        if PauseReason.FORBIDDEN_STORM in before - held:
            self.refusals = 0

    def switch(self, on: bool) -> None:
        self.operator = on
        self.gate.set_operator(SWITCH if on else None)

    def move(self, elsewhere: bool) -> None:
        self.gate.hold_target(self.now, "elsewhere" if elsewhere else None)
        if self.is_elsewhere and not elsewhere and self.gate.verify:
            self.proven = False
        self.is_elsewhere = elsewhere
        assert not elsewhere or PauseReason.WRONG_TARGET in self.held()

    def rotate(self) -> None:
        self.gate.target_changed(self.now, self.gate.generation + 1)
        self.probed_at, self.refusals, self.are_own = None, 0, False
        if self.gate.verify:
            self.proven = False
            assert self.gate.read_due() == self.now or PauseReason.THROTTLED in self.held() or self.is_elsewhere

    def reload(self, verify: bool) -> None:
        if verify and not self.gate.verify:
            self.proven = False
        self.gate.reconfigure(self.now, self.gate.bound, self.gate.rate, verify=verify, adaptive=False)
        self.probed_at = None
        if not verify:
            self.proven = True
            self.waiting.clear()

    def heal(self) -> None:
        """From here on the API is well and the operator lifts the switch: everything resumes within bounded time."""
        self.switch(False)
        self.move(False)
        healed_at = self.now
        for _ in range(100):
            self.answer(STOPPED, self.gate.in_flight)
            self.read(Proven(self.gate.generation))
            if self.proven and not self.held() and self.gate.limit == self.gate.bound:
                break
            self.send(1)
            if not self.gate.in_flight:
                instants = (self.gate.admit(self.now).until, self.gate.read_due())
                self.now = max(self.now, min(at for at in instants if at is not None))
        assert self.now <= healed_at + RESUMES_WITHIN_S
        self.now += 1 / PER_S
        assert self.gate.admit(self.now).allowed == (1 if self.gate.rate.per_s else self.gate.bound)


def answers(*verdicts: Verdict) -> st.SearchStrategy[Step]:
    def make(verdict: Verdict, most: int, jitter: float) -> Step:
        return lambda drive: drive.answer(verdict, most, jitter)

    return st.builds(make, st.sampled_from(verdicts), st.sampled_from([1, 5, 40]), st.sampled_from([0.0, 0.5, 0.99]))


def refused(drive: Drive, age: int, most: int) -> None:
    drive.answer(Unauthorized(drive.gate.generation - age), most)


def read_late(drive: Drive, age: int, good: bool) -> None:
    generation = drive.gate.generation - age
    drive.read(Proven(generation) if good else Unauthorized(generation))


def calls(method: Callable[..., None], *choices: Any) -> st.SearchStrategy[Step]:
    return st.sampled_from(choices).map(lambda args: lambda drive: method(drive, *args))


EVERYDAY = [
    calls(Drive.wait, (0.0,), (0.01,), (0.3,), (1.0,), (5.0,), (61.0,)),
    calls(Drive.send, (1,), (5,), (40,)),
    answers(STOPPED),
    calls(read_late, (0, True)),
]
CONTROLLERS: dict[str, list[st.SearchStrategy[Step]]] = {
    "operator": [calls(Drive.switch, (True,), (False,))],
    "identity": [
        calls(Drive.rotate, ()),
        calls(Drive.reload, (True,), (False,)),
        calls(read_late, (1, True), (1, False)),
        calls(Drive.read, (Foreign(404),), (ServerFault(502),), (Throttled(3.0),)),
    ],
    "target": [calls(Drive.move, (True,), (False,)), calls(Drive.rotate, ()), answers(Foreign(404))],
    "credentials": [calls(refused, (0, 1), (0, 40), (1, 5)), calls(read_late, (0, False)), calls(Drive.rotate, ())],
    "wrong_target": [answers(Foreign(302), Foreign(404)), calls(Drive.read, (Foreign(403),))],
    "api_down": [
        answers(ServerFault(502), ServerFault(408, own=True), Broken(Fault.TIMEOUT), Unsent(Fault.DNS)),
        calls(Drive.read, (Broken(Fault.TIMEOUT),), (ServerFault(500),)),
    ],
    "throttled": [
        answers(Throttled(None), Throttled(0.0), Throttled(30.0), Throttled(86_400.0)),
        calls(Drive.answer, (Throttled(30.0), 1), (Throttled(0.0), 1)),
        calls(Drive.read, (Throttled(7.0),)),
    ],
    "forbidden_storm": [answers(Final(Outcome.FORBIDDEN)), answers(Final(Outcome.REJECTED))],
    "rate": [calls(Drive.wait, (0.1,), (1 / PER_S,))],
    "bound": [calls(Drive.send, (1,), (2,))],
}


@pytest.mark.parametrize("pair", list(combinations(CONTROLLERS, 2)), ids="+".join)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_pair_keeps_its_promises_and_resumes(pair: tuple[str, str], data: st.DataObject) -> None:
    verify = data.draw(st.booleans()) or "identity" in pair
    bound = data.draw(st.integers(1, 3)) if "bound" in pair else 32
    gate = Gate(bound, rate=RateLimit(PER_S if "rate" in pair else 0.0), verify=verify)
    drive = Drive(gate, proven=not verify)
    drive.check()
    if "identity" not in pair:
        drive.read(Proven(0))
    steps = st.one_of(*EVERYDAY, *(step for name in pair for step in CONTROLLERS[name]))
    for step in data.draw(st.lists(steps, min_size=1, max_size=40)):
        step(drive)
        drive.check()
    drive.heal()

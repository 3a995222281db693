"""What the tests of the gate share: short names, and the shortest way into each pause."""

from collections.abc import Callable

from reaper.core.classify import (
    Final,
    Foreign,
    Proven,
    ServerFault,
    Unauthorized,
    Verdict,
)
from reaper.core.gate import Gate
from reaper.core.model import Outcome, Pause, PauseReason, SessionId

DOWN, REFUSED, WRONG, STORMY, THROTTLED, OPERATOR = (
    PauseReason.API_DOWN,
    PauseReason.CREDENTIALS,
    PauseReason.WRONG_TARGET,
    PauseReason.FORBIDDEN_STORM,
    PauseReason.THROTTLED,
    PauseReason.OPERATOR,
)
STOPPED = Final(Outcome.STOPPED)
FORBIDDEN = Final(Outcome.FORBIDDEN)
ID = SessionId("ses-1")
SWITCH = Pause(OPERATOR, 0.0, "maintenance")


def proven(bound: int = 32, **more: object) -> Gate:
    """A gate at time 0 whose identity read succeeded."""
    gate = Gate(bound, **more)  # type: ignore[arg-type]
    gate.observe_read(0.0, Proven(), jitter=0.0)
    return gate


def send(gate: Gate, now: float, verdict: Verdict, session_id: str = ID, jitter: float = 0.0) -> None:
    assert gate.start(now)
    gate.observe(now, SessionId(session_id), verdict, began=now, jitter=jitter)


def held(gate: Gate, now: float) -> set[PauseReason]:
    return {pause.reason for pause in gate.pauses(now)}


def answer_late(gate: Gate, now: float, *verdicts: Verdict) -> None:
    """Let sends that are in flight end."""
    for number, verdict in enumerate(verdicts):
        gate.observe(now, SessionId(f"late-{number}"), verdict, began=0.0, jitter=0.0)


def refuse(gate: Gate) -> None:
    send(gate, 0.0, Unauthorized(gate.generation))


def lose_the_target(gate: Gate) -> None:
    for number in range(5):
        send(gate, 0.0, Foreign(404), f"ses-{number}")


def storm(gate: Gate) -> None:
    for _ in range(20):
        send(gate, 0.0, FORBIDDEN)


def break_down(gate: Gate) -> None:
    for _ in range(5):
        send(gate, 0.0, ServerFault(502))


Raise = Callable[[Gate], None]

"""The automatic pauses, each a circuit breaker (docs/concepts.md). Pure.

*Open*: no DELETE is sent until the read of `GET /api/sessions` succeeds. *Half-open*: one DELETE at a time is sent as a
probe, 1 s apart doubling to 60 s, until one gets an answer of another kind than the answers that opened the breaker.
*Closed*: the pause is over, and nothing of it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from reaper.core.backoff import backoff_s
from reaper.core.classify import Broken, Foreign, OtherAccount, ServerFault, Unauthorized, Unsent
from reaper.core.model import Pause, PauseReason
from reaper.core.target import ACCEPT, CHECK_ADDRESS, CHECK_PROXY, OtherTarget

PROBE_FIRST_S, PROBE_MAX_S = 1.0, 60.0
"""The gap after the first probe, doubled after each one, and the longest gap (docs/concepts.md)."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """One automatic pause, open or half-open."""

    pause: Pause
    next_probe_at: float | None
    """Half-open: the earliest instant of the next probe. Open: None."""
    probes: int = 0
    """Probes sent since it became half-open."""

    @property
    def is_probing(self) -> bool:
        """Whether it is half-open and a probe was sent: an answer that comes now is that probe's."""
        return self.next_probe_at is not None and self.probes > 0


@dataclass(slots=True)
class Breakers:
    """The breakers that are not closed, in the order in which they opened. Instants are seconds of the gate's clock."""

    active: dict[PauseReason, Breaker] = field(default_factory=dict)

    def is_open(self, reason: PauseReason) -> bool:
        """Return whether this pause waits for a read; False when it is half-open or closed."""
        breaker = self.active.get(reason)
        return breaker is not None and breaker.next_probe_at is None

    def half_open_reasons(self) -> list[PauseReason]:
        """Return the reasons of the pauses that probes can end."""
        return [reason for reason, breaker in self.active.items() if breaker.next_probe_at is not None]

    def blocked(self, now: float) -> tuple[PauseReason, float | None] | None:
        """Return the first pause that allows no probe now, and the instant when it does; None when all allow one.

        The instant is None while the pause is open: only a read changes that.
        """
        for reason, breaker in self.active.items():
            at = breaker.next_probe_at
            if at is None or now < at:
                return reason, at
        return None

    def set(self, pause: Pause, next_probe_at: float | None = None) -> None:
        """Make a pause open or, given the instant of its next probe, half-open; either way it begins anew."""
        self.active[pause.reason] = Breaker(pause, next_probe_at)

    def half_open(self, now: float, *, restart: bool) -> None:
        """Let each open pause be probed from `now` on; with `restart`, the gaps of half-open ones begin anew, too."""
        for reason, breaker in self.active.items():
            if restart or breaker.next_probe_at is None:
                self.active[reason] = Breaker(breaker.pause, now)

    def count_probe(self, now: float) -> None:
        """Count a probe that starts now: no pause allows the next one before its gap is over. None may be open."""
        for reason, breaker in self.active.items():
            next_at = now + backoff_s(breaker.probes, PROBE_FIRST_S, PROBE_MAX_S)
            self.active[reason] = Breaker(breaker.pause, next_at, breaker.probes + 1)


def read_refusal(
    verdict: OtherTarget | OtherAccount | Unauthorized | Foreign | ServerFault | Broken | Unsent,
) -> tuple[PauseReason, str]:
    """Return the pause that a failed read of `GET /api/sessions` asks for, and its detail (docs/concepts.md).

    The detail of `wrong_target` ends with the remedy: one reason has several faults, each with another remedy.
    """
    match verdict:
        case OtherTarget():
            return PauseReason.WRONG_TARGET, verdict.detail
        case OtherAccount(pinned=pinned, found=found):
            fault = f"the token is that of {found}, the queue was filled for {pinned}: nothing is sent"
            return PauseReason.WRONG_TARGET, (
                f"{fault}, until there is a token of that account, or the new one is accepted by: {ACCEPT}"
            )
        case Unauthorized():
            return PauseReason.CREDENTIALS, no_token(verdict)
        case Foreign(unsent=True):
            return PauseReason.WRONG_TARGET, f"GET /api/sessions was not sent: {verdict.shown}; {CHECK_PROXY}"
        case Foreign():
            fault = f"GET /api/sessions answered {verdict.shown}, not a list of sessions"
            return PauseReason.WRONG_TARGET, f"{fault}: {CHECK_ADDRESS}"
        case ServerFault(status=status):
            return PauseReason.API_DOWN, f"GET /api/sessions answered {status}"
        case Broken() | Unsent():
            return PauseReason.API_DOWN, no_answer(verdict)
        case _ as never:
            assert_never(never)


def no_answer(verdict: Broken | Unsent) -> str:
    """Return the detail of a send or read that got no answer."""
    return f"no answer ({verdict.fault.value}{': ' + verdict.error if verdict.error else ''})"


def no_token(verdict: Unauthorized) -> str:
    """Return the detail of a send or read that had no good token."""
    missing = verdict.error or "there is no token to send"
    return missing if verdict.generation is None else "the API refused the token (401)"

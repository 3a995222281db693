"""One line of `reaper check`, and what its fault does to `run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reaper.core.errors import QueueUnavailableError, ReaperError
from reaper.core.model import PauseReason


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What keeps `run` from stopping sessions: it ends with `exit`, or `pause` holds it. Neither: it waits."""

    exit: int | None = None
    pause: PauseReason | None = None


WAITS = Hindrance()
"""`run` waits until the queue can be used."""


@dataclass(frozen=True, slots=True)
class Line:
    """The result of one check: its subject, and the fact or the remedy."""

    subject: str
    text: str
    hindrance: Hindrance | None = None
    """None: `run` would start, and this does not keep it from stopping sessions."""
    warned: bool = False
    """It works, but something is at risk."""

    @property
    def ok(self) -> bool:
        return self.hindrance is None

    @property
    def word(self) -> str:
        return "FAIL" if not self.ok else "warn" if self.warned else "ok"

    def as_json(self) -> dict[str, object]:
        found = self.hindrance or Hindrance()
        return {
            "subject": self.subject,
            "ok": self.ok,
            "warned": self.warned,
            "text": self.text,
            "exit": None if found.exit is None else int(found.exit),
            "pause": None if found.pause is None else found.pause.value,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `run` would do now, by all lines: the first that ends it or lets it wait counts, else each pause."""

    exit: int | None
    waits: bool
    pauses: tuple[PauseReason, ...]
    because: tuple[str, ...]
    """The subjects of the lines that say so."""

    @property
    def stops_sessions(self) -> bool:
        return not self.because

    def as_json(self) -> dict[str, object]:
        return {
            "stops_sessions": self.stops_sessions,
            "exit": None if self.exit is None else int(self.exit),
            "waits": self.waits,
            "pauses": [reason.value for reason in self.pauses],
            "because": list(self.because),
        }

    @property
    def line(self) -> Line:
        """The last line of the report."""
        because = " and ".join(self.because)
        if self.exit is not None:
            return Line("run", f"would end with {int(self.exit)}, because of {because}", Hindrance(self.exit))
        if self.waits:
            return Line("run", f"would wait, and do nothing before the {because} can be used", WAITS)
        if self.pauses:
            names = ", ".join(reason.value for reason in self.pauses)
            return Line("run", f"would start, and stop nothing: paused ({names})", Hindrance(pause=self.pauses[0]))
        return Line("run", "would start, and could stop sessions now")


def verdict_of(lines: Sequence[Line]) -> Verdict:
    """Return what `run` would do, by lines in the order of its first steps."""
    found = [(line.subject, line.hindrance) for line in lines if line.hindrance is not None]
    for subject, hindrance in found:
        if hindrance.exit is not None or hindrance == WAITS:
            return Verdict(hindrance.exit, hindrance.exit is None, (), (subject,))
    pauses = tuple(dict.fromkeys(hindrance.pause for _, hindrance in found if hindrance.pause is not None))
    return Verdict(None, False, pauses, tuple(dict.fromkeys(subject for subject, _ in found)))


def hindrance_of(error: ReaperError, *, waited_for: bool = False) -> Hindrance:
    """Return what an error of the start does to `run`. `waited_for`: `run` waits until an outage of it is over."""
    return WAITS if waited_for and isinstance(error, QueueUnavailableError) else Hindrance(error.exit_code)

"""Faults of one DELETE or of the whole server, and their notation.

Write one behaviour as `NAME` or `NAME:VALUE`:

    ok              no fault
    502, 429:3      that status (200…599) and, as VALUE, a Retry-After header; a 2xx also stops the session, and
                    before a 404 or 410 somebody else has stopped it
    gateway         404 in JSON from a gateway without routes, the session lives
    reset           the connection is reset, the session lives
    lost            the session is stopped, then the connection is reset without an answer
    hang            no answer, the connection stays open, the session lives
    drip, drip:0.1  the session is stopped, the answer comes a byte a second (or every VALUE seconds)
    garbage         bytes that are not HTTP, the session lives
    slow:2          an ordinary answer, VALUE seconds later

Rates are a comma-separated list of behaviours, each followed by its share of all DELETEs: `502:0.2,slow:2:0.05`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from reaper.sandbox.answers import Answer, as_json, envelope, page, reason


class Delivery(Enum):
    """The way an answer is delivered."""

    WHOLE = "whole"
    RESET = "reset"
    HANG = "hang"
    DRIP = "drip"
    GARBAGE = "garbage"
    ENDLESS = "endless"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The behaviour towards one request. Without `answers` the ordinary answer is sent; several take turns."""

    name: str | None = None
    """Name of the fault in the log; None for a sound server."""
    delivery: Delivery = Delivery.WHOLE
    executes: bool = False
    """Whether the request takes effect, so that a DELETE stops its session."""
    is_late: bool = False
    """Whether somebody else stopped the session of the DELETE before."""
    answers: tuple[Answer, ...] = ()
    extra_s: float = 0.0
    every_s: float = 1.0
    """Seconds between two bytes of a drip."""


SOUND = Behaviour(executes=True)
RESET = Behaviour("reset", Delivery.RESET)
HANG = Behaviour("hang", Delivery.HANG)
DRIP = Behaviour("drip", Delivery.DRIP, executes=True)

Rates = tuple[tuple[Behaviour, float], ...]

_GATEWAY = as_json({"message": "no Route matched with those values"}, status=404)

_PLAIN = {
    "ok": SOUND,
    "reset": RESET,
    "lost": Behaviour("lost", Delivery.RESET, executes=True),
    "hang": HANG,
    "garbage": Behaviour("garbage", Delivery.GARBAGE),
    "gateway": Behaviour("gateway", answers=(_GATEWAY,)),
}


def answering(status: int, *, retry_after: str | None = None) -> Behaviour:
    """Return the behaviour that answers with this status; a 5xx is empty or a page in turns."""
    headers = (("retry-after", retry_after),) if retry_after is not None else ()
    if status in (204, 304):
        answers: tuple[Answer, ...] = (Answer(status, headers=headers),)
    elif status < 300:
        answers = (as_json({"ok": True}, status=status, headers=headers),)
    elif status < 500:
        answers = (envelope(status, f"The sandbox is set to answer {status}.", headers=headers),)
    else:
        answers = (Answer(status, headers=headers), page(status, f"{status} {reason(status)}", headers=headers))
    return Behaviour(str(status), executes=status < 300, is_late=status in (404, 410), answers=answers)


def parse_behaviour(text: str) -> Behaviour:
    """Parse one behaviour. Raises ValueError with a sentence for the operator."""
    name, colon, value = text.strip().partition(":")
    if name in _PLAIN and not colon:
        return _PLAIN[name]
    if name == "drip":
        return replace(DRIP, every_s=_seconds(text, value)) if colon else DRIP
    if name == "slow":
        return Behaviour("slow", executes=True, extra_s=_seconds(text, value))
    if name.isascii() and name.isdigit() and 200 <= int(name) <= 599:
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"fault {text!r}: the Retry-After value must be printable ASCII")
        return answering(int(name), retry_after=value if colon else None)
    known = ", ".join([*_PLAIN, "drip[:SECONDS]", "slow:SECONDS", "or a status from 200 to 599[:RETRY-AFTER]"])
    raise ValueError(f"fault {text!r} is not known; use {known}")


def parse_rates(text: str) -> Rates:
    """Parse `502:0.2,hang:0.001`. Raises ValueError with a sentence for the operator."""
    rates: list[tuple[Behaviour, float]] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        what, _, share = part.rpartition(":")
        try:
            rate = float(share)
        except ValueError:
            rate = -1.0
        if not what or not 0 <= rate <= 1:
            raise ValueError(f"fault {part!r}: end it with a share between 0 and 1, as in 502:0.2")
        rates.append((parse_behaviour(what), rate))
    if sum(rate for _, rate in rates) > 1 + 1e-9:
        raise ValueError(f"faults {text!r}: the shares add up to more than 1")
    return tuple(rates)


def choose(rates: Rates, share: float) -> Behaviour:
    """Return the behaviour for a random number from 0 to 1."""
    for behaviour, rate in rates:
        if share < rate:
            return behaviour
        share -= rate
    return SOUND


@dataclass(slots=True)
class Script:
    """The behaviours of the next DELETEs of one session; `forever` repeats the last one."""

    behaviours: list[Behaviour]
    forever: bool = False

    def take(self) -> Behaviour | None:
        """Return the next behaviour, None when none is left."""
        if self.forever and len(self.behaviours) == 1:
            return self.behaviours[0]
        return self.behaviours.pop(0) if self.behaviours else None


def parse_script(parts: Sequence[str | Behaviour]) -> Script:
    """Parse a list of behaviours; the word `forever` at its end repeats the last one. Raises ValueError."""
    forever = bool(parts) and parts[-1] == "forever"
    listed = list(parts[:-1] if forever else parts)
    if not listed:
        raise ValueError("a script needs at least one behaviour, as in 502 or lost")
    return Script([parse_behaviour(part) if isinstance(part, str) else part for part in listed], forever)


class Mode(StrEnum):
    """The behaviour of the whole server until the next change."""

    OK = "ok"
    PAUSE = "pause"
    """Requests are read and kept; they are answered after the mode changes."""
    OUTAGE = "outage"
    RESET = "reset"
    HANG = "hang"
    HTML_404 = "html404"
    HTML_405 = "html405"
    JSON_404 = "json404"
    GATEWAY = "gateway"
    HTML_200 = "html200"
    REDIRECT = "redirect"


_LOGIN = (("location", "/login"),)

MODES = {
    Mode.OUTAGE: replace(answering(502), name="outage"),
    Mode.RESET: RESET,
    Mode.HANG: HANG,
    Mode.HTML_404: Behaviour("html404", answers=(page(404, "404 Not Found"),)),
    Mode.HTML_405: Behaviour("html405", answers=(page(405, "405 Not Allowed"),)),
    Mode.JSON_404: Behaviour("json404", answers=(as_json({"status": 404}, status=404),)),
    Mode.GATEWAY: _PLAIN["gateway"],
    Mode.HTML_200: Behaviour("html200", answers=(page(200, "Welcome"),)),
    Mode.REDIRECT: Behaviour("redirect", answers=(page(302, "Please sign in", headers=_LOGIN),)),
}


def _seconds(text: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise ValueError(f"fault {text!r} needs its seconds, as in {text.partition(':')[0]}:2")
    return seconds

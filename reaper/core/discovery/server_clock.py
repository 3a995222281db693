"""The server's clock, read from its `Date` headers (docs/discovery.md). Pure: local clocks are arguments.

Sessions are judged by the clock that wrote their times, so a wrong clock of this machine changes no judgement. A clock
that contradicts itself is refused: between two answers the server's time must move as a monotonic clock does.
"""

from __future__ import annotations

from dataclasses import dataclass

from reaper.core.text import format_duration, sanitize
from reaper.core.times import http_date

MAX_SKEW_S = 300.0
"""The most seconds by which the server's time and the monotonic clock may move apart between two answers."""
SETTLED_AFTER_S = 900.0
"""The seconds for which a clock that has jumped must agree with itself before it is believed again."""
REBASE_AFTER_S = 3600.0
"""The most age of the reading that later ones are compared with: two sound clocks drift apart by minutes in months."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One `Date` header and the instant of its arrival."""

    server_at: float
    """As in the header, in whole seconds: the server's clock is never behind it, so no session seems too old."""
    monotonic_at: float
    """The middle of the round trip on a clock that never runs backwards and counts sleep (CLOCK_BOOTTIME)."""
    skew_s: float
    """The seconds by which the server's clock is ahead of this machine's; for people, no judgement uses it."""
    within_s: float
    """The greatest error of `skew_s`: half the round trip and half a second."""


@dataclass(frozen=True, slots=True)
class NoServerTime:
    """An answer without a readable `Date`: no rule by time may reap."""

    reason: str


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The server's time and the monotonic clock moved apart: nothing may be reaped by this answer."""

    reason: str


@dataclass(frozen=True, slots=True)
class ServerClock:
    """The earlier readings of one server's clock. Each process begins with none; kept per base URL."""

    base: ClockReading | None = None
    suspect: ClockReading | None = None
    """The first reading since the clock jumped, while later ones agree with it."""


def read_date(
    date: str | None, *, local_at: float, monotonic_at: float, round_trip_s: float
) -> ClockReading | NoServerTime:
    """Return the reading of an answer's `Date` header.

    Args:
        date: the header's value; None when there is none.
        local_at: this machine's time when the answer had arrived, Unix seconds.
        monotonic_at: the same instant on a clock that never runs backwards, seconds.
        round_trip_s: the time from the request's first byte to the answer, seconds.
    """
    if date is None:
        return NoServerTime("the answer has no Date header: the server's time is not known")
    try:
        server_at = http_date(date)
    except ValueError:
        return NoServerTime(
            f"the answer's Date header, '{sanitize(date)}', cannot be read: the server's time is not known"
        )
    half_s = max(0.0, round_trip_s) / 2
    # The header cuts off the fraction of the second: on average the clock was half a second ahead of it.
    skew_s = server_at + 0.5 - (local_at - half_s)
    return ClockReading(server_at, monotonic_at - half_s, skew_s, half_s + 0.5)


def follow(clock: ServerClock, reading: ClockReading) -> tuple[ServerClock, ClockJump | None]:
    """Take in one more reading. Return the clock with it, and the jump when this reading must not be believed.

    After a jump no reading is believed until one agrees with the time before it, or until the new time has agreed with
    itself for `SETTLED_AFTER_S`: a server whose clock was corrected does not stay refused.
    """
    if clock.base is None or _off_s(clock.base, reading) <= MAX_SKEW_S:
        aged = clock.base is None or reading.monotonic_at - clock.base.monotonic_at >= REBASE_AFTER_S
        return ServerClock(reading if aged else clock.base), None
    suspect = clock.suspect
    if suspect is None or _off_s(suspect, reading) > MAX_SKEW_S:
        suspect = reading
    elif reading.monotonic_at - suspect.monotonic_at >= SETTLED_AFTER_S:
        return ServerClock(reading), None
    moved_s = reading.server_at - clock.base.server_at
    passed_s = reading.monotonic_at - clock.base.monotonic_at
    direction = "on" if moved_s >= 0 else "back"
    return ServerClock(clock.base, suspect), ClockJump(
        f"the server's clock moved {direction} by {format_duration(abs(moved_s))} while "
        f"{format_duration(abs(passed_s))} passed: no session is judged by a clock that jumps"
    )


def _off_s(earlier: ClockReading, later: ClockReading) -> float:
    return abs((later.server_at - earlier.server_at) - (later.monotonic_at - earlier.monotonic_at))

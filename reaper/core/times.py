"""Times and durations as people and servers write them (RFC 3339, HTTP-date, `1h30m`)."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from reaper.core.text import sanitize

LAST_INSTANT = 253_402_300_799.0
"""9999-12-31T23:59:59Z: beyond it a calendar, and RFC 3339, show nothing."""
MAX_DURATION_S = 100 * 365 * 86400.0

_time = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<minute>[0-9]{2}:[0-9]{2}):(?P<second>[0-5][0-9]|60)"
    r"(?P<fraction>\.[0-9]+)?(?P<zone>[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_duration = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?")
_seconds = re.compile(_NUMBER)
_DURATION_UNITS_S = (86400, 3600, 60, 1)

DURATION_PATTERN = rf"^(?=[0-9])({_NUMBER}|{_duration.pattern})$"
"""The texts that `parse_duration` reads, as a regular expression of JSON Schema (ECMA 262)."""
DURATION_EXAMPLES = ("45s", "1h30m", "30d")


def parse_time(text: str) -> float:
    """Return the instant of an RFC 3339 time with a zone, Unix seconds. Raises ValueError with a sentence.

    Times before 1970 are refused: programs write "no time" so, and an ID with such a time would be due at once. The
    last hours of the year 9999, in zones west of Greenwich, and its leap second are taken as its end.
    """
    match = _time.fullmatch(text)
    shown = sanitize(text)
    if match is None:
        raise ValueError(f"'{shown}' is not a time with a zone (RFC 3339) such as 2030-01-31T12:00:00Z")
    second = int(match["second"])
    # A leap second exists in RFC 3339, but not in datetime.
    stamp = f"{match['day']}T{match['minute']}:{min(second, 59):02d}{match['zone'].upper()}"
    try:
        whole = (datetime.fromisoformat(stamp) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except ValueError:
        raise ValueError(f"'{shown}' names a day or an hour that does not exist") from None
    at = whole + second // 60 + float(match["fraction"] or 0)
    if at < 0:
        raise ValueError(f"'{shown}' is before 1970")
    return min(at, LAST_INSTANT)


def http_date(text: str) -> float:
    """Return the instant of an HTTP-date in any of its three forms (RFC 9110, 5.6.7), Unix seconds.

    The form without a zone is UTC as well. Raises ValueError.
    """
    if text.count(",") > 1:
        raise ValueError("it is more than one date")  # of which only the first would be read
    try:
        at = parsedate_to_datetime(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def format_time(at: float) -> str:
    """Return an instant as RFC 3339 in UTC, to the millisecond; one outside the calendar as the calendar's end."""
    return to_datetime(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_datetime(at: float) -> datetime:
    """Return an instant as a datetime in UTC, its microseconds cut off; one outside the calendar as its nearest end."""
    if at >= LAST_INSTANT:
        return datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    return datetime.fromtimestamp(max(at, 0.0), UTC)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration: `30m`, `1h30m`, `45s`, `2d` or `90`. Raises ValueError with a sentence."""
    # A number without a unit stands alone: in 1h30 the 30 would not mean seconds.
    match = _duration.fullmatch(f"{text}s" if _seconds.fullmatch(text) else text)
    if match is None or not text:
        raise ValueError(f"'{sanitize(text)}' is not a duration such as 90, 45s, 30m, 1h30m or 2d")
    duration_s = sum(
        float(n) * unit_s for n, unit_s in zip(match.groups(), _DURATION_UNITS_S, strict=True) if n is not None
    )
    if not math.isfinite(duration_s) or duration_s > MAX_DURATION_S:
        raise ValueError("a duration of more than 100 years is surely a mistake")
    return duration_s


def duration_text(duration_s: float) -> str:
    """Return a duration as `parse_duration` reads it: `1h30m`, `30d`, `0.05s`, `0`."""
    parts, rest_s = [], duration_s
    for unit_s, unit in zip(_DURATION_UNITS_S[:-1], "dhm", strict=True):
        count, rest_s = divmod(rest_s, unit_s)
        parts += [f"{count:.0f}{unit}"] if count else []
    parts += [f"{rest_s:.15g}s"] if rest_s else []
    return "".join(parts) or "0"

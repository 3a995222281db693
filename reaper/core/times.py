"""The grammar of IDs, times and durations (SPEC 4), and what of a faulty text may be shown."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from reaper.core.model import SessionId

MAX_ID_CHARS = 128
MAX_SANITIZED_CHARS = 4097
"""Bytes of a faulty text that are looked at: one more than a line may have."""
SHOWN_CHARS = 80
MAX_DURATION_S = 100 * 365 * 86400.0

_odd_character = re.compile(r"[^A-Za-z0-9._:-]")
_token = re.compile(r"archal_ws_\S*")
_time = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<minute>[0-9]{2}:[0-9]{2}):(?P<second>[0-5][0-9]|60)"
    r"(?P<fraction>\.[0-9]+)?(?P<zone>[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_duration = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?")
_seconds = re.compile(_NUMBER)
_DURATION_UNITS_S = (86400, 3600, 60, 1)


def check_id(text: str) -> SessionId:
    """Return the text as an ID. Raises ValueError with the reason when it is not well-formed."""
    if not text:
        raise ValueError("the ID is empty")
    if text.startswith("archal_ws_"):
        raise ValueError("this is a token, not a session ID: take it out of the input and consider it leaked")
    if len(text) > MAX_ID_CHARS:
        raise ValueError(f"the ID is longer than {MAX_ID_CHARS} characters")
    if odd := _odd_character.search(text):
        raise ValueError(f"character {odd.start() + 1} is {odd[0]!a}; an ID has only A-Z a-z 0-9 . _ : -")
    if not text[0].isalnum():
        raise ValueError("the ID does not begin with a letter or a digit")
    if ".." in text:
        raise ValueError("the ID contains '..'")
    return SessionId(text)


def parse_time(text: str) -> float:
    """Return the instant that an RFC 3339 time with a zone names. Raises ValueError with a sentence.

    Times before 1970 are refused: they are how programs write "no time", and would be due at once.
    """
    match = _time.fullmatch(text)
    told = sanitize(text)
    if match is None:
        raise ValueError(f"'{told}' is not a time with a zone (RFC 3339) such as 2030-01-31T12:00:00Z")
    second = int(match["second"])
    # A leap second exists in RFC 3339, but not in datetime.
    stamp = f"{match['day']}T{match['minute']}:{min(second, 59):02d}{match['zone'].upper()}"
    try:
        whole = (datetime.fromisoformat(stamp) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except ValueError:
        raise ValueError(f"'{told}' names a day or an hour that does not exist") from None
    at = whole + second // 60 + float(match["fraction"] or 0)
    if at < 0:
        raise ValueError(f"'{told}' is before 1970")
    return at


def parse_duration(text: str) -> float:
    """Return the seconds that `30m`, `1h30m`, `45s`, `2d` or `90` stand for. Raises ValueError with a sentence."""
    # A bare number stands alone: in 1h30 nobody means seconds.
    match = _duration.fullmatch(f"{text}s" if _seconds.fullmatch(text) else text)
    if match is None or not text:
        raise ValueError(f"'{sanitize(text)}' is not a duration such as 90, 45s, 30m, 1h30m or 2d")
    duration_s = sum(
        float(n) * unit_s for n, unit_s in zip(match.groups(), _DURATION_UNITS_S, strict=True) if n is not None
    )
    if not math.isfinite(duration_s) or duration_s > MAX_DURATION_S:
        raise ValueError("a duration of more than 100 years is surely a mistake")
    return duration_s


def format_duration(seconds: float) -> str:
    """Return a duration for people, its two largest units: `3 h 58 m`, `12 s`, `0 s`."""
    left = max(0, round(seconds))
    units = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    for index, (name, size) in enumerate(units):
        if left >= size:
            count, rest = divmod(left, size)
            text = f"{count} {name}"
            if index + 1 < len(units) and rest >= units[index + 1][1]:
                smaller, size = units[index + 1]
                text += f" {rest // size} {smaller}"
            return text
    return "0 s"


def pluralize(count: int, one: str, more: str) -> str:
    """Return a count with the word that goes with it: `1 session`, `3,000 sessions`."""
    return f"{count:,} {one if count == 1 else more}"


def printable(text: bytes) -> str:
    """Return the first characters of a text, safe for a terminal or a log; what looks like a token is left out."""
    # Masked before it is cut, so that no cut can hide what the mask looks for.
    masked = _token.sub("archal_ws_***", text[:MAX_SANITIZED_CHARS].decode("utf-8", "backslashreplace"))
    cut = masked if len(masked) <= SHOWN_CHARS else masked[: SHOWN_CHARS - 1] + "…"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)


def sanitize(text: str) -> str:
    """Return a text from outside as `printable` has it."""
    return printable(text.encode("utf-8", "backslashreplace"))

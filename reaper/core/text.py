"""Texts for people, counts and durations in words; and texts from outside, read as JSON or made safe to show."""

from __future__ import annotations

import json
import re
from itertools import pairwise

MAX_SANITIZED_BYTES = 4097
"""Bytes of a faulty text that are read: one more than an input line may have (4 KiB)."""
SHOWN_CHARS = 80

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1), ("", 1))
_token = re.compile(r"archal_ws_\S*")


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: `3 h 58 m`, `12 s`, `0 s`."""
    whole = max(0, round(seconds))
    for (name, size), (smaller, part) in pairwise(_UNITS):
        if whole >= size:
            count, rest = divmod(whole, size)
            return f"{count} {name}" + (f" {rest // part} {smaller}" if rest >= part else "")
    return "0 s"


def pluralize(count: int, one: str, more: str) -> str:
    """Return a count and its noun, `one` or `more`: `1 session`, `3,000 sessions`."""
    return f"{count:,} {one if count == 1 else more}"


def printable(text: bytes) -> str:
    """Return the first `SHOWN_CHARS` characters of a text, escaped for a terminal or a log and with tokens masked."""
    # Masked before it is cut: a cut could hide the beginning of a token from the mask.
    masked = _token.sub("archal_ws_***", text[:MAX_SANITIZED_BYTES].decode("utf-8", "backslashreplace"))
    cut = masked if len(masked) <= SHOWN_CHARS else masked[: SHOWN_CHARS - 1] + "…"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)


def sanitize(text: str) -> str:
    """Return a text from outside as `printable` returns bytes."""
    return printable(text.encode("utf-8", "backslashreplace"))


def json_value(text: str | bytes) -> object:
    """Return the value of a JSON text from outside; None, as for `null`, when it cannot be read."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value

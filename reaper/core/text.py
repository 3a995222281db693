"""Texts for people: counts and durations in words, and text from outside made safe to show."""

from __future__ import annotations

import re

MAX_SANITIZED_BYTES = 4097
"""Bytes of a faulty text that are read: one more than an input line may have (SPEC 4: 4 KiB)."""
SHOWN_CHARS = 80

_token = re.compile(r"archal_ws_\S*")


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: `3 h 58 m`, `12 s`, `0 s`."""
    whole = max(0, round(seconds))
    units = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    for index, (name, size) in enumerate(units):
        if whole >= size:
            count, rest = divmod(whole, size)
            text = f"{count} {name}"
            if index + 1 < len(units) and rest >= units[index + 1][1]:
                smaller, size = units[index + 1]
                text += f" {rest // size} {smaller}"
            return text
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

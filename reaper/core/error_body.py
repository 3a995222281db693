"""The errors that the API sends as JSON, and the message in each, which people read instead of the JSON. Pure."""

from __future__ import annotations

import re

from reaper.core.text import json_value, without_tokens

KEYS = ("message", "detail", "error", "code")
"""An error of the API itself is a JSON object with a string under one of these keys (docs/concepts.md); the first one
that has words is its message."""
MAX_MESSAGE_CHARS = 500
EXCERPT_BYTES = 200
"""The bytes that are kept of a body without a message (docs/concepts.md)."""

_strings = re.compile(r'"(message|detail|error|code)"\s*:\s*"((?:[^"\\]|\\.)*)').finditer


def is_own_error(body: bytes) -> bool:
    """Return whether a body is an error of the API itself."""
    value = json_value(body)
    return isinstance(value, dict) and any(isinstance(value.get(key), str) for key in KEYS)


def error_message(body: bytes) -> str | None:
    """Return the message of an error as one line, else the body's first printable bytes; None when it has none."""
    value = json_value(body)
    if isinstance(value, dict):
        for key in KEYS:
            if isinstance(text := value.get(key), str) and (line := _one_line(text)):
                return line if len(line) <= MAX_MESSAGE_CHARS else f"{line[: MAX_MESSAGE_CHARS - 1]}…"
    return _one_line(body[:EXCERPT_BYTES].decode("utf-8", "replace"))


def readable_detail(detail: str) -> str:
    """Return a recorded detail as one line for people.

    Rows of earlier versions hold the first 200 bytes of the JSON itself, and a faulty program may write any text.
    """
    if not detail.startswith("{"):
        return _one_line(detail) or ""
    found = {match[1]: match[2] if detail[match.end() :] else _cut(match[2]) for match in _strings(detail)}
    texts = (json_value(f'"{found[key]}"') for key in KEYS if key in found)
    return next(
        (line for text in texts if isinstance(text, str) and (line := _one_line(text))), _one_line(detail) or ""
    )


def _cut(text: str) -> str:
    """Return the beginning of a JSON string, without a part of an escape at its end."""
    return re.sub(r"\\u?[0-9A-Fa-f]{0,3}$", "", text) + "…"


def _one_line(text: str) -> str | None:
    """Return a text with tokens masked and blanks for what is not printable, None when nothing is left."""
    text = without_tokens(text)
    return " ".join("".join(char if char.isprintable() else " " for char in text).split()) or None

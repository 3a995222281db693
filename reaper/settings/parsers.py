"""Parse single values: URLs, lists and tokens. No message repeats the value, because it may hold a secret."""

from __future__ import annotations

import json
import shlex


def clean_token(text: str) -> str:
    """Return a token without surrounding white space. Raises ValueError if a header could not carry it."""
    token = text.strip()
    if not all("!" <= char <= "~" for char in token):
        raise ValueError("must be one word of visible ASCII characters")
    return token


def items(value: object) -> object:
    """Return the list that a text from the environment stands for: JSON if it begins with `[`, else split at commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json_list(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def words(value: object) -> object:
    """Return the words of a command line: JSON if it begins with `[`, else split and unquoted as a shell does."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json_list(value)
    try:
        return shlex.split(value)
    except ValueError:
        raise ValueError("must have its quotes closed") from None


def _json_list(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("must be a list: JSON, or separated by commas") from None

"""Replaces secrets in texts and in log events.

Masking is the last step of the log chain: a rendered line that holds a secret, escaped or not, is rendered again from
masked values, because replacing text in the line could break its JSON. Few lines hold one, so most cost a search; JSON
lines that are written together are searched together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from reaper.telemetry.json_lines import encode

if TYPE_CHECKING:  # the commands that start at once load no structlog
    from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "********"


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """Return the text with every secret replaced, escaped ones too."""
    for form in _escaped_forms(secrets):
        text = text.replace(form, MASK)
    return text


def holds_secret(text: str, secrets: tuple[str, ...]) -> bool:
    """Return whether a rendered text holds a secret, escaped or not."""
    for form in _rendered_forms(secrets):  # noqa: SIM110  # asked for each line; a generator would double its cost
        if form in text:
            return True
    return False


@dataclass(frozen=True, slots=True)
class MaskedRenderer:
    """A structlog processor: renders an event without secrets in names or values."""

    render: Processor
    secrets: Callable[[], tuple[str, ...]]
    """Called for each line, because tokens rotate."""

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        secrets = self.secrets()
        text = str(self.render(logger, method, event))
        if holds_secret(text, secrets):
            clean = {masked(str(key), secrets): masked_value(value, secrets) for key, value in event.items()}
            return str(self.render(logger, method, clean))
        return text


def masked_json(lines: Sequence[tuple[int, str]], secrets: tuple[str, ...]) -> Sequence[tuple[int, str]]:
    """Return lines of JSON, each with its level and its newline, without secrets in names or values."""
    if not holds_secret("".join([line for _, line in lines]), secrets):
        return lines
    return [(level, _masked_json_line(line, secrets)) for level, line in lines]


def _masked_json_line(line: str, secrets: tuple[str, ...]) -> str:
    if not holds_secret(line, secrets):
        return line
    try:
        return encode(masked_value(json.loads(line), secrets)) + "\n"
    except (ValueError, RecursionError):  # no JSON after all, or nested too deep: masked as text, and never lost
        return masked(line, secrets)


@lru_cache(maxsize=8)
def _escaped_forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the secrets in every escaping, the longest first so that no part of a longer one remains."""
    forms: set[str] = set()
    for secret in filter(None, secrets):
        forms |= {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret)}
    return tuple(sorted(forms, key=len, reverse=True))


@lru_cache(maxsize=8)
def _rendered_forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the texts one of which a rendered line with a secret must contain: its forms, also escaped once more."""
    forms = _escaped_forms(secrets)
    return tuple({text for form in forms for text in (form, json.dumps(form)[1:-1], repr(form)[1:-1])})


def masked_value(value: object, secrets: tuple[str, ...]) -> object:
    """Return a value that renders without secrets; a value that is not plain data becomes its masked repr."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return masked(value, secrets)
        case Mapping():
            return {masked(str(key), secrets): masked_value(item, secrets) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked_value(item, secrets) for item in value]
        case _:
            return masked(repr(value), secrets)

"""The types of settings: each reads and checks a value, from whichever source it comes.

No message repeats the value, because it may hold a secret.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from reaper.core.discovery.entries import fault_of_entry
from reaper.core.times import parse_duration
from reaper.core.urls import http_url, ping_url, proxy_url, queue_url, receiver_url
from reaper.settings.listen_address import split_listen

MAX_RECEIVERS = 20
"""Each receiver of messages has a thread while one is under way."""
PLACEHOLDER_END = ("…", "...")
"""How a token ends in the documentation: it is cut."""
_NEXT_URL = re.compile(r"[,\s]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")


def clean_token(text: str) -> str:
    """Return a token without surrounding white space. Raises ValueError if a header could not carry it."""
    token = text.strip()
    if token.endswith(PLACEHOLDER_END):
        raise ValueError("is the placeholder of the documentation: put your own token in its place")
    if not all("!" <= char <= "~" for char in token):
        raise ValueError("must be one word of visible ASCII characters")
    return token


def _listed(split: Callable[[str], list[str]]) -> Callable[[object], object]:
    """Return the reader of lists that are texts in the environment: JSON where one begins with `[`, else split."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        if not value.lstrip().startswith("["):
            return split(value)
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("must be a list: JSON, or separated by commas") from None

    return read


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _urls(text: str) -> list[str]:
    """Split at commas and blanks before a scheme: a URL of Apprise may hold commas itself."""
    return [url for each in _NEXT_URL.split(text) if (url := each.strip(", \t\r\n"))]


def _receivers(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) > MAX_RECEIVERS:
        raise ValueError(f"must hold at most {MAX_RECEIVERS} URLs")
    for number, value in enumerate(values, start=1):
        try:
            receiver_url(value)
        except ValueError as error:
            raise ValueError(f"{error}: entry {number} is none") from None
    return values


def _words(text: str) -> list[str]:
    """Split and unquote a command line as a shell does."""
    try:
        return shlex.split(text)
    except ValueError:
        raise ValueError("must have its quotes closed") from None


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def read_seconds(value: object) -> object:
    """Return the seconds of a duration that is a text, as `1h30m`; leave it to the float's check where it is none."""
    if not isinstance(value, str):
        return _number(value)
    try:
        return parse_duration(value.strip())
    except ValueError:
        return value


def _entry(value: str) -> str:
    if fault := fault_of_entry(value):
        raise ValueError(f"must hold names, and this entry can match nothing: {fault}")
    return value


def _name(value: str) -> str:
    if "*" in value or "?" in value:
        raise ValueError("must hold whole names: a pattern with * or ? belongs into protect.globs")
    return _entry(value)


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


def _path(value: Path | None) -> Path | None:
    if value is not None and "\0" in str(value):
        raise ValueError("must be a path, and no path holds a NUL character")
    return value


def _paths(values: tuple[Path, ...]) -> tuple[Path, ...]:
    for value in values:
        _path(value)
    return values


def _token(value: SecretStr) -> SecretStr | None:
    token = clean_token(value.get_secret_value())
    return SecretStr(token) if token else None


def _listen(value: str) -> str:
    split_listen(value)
    return value.strip()


Int = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number)]
Seconds = Annotated[float, BeforeValidator(read_seconds)]
"""A duration: a number, or text as in flags."""
OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none), AfterValidator(_path)]
# NoDecode: in the environment a list is JSON or separated by commas, so `_items` must see the raw text.
Names = Annotated[tuple[Annotated[str, AfterValidator(_name)], ...], NoDecode, BeforeValidator(_listed(_items))]
Patterns = Annotated[tuple[Annotated[str, AfterValidator(_entry)], ...], NoDecode, BeforeValidator(_listed(_items))]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_listed(_items)), AfterValidator(_paths)]
Command = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed(_words))]
Url = Annotated[str, AfterValidator(http_url)]
ProxyUrl = Annotated[
    str | None,
    BeforeValidator(_empty_is_none),
    AfterValidator(lambda url: url and proxy_url(url)),
]
ReceiverUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed(_urls)), AfterValidator(_receivers)]
PingUrl = Annotated[
    str | None,
    BeforeValidator(_empty_is_none),
    AfterValidator(lambda url: url and ping_url(url)),
]
QueueUrl = Annotated[str, AfterValidator(lambda url: url and queue_url(url))]
Token = Annotated[
    SecretStr | None,
    BeforeValidator(_empty_is_none),
    AfterValidator(lambda token: token and _token(token)),
]
HttpVersion = Annotated[
    Literal["auto", "1.1", "2"],
    # In TOML the versions look like numbers, and people write them so.
    BeforeValidator(lambda value: str(value) if type(value) in (int, float) else value),
]
Listen = Annotated[str, AfterValidator(_listen)]

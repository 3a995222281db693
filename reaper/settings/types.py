"""The types of settings: each reads and checks a value, from whichever source it comes.

No message repeats the value, because it may hold a secret.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from reaper.core.urls import http_url, queue_url
from reaper.settings.listen_address import split_listen


def clean_token(text: str) -> str:
    """Return a token without surrounding white space. Raises ValueError if a header could not carry it."""
    token = text.strip()
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
OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none), AfterValidator(_path)]
# NoDecode: in the environment a list is JSON or separated by commas, so `_items` must see the raw text.
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], NoDecode, BeforeValidator(_listed(_items))]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_listed(_items)), AfterValidator(_paths)]
Command = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed(_words))]
Url = Annotated[str, AfterValidator(http_url)]
ProxyUrl = Annotated[
    str | None,
    BeforeValidator(_empty_is_none),
    AfterValidator(lambda url: url and http_url(url, userinfo=True)),
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

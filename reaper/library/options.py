"""Turn the arguments of `reaper.open` into settings, credentials and the address of the queue."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from reaper.api.credentials import Credentials
from reaper.app.startup import credentials_of
from reaper.core.errors import ConfigError, UsageError
from reaper.core.urls import sqlite_url
from reaper.settings.load import load
from reaper.settings.schema import Settings
from reaper.settings.state_dir import LEDGER, state_dir
from reaper.settings.types import clean_token

_SETTING_KEYS = {
    "base_url": "api.base_url",
    "token_file": "api.token_file",
    "queue": "queue.url",
    "concurrency": "worker.concurrency",
}


class Options(TypedDict, total=False):
    """The keyword arguments of `reaper.open` and `reaper.stop_sessions`."""

    settings: Settings | Mapping[str, object] | None
    """Any setting of docs/configuration.md by its dotted key, as {"retry.max_attempts": 5}; or whole `Settings`, and
    then neither a file nor the environment is read."""
    config: str | os.PathLike[str] | None
    """Settings file. None: as for the command."""
    token: str | None
    """API token. Overrides every configured one; None: as configured."""
    token_file: str | os.PathLike[str] | None
    """File with the token, read again when it changes."""
    base_url: str | None
    """Address of the API."""
    queue: str | None
    """URL of the queue, as `sqlite:///path` or `postgresql://…`."""
    ledger: str | os.PathLike[str] | None
    """Path of a SQLite ledger, instead of `queue`; relative to the working directory."""
    concurrency: int | None
    """Maximum of DELETEs in flight."""


@dataclass(frozen=True, slots=True)
class EffectiveOptions:
    """The settings and token in effect for one `Reaper`."""

    settings: Settings
    token: str | None = None

    @property
    def queue_url(self) -> str:
        return self.settings.queue.url or sqlite_url(state_dir(os.environ) / LEDGER)

    def credentials(self) -> Credentials:
        """Return the credentials. Raises ConfigError when no token is configured."""
        return credentials_of(self.settings) if self.token is None else Credentials(None, self.token)

    def secrets(self) -> tuple[str, ...]:
        """Return the tokens known without opening a file, for masking in logs."""
        known = self.settings.api.token
        return tuple(filter(None, (self.token, known.get_secret_value() if known else None)))


def effective_options(options: Options) -> EffectiveOptions:
    """Return the options in effect: arguments override the environment, which overrides the settings file.

    Raises ConfigError with a line for each mistake, and UsageError for contradictory arguments.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if unknown := given.keys() - Options.__annotations__.keys():
        raise UsageError(f"there is no argument {min(unknown)!r}; see reaper.Options")
    settings, token = options.get("settings"), options.get("token")
    if isinstance(settings, Settings):
        if more := given.keys() - {"settings", "token"}:
            raise UsageError(f"settings is complete already, {min(more)} has no meaning beside it")
        return EffectiveOptions(settings, _checked_token(token))
    if "queue" in given and "ledger" in given:
        raise UsageError("queue and ledger name the same thing in two ways: give one of them")
    arguments: dict[str, object] = dict(settings or {})
    for name, value in given.items():
        if name in _SETTING_KEYS:
            arguments[_SETTING_KEYS[name]] = os.fspath(value) if isinstance(value, os.PathLike) else value
    if (ledger := options.get("ledger")) is not None:
        arguments["queue.url"] = sqlite_url(Path(ledger).absolute())
    config = options.get("config")
    loaded = load(None if config is None else os.fspath(config), arguments, flag=lambda key, _: f"argument {key}")
    return EffectiveOptions(loaded.settings, _checked_token(token))


def _checked_token(token: str | None) -> str | None:
    if token is None:
        return None
    try:
        clean = clean_token(token)
    except ValueError as error:
        raise ConfigError(f"token {error}") from None
    if not clean:
        raise ConfigError("token is empty: give one, or leave the argument out")
    return clean

"""What the process's surroundings settle beside the settings: the state directory and where the token is."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reaper.core.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from reaper.settings.schema import Settings

TOKEN_VARIABLE = "ARCHAL_TOKEN"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
CREDENTIAL = "archal-token"
LEDGER = "reaper.db"

NO_TOKEN = (
    f"no API token: set {TOKEN_VARIABLE}, api.token_file or api.token, "
    f"or hand the service a credential named {CREDENTIAL}; `reaper demo` needs none"
)


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where the token is: in a file, which is read again when it changes, or a fixed value. Never both."""

    file: Path | None
    value: SecretStr | None
    origin: str
    """What to name when the token is refused: a setting, a variable or a credential."""


def token_source(settings: Settings, environ: Mapping[str, str]) -> TokenSource:
    """Return where the token is; a file wins over a value. A file named by a setting need not exist yet.

    Raises ConfigError when none is configured.
    """
    api = settings.api
    if api.token_file is not None:
        return TokenSource(api.token_file, None, "api.token_file")
    if folder := environ.get(CREDENTIALS_VARIABLE):
        file = Path(folder, CREDENTIAL)
        if os.path.exists(file):
            return TokenSource(file, None, f"${CREDENTIALS_VARIABLE}/{CREDENTIAL}")
    if api.token is not None:
        inherited = environ.get(TOKEN_VARIABLE, "").strip() == api.token.get_secret_value()
        return TokenSource(None, api.token, TOKEN_VARIABLE if inherited else "api.token")
    raise ConfigError(NO_TOKEN)


def state_dir(environ: Mapping[str, str]) -> Path:
    """Return the directory of the ledger, absolute; it need not exist. Raises ConfigError when none can be told."""
    return locate_state(environ)[0]


def locate_state(environ: Mapping[str, str]) -> tuple[Path, str]:
    """Return `state_dir` and which rule named it, for the operator."""
    # systemd separates several directories of one unit by colons.
    if given := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return _absolute(given, "STATE_DIRECTORY"), "in $STATE_DIRECTORY"
    if base := environ.get("XDG_STATE_HOME"):
        return _absolute(base, "XDG_STATE_HOME") / "reaper", "in $XDG_STATE_HOME"
    return _home(environ) / ".local/state/reaper", "in the home directory"


def _absolute(text: str, variable: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise ConfigError(f"{variable} must be an absolute path; unset it, or set queue.url")
    return path


def _home(environ: Mapping[str, str]) -> Path:
    if given := environ.get("HOME"):
        return _absolute(given, "HOME")
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise ConfigError("there is no home directory for the ledger: set STATE_DIRECTORY or queue.url") from None

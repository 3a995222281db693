"""Find the API token: a file, a service credential, a setting or a variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reaper.core.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from reaper.settings.sections import ApiSettings

TOKEN_VARIABLE = "ARCHAL_TOKEN"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
CREDENTIAL = "archal-token"

NO_TOKEN = (
    f"no API token: set {TOKEN_VARIABLE}, api.token_file or api.token, "
    f"or give the service a credential named {CREDENTIAL}; `reaper demo` needs none"
)


@dataclass(frozen=True, slots=True)
class TokenSource:
    """The place of the token: a file, which is read again when it changes, or a fixed value. Never both."""

    file: Path | None
    value: SecretStr | None


def file_of_token(api: ApiSettings, environ: Mapping[str, str]) -> Path | None:
    """Return the file that the token comes from; None when it comes from a value or nowhere."""
    if api.token_file is not None:
        return api.token_file
    if folder := environ.get(CREDENTIALS_VARIABLE):
        file = Path(folder, CREDENTIAL)
        if os.path.exists(file):
            return file
    return None


def token_source(api: ApiSettings, environ: Mapping[str, str]) -> TokenSource:
    """Return the place of the token. A file wins over a value; one named by a setting need not exist yet.

    Raises ConfigError when none is configured.
    """
    if (file := file_of_token(api, environ)) is not None:
        return TokenSource(file, None)
    if api.token is not None:
        return TokenSource(None, api.token)
    raise ConfigError(NO_TOKEN)

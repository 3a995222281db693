"""Find and read the settings file, with the standard library only: `reaper health` runs every few seconds."""

from __future__ import annotations

import os
from collections.abc import Mapping

from reaper.core.errors import ConfigError

DEFAULT_CONFIG = "/etc/reaper/reaper.toml"
"""Read if it exists and no other file is named."""

CONFIG_VARIABLE = "REAPER_CONFIG"


def find_config(config_path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> str | None:
    """Return the settings file: the given path, else $REAPER_CONFIG, else the default path if it exists, else None.

    Raises ConfigError when the operating system does not let us see whether the default one exists.
    """
    named = config_path or environ.get(CONFIG_VARIABLE)
    if named:
        return os.fspath(named)
    try:
        os.stat(DEFAULT_CONFIG)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(
            f"{DEFAULT_CONFIG} cannot be read: {error.strerror}; name another file with --config"
        ) from error
    return DEFAULT_CONFIG


def read_toml(path: str) -> dict[str, object]:
    """Return the tables of a TOML file. Raises ConfigError that names the file and, for a mistake in it, the line."""
    import tomllib

    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise ConfigError(f"the settings file {path} is not a regular file")
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8 (byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        fault = f"is not TOML: {error}"
    except RecursionError:
        fault = "is nested too deeply"
    # Raised outside of the handler: the parser's exception may hold the whole text, secrets included.
    raise ConfigError(f"the settings file {path} {fault}")

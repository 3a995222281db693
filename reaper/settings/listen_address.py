"""`telemetry.listen` alone, found as `reaper.settings.load` finds it but with the standard library only.

`reaper health` is asked every few seconds and cannot pay for the whole of the settings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from reaper.core.errors import ConfigError

DEFAULT_CONFIG = "/etc/reaper/reaper.toml"
"""Read when no other file is named, if it is there."""

DEFAULT_LISTEN = "127.0.0.1:9464"

CONFIG_VARIABLE = "REAPER_CONFIG"
LISTEN_VARIABLE = "REAPER_TELEMETRY__LISTEN"

_LISTEN = re.compile(r"(?:\[(?P<six>[\w:.%]+)\]|(?P<host>[\w.-]+)):(?P<port>\d{1,5})", re.ASCII)


def listen_address(
    config_path: str | os.PathLike[str] | None, environ: Mapping[str, str] | None = None
) -> tuple[str, int] | None:
    """Return host and port of the health listener, None when it is off; `environ` None means the process's own.

    Raises ConfigError for a file that cannot be read or a value that is no address.
    """
    environ = os.environ if environ is None else environ
    listen: object = environ.get(LISTEN_VARIABLE)
    if listen is None:
        path = find_config(config_path, environ)
        section = {} if path is None else read_toml(path).get("telemetry", {})
        listen = section.get("listen", DEFAULT_LISTEN) if isinstance(section, dict) else None
    try:
        if not isinstance(listen, str):
            raise ValueError("must be a string: host:port, or empty to listen nowhere")
        return split_listen(listen)
    except ValueError as error:
        raise ConfigError(f"telemetry.listen {error}") from None


def split_listen(listen: str) -> tuple[str, int] | None:
    """Return host and port of `host:port` (an IPv6 host in brackets), None for an empty text. Raises ValueError."""
    listen = listen.strip()
    if not listen:
        return None
    match = _LISTEN.fullmatch(listen)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("must be host:port (an IPv6 host in brackets), or empty to listen nowhere")
    return match["six"] or match["host"], int(match["port"])


def find_config(config_path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> str | None:
    """Return the settings file: the one named, else $REAPER_CONFIG, else the default one, if it is there.

    Raises ConfigError when it cannot be told whether the default one is there.
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
    """Return what a TOML file holds. Raises ConfigError that names the file and, for a mistake in it, the line."""
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
    # Outside of the handler: what the parser raises may carry the whole text, secrets included.
    raise ConfigError(f"the settings file {path} {fault}")

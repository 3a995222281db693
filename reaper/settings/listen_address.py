"""Read `telemetry.listen` alone: the same result as `reaper.settings.load`, but with the standard library only.

`reaper health` runs every few seconds, and loading all settings would cost it most of its time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from reaper.core.errors import ConfigError
from reaper.settings.config_file import find_config, read_toml

DEFAULT_LISTEN = "127.0.0.1:9464"

LISTEN_VARIABLE = "REAPER_TELEMETRY__LISTEN"

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # the address to ask when it listens everywhere
_LISTEN = re.compile(r"(?:\[(?P<six>[\w:.%]+)\]|(?P<host>[\w.-]+)):(?P<port>\d{1,5})", re.ASCII)


def listen_address(
    config_path: str | os.PathLike[str] | None,
    environ: Mapping[str, str] | None = None,
    profile: str | None = None,
) -> tuple[str, int] | None:
    """Return host and port of the health listener, None when it is off. Arguments are those of `load`.

    Raises ConfigError for a file that cannot be read or a value that is not an address.
    """
    environ = os.environ if environ is None else environ
    listen: object = environ.get(LISTEN_VARIABLE)
    if listen is None:
        path = find_config(config_path, environ, profile).used
        section = {} if path is None else read_toml(path).get("telemetry", {})
        listen = section.get("listen", DEFAULT_LISTEN) if isinstance(section, dict) else None
    try:
        if not isinstance(listen, str):
            raise ValueError("must be a string: host:port, or empty to listen nowhere")
        return split_listen(listen)
    except ValueError as error:
        raise ConfigError(f"telemetry.listen {error}") from None


def address_to_ask(host: str, port: int) -> tuple[str, int]:
    """Return where a listener answers that may listen on all addresses."""
    return _ANY.get(host, host), port


def split_listen(listen: str) -> tuple[str, int] | None:
    """Return host and port of `host:port` (an IPv6 host in brackets), None for an empty text. Raises ValueError."""
    listen = listen.strip()
    if not listen:
        return None
    match = _LISTEN.fullmatch(listen)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("must be host:port (an IPv6 host in brackets), or empty to listen nowhere")
    return match["six"] or match["host"], int(match["port"])

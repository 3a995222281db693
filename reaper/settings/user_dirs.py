"""Find the user's directories for settings and state, with the standard library only: `reaper health` runs often."""

from __future__ import annotations

import os
from collections.abc import Mapping

from reaper.core.errors import ConfigError


def base_dir(environ: Mapping[str, str], variable: str, below_home: str, remedy: str) -> str:
    """Return the directory that an XDG variable names, else the one below the home directory; it need not exist.

    `remedy` completes the ConfigError for a relative path, and for an account without a home directory.
    """
    if base := environ.get(variable):
        return absolute(base, variable, remedy)
    return os.path.join(_home(environ, remedy), below_home)


def absolute(path: str, variable: str, remedy: str) -> str:
    """Return the path that a variable holds. Raises ConfigError when it is relative: its directory would be random."""
    if not os.path.isabs(path):
        raise ConfigError(f"{variable} must be an absolute path; unset it, or {remedy}")
    return path


def _home(environ: Mapping[str, str], remedy: str) -> str:
    if given := environ.get("HOME"):
        return absolute(given, "HOME", remedy)
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise ConfigError(f"there is no home directory: set HOME, or {remedy}") from None

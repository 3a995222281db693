"""Find the directory in which the ledger and other state is kept."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from reaper.core.errors import ConfigError

LEDGER = "reaper.db"


def state_dir(environ: Mapping[str, str]) -> Path:
    """Return the directory of the ledger, absolute; it need not exist. Raises ConfigError when there is none."""
    return locate_state(environ)[0]


def locate_state(environ: Mapping[str, str]) -> tuple[Path, str]:
    """Return `state_dir` and the rule that chose it, as text for the operator."""
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

"""Find the directory in which the ledger and other state is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reaper.settings.config_file import profile_of
from reaper.settings.user_dirs import absolute, base_dir

LEDGER = "reaper.db"
_REMEDY = "set queue.url or STATE_DIRECTORY"


def state_dir(environ: Mapping[str, str], profile: str | None = None) -> Path:
    """Return the directory of the ledger, absolute; it need not exist. Raises ConfigError when there is none."""
    return locate_state(environ, profile)[0]


def locate_state(environ: Mapping[str, str], profile: str | None = None) -> tuple[Path, str]:
    """Return `state_dir` and the rule that chose it, as text for the operator.

    A profile (None: that of the environment) has a directory of its own in the one that would be used without.
    """
    # systemd separates several directories of one unit by colons.
    if given := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        folder, rule = Path(absolute(given, "STATE_DIRECTORY", _REMEDY)), "in $STATE_DIRECTORY"
    else:
        folder = Path(base_dir(environ, "XDG_STATE_HOME", ".local/state", _REMEDY), "reaper")
        rule = "in $XDG_STATE_HOME" if environ.get("XDG_STATE_HOME") else "in the home directory"
    name = profile_of(profile, environ)
    return (folder / name, f"{rule}, of the profile {name}") if name else (folder, rule)

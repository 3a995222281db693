"""How an operator calls the commands of a reaper that runs elsewhere: as its user, or inside its container. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

SYSTEMD_PID = "SYSTEMD_EXEC_PID"
"""Set by systemd for the process that it starts itself, and inherited by those that it did not."""
KUBERNETES = "KUBERNETES_SERVICE_HOST"


def words_before(environ: Mapping[str, str], *, pid: int, user: str, host: str, container: str | None) -> str:
    """Return the words before a verb. `container`: the program that runs containers here; None outside of one."""
    if environ.get(KUBERNETES):
        return f"kubectl exec {shlex.quote(host)} -c reaper -- reaper"
    if container is not None:
        return f"{container} exec {shlex.quote(host)} reaper"
    if environ.get(SYSTEMD_PID) == str(pid):
        return f"sudo -u {shlex.quote(user)} reaper"
    return "reaper"


def words_behind(*, profile: str | None, named: str | None) -> str:
    """Return the words behind a command. `named`: the settings file, where it was named at the start."""
    if profile:
        return f"--profile {shlex.quote(profile)}"
    return f"--config {shlex.quote(named)}" if named else ""

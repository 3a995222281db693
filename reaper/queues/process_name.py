"""The name of this process in leases and heartbeats."""

from __future__ import annotations

import os
import secrets

from reaper.core.owners import owner_name


def new_owner(prefix: str = "") -> str:
    """Return a name that no process had before: `prefix`, a random part, this host and PID."""
    return owner_name(f"{prefix}{secrets.token_hex(8)}", _host(), os.getpid())


def _host() -> str:
    """Return the name of this host; in Kubernetes that of the pod, also where it uses the node's network."""
    named = os.environ.get("HOSTNAME") if "KUBERNETES_SERVICE_HOST" in os.environ else None
    return named or os.uname().nodename

"""Masks the token in what the command line prints about errors, before and after the settings were read."""

from __future__ import annotations

import os
import re
import sys

from reaper.core.text import escaped

SECRET_VARIABLES = ("ARCHAL_TOKEN", "REAPER_API__TOKEN")
"""Environment variables whose values are masked before the settings were read."""


def masked(text: str) -> str:
    """Return printable lines without tokens: those of settings and environment, and all that look like one."""
    logs = sys.modules.get("reaper.telemetry.logs")
    if logs is not None:
        text = logs.redacted(text)
    for secret in environment_secrets():
        text = text.replace(secret, "********")
    return escaped(re.sub(r"archal_ws_[^\s'\"]+", "archal_ws_***", text), keep="\n")


def environment_secrets() -> tuple[str, ...]:
    """Return the tokens in the environment."""
    return tuple(secret for name in SECRET_VARIABLES if (secret := os.environ.get(name)))

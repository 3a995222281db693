"""The checks before anything is opened: the token's source and the protected sessions. Imports little."""

from __future__ import annotations

import os

from reaper.api.credentials import Credentials
from reaper.intake.discovery.protection_file import Protector
from reaper.settings.schema import Settings
from reaper.settings.token_source import token_source
from reaper.telemetry.event_log import log_failed_source


def credentials_of(settings: Settings) -> Credentials:
    """Return the holder of the token. Raises ConfigError when no token is configured."""
    source = token_source(settings.api, os.environ)
    return Credentials(source.file, source.value.get_secret_value() if source.value else None)


def protector_of(settings: Settings) -> Protector:
    """Return the protected IDs and patterns. Raises ConfigError when protect.file cannot be read."""
    protect = settings.protect
    protector = Protector(tuple(protect.ids), tuple(protect.globs), protect.file, on_failure=log_failed_source)
    protector.now()
    return protector

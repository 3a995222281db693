"""The checks before anything is opened: the token's source and the protected sessions. Imports little."""

from __future__ import annotations

import os
import time

from reaper.api.credentials import Credentials
from reaper.app.bounded import Bounded
from reaper.core.every import every
from reaper.intake.discovery.protection_file import Protector
from reaper.settings.schema import Settings
from reaper.settings.token_source import token_source
from reaper.telemetry.event_log import log_failed_source

CHECKED_S = 0.05
"""protect.file is checked for a change so often at most: there may be thousands of DELETEs a second."""


def credentials_of(settings: Settings) -> Credentials:
    """Return the holder of the token. Raises ConfigError when no token is configured."""
    source = token_source(settings.api, os.environ)
    return Credentials(source.file, source.value.get_secret_value() if source.value else None, Bounded())


def protector_of(settings: Settings) -> Protector:
    """Return the protected IDs and patterns. Raises ConfigError when protect.file cannot be read."""
    protect = settings.protect
    protector = Protector(
        tuple(protect.ids),
        tuple(protect.globs),
        protect.file,
        log_failed_source,
        Bounded(),
        every(CHECKED_S, time.monotonic),
    )
    protector.now()
    return protector

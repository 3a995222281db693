"""Adds priorities for systemd's journal: a stderr connected to it expects `<N>` before each line (sd-daemon(3))."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TextIO

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether the stream is the one that systemd named in `$JOURNAL_STREAM` (systemd.exec(5))."""
    if "JOURNAL_STREAM" not in environ:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ["JOURNAL_STREAM"] == f"{status.st_dev}:{status.st_ino}"


def with_priority(text: str, level: int) -> str:
    """Return the text with the priority of a `logging` level before each line, and a newline at the end."""
    prefix = f"<{_PRIORITIES.get(level, 6)}>"
    return "".join(f"{prefix}{line}\n" for line in text.split("\n"))

"""Whose the pages of a daemon are, and how its commands are called."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from reaper.core.invocation import words_before, words_behind
from reaper.core.text import shown_path
from reaper.core.urls import masked_url
from reaper.settings.load import Loaded
from reaper.telemetry.page.view import Whose

CONTAINERS = {"/run/.containerenv": "podman", "/.dockerenv": "docker"}
"""The program of a container by the file that it puts into each."""


def whose_of(
    settings: Callable[[], Loaded], environ: Mapping[str, str], marks: Mapping[str, str] = CONTAINERS
) -> Whose:
    """Return whose the pages are under the settings of now."""
    loaded = settings()
    container = next((program for path, program in marks.items() if Path(path).exists()), None)
    used = next((place for place in loaded.search.places if place.path == loaded.search.used), None)
    named = used.path if used is not None and used.rule.startswith(("--config", "$")) else None
    return Whose(
        api=loaded.settings.api.base_url,
        queue=masked_url(loaded.settings.queue.url),
        instance=loaded.profile or "",
        before=words_before(environ, pid=os.getpid(), user=_user(), host=socket.gethostname(), container=container),
        after=words_behind(profile=loaded.profile, named=None if named is None else shown_path(os.path.abspath(named))),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())

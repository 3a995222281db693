"""The lines about the settings: where they come from, what is unwise in them, and whether files suffice."""

from __future__ import annotations

from collections.abc import Iterator

from reaper.app.check.line import Line
from reaper.app.descriptors import shortage
from reaper.settings.load import Loaded


def settings_lines(loaded: Loaded) -> Iterator[Line]:
    """Yield a line for the file and the profile, and for each thing that is unwise; for too low a limit of files."""
    profile = f", of the profile {loaded.profile}" if loaded.profile else ""
    yield Line("configuration", str(loaded.config_path or "no file; defaults and environment") + profile)
    if hidden := loaded.search.hidden:
        yield _warning(
            f"{loaded.config_path} hides {hidden}, which is not read at all, and other users and services may read; "
            f"to use that one: --config {hidden}"
        )
    for warning in loaded.warnings:
        yield _warning(warning)
    if (short := shortage(loaded.settings.worker.concurrency)) is not None:
        yield Line("open files", short, warned=True)


def _warning(text: str) -> Line:
    return Line("configuration", text, warned=True)

"""Decides the form of the log, JSON lines or lines for a person, also before the settings are read.

An error in the command line or in the settings ends a command before `telemetry.log_format` is known for sure. It comes
in the form that the words and places below say, so that a log of JSON lines holds nothing else from the first byte on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from reaper.core.errors import ReaperError
from reaper.settings.config_file import find_config, read_toml
from reaper.telemetry.terminal import Stream

VARIABLE: Final = "REAPER_TELEMETRY__LOG_FORMAT"
FORMATS = ("auto", "console", "json")


@dataclass(frozen=True, slots=True)
class EarlyLog:
    """The settings of the log before the others are read."""

    log_format: str = "json"
    log_level: str = "info"
    log_schema: str = "plain"


def is_json(log_format: str, stream: Stream, *, daemon: bool) -> bool:
    """Return whether logs are JSON lines; `auto`: those of `reaper run`, away from a terminal."""
    return log_format == "json" or (log_format == "auto" and daemon and not stream.isatty())


def is_json_early(words: Sequence[str], environ: Mapping[str, str], stream: Stream) -> bool:
    """Return whether logs are JSON lines, by `--json`, else the variable, else the settings file, else the default.

    The command line is searched, not parsed: it may be wrong. A file that cannot be read counts as none.
    """
    ours = words[: words.index("--")] if "--" in words else words
    if "--json" in ours:
        return True
    log_format = environ.get(VARIABLE)
    if log_format not in FORMATS:
        log_format = _of_file(_value_of("--config", ours), environ, _value_of("--profile", ours))
    return is_json(log_format, stream, daemon="run" in ours)


def _value_of(option: str, words: Sequence[str]) -> str | None:
    for word, following in pairwise([*words, ""]):
        name, _, value = word.partition("=")
        if name == option:
            return value or following
    return None


def _of_file(config: str | None, environ: Mapping[str, str], profile: str | None) -> str:
    try:
        path = find_config(config, environ, profile).used
        section = {} if path is None else read_toml(path).get("telemetry")
    except (ReaperError, ValueError):
        return "auto"
    found = section.get("log_format") if isinstance(section, dict) else None
    return found if found in FORMATS else "auto"

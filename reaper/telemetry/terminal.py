"""The conventions of terminals: width, colour, drawing, questions. Standard library only: `--help` and errors need it.

NO_COLOR: https://no-color.org; FORCE_COLOR: https://force-color.org; CI is set by every large CI service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

MIN_COLUMNS = 40
NO_CURSOR = ("", "dumb", "unknown")
"""Values of TERM of terminals that cannot move the cursor."""


class Stream(Protocol):
    """A stream that may be a terminal."""

    def isatty(self) -> bool: ...


def columns(stream: Stream) -> int | None:
    """Return the width of the terminal, None where `stream` is none."""
    if not stream.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def in_color(stream: Stream, environ: Mapping[str, str]) -> bool:
    """Return whether lines on `stream` are coloured: NO_COLOR wins over FORCE_COLOR, which wins over the terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0", "false"):
        return True
    return stream.isatty() and environ.get("TERM", "") not in NO_CURSOR


def can_draw(stream: Stream, environ: Mapping[str, str]) -> bool:
    """Return whether something may be drawn over itself: on a terminal that can and is wide enough, but in no CI."""
    width = columns(stream)
    fit = width is not None and width >= MIN_COLUMNS and environ.get("TERM", "") not in NO_CURSOR
    return fit and not is_ci(environ)


def can_ask(answers: Stream, questions: Stream, environ: Mapping[str, str]) -> bool:
    """Return whether a person can be asked: at a terminal on both sides, and not in a CI."""
    return answers.isatty() and questions.isatty() and not is_ci(environ)


def is_ci(environ: Mapping[str, str]) -> bool:
    """Return whether a CI service runs this command: nobody watches, and nobody answers."""
    return environ.get("CI", "").lower() not in ("", "0", "false")

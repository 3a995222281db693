"""Wraps lines for the terminal. Imports nothing that would delay `--help` and errors."""

from __future__ import annotations

from typing import TextIO

from reaper.core.text import wrap
from reaper.telemetry.terminal import columns as columns


def cells_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def truncate(text: str, width: int, *, keeps_end: bool = False) -> str:
    """Return a text of at most `width` columns; where it was longer, an ellipsis stands for its end (or beginning)."""
    if cells_of(text) <= width:
        return text
    if keeps_end:
        return truncate(text[::-1], width)[::-1]
    cut = text[: width - 1]
    while cells_of(cut) > width - 1:
        cut = cut[:-1]
    return f"{cut}…"


def wrap_for_terminal(text: str, stream: TextIO, indent: str = "  ") -> str:
    """Wrap one line of text where `stream` is a terminal; elsewhere it stays as it is."""
    width = columns(stream)
    return text if width is None else wrap(text, width, indent)

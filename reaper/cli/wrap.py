"""Wraps lines for the terminal. Imports nothing that would delay `--help` and errors."""

from __future__ import annotations

from typing import TextIO


def columns(stream: TextIO) -> int | None:
    """Return the width of the terminal, None where `stream` is none."""
    if not stream.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def truncate(text: str, width: int) -> str:
    """Return a text of at most `width` characters; the last one is an ellipsis where the text was longer."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def wrap_for_terminal(text: str, stream: TextIO, indent: str = "  ") -> str:
    """Wrap one line of text where `stream` is a terminal; the lines after the first are indented.

    No word is broken in two, not even a long path or URL. Elsewhere the line stays as it is.
    """
    width = columns(stream)
    if width is None:
        return text
    import textwrap

    if len(indent) > width // 2:
        indent = "  "
    lines = textwrap.wrap(
        text,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) or text

"""Sentences fitted to the terminal they are read on. Imports nothing that `--help` and errors would wait for."""

from __future__ import annotations

from typing import TextIO


def columns(stream: TextIO) -> int | None:
    """Return how wide the terminal is, None where `stream` is none."""
    if not stream.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def truncate(text: str, width: int) -> str:
    """Return a text of at most `width` characters, the last one an ellipsis where some are missing."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def wrap_for_terminal(text: str, stream: TextIO, indent: str = "  ") -> str:
    """Return one line of text so that no word is broken in two where `stream` is a terminal; later lines are indented.

    Elsewhere it stays one line. A long path or URL is left whole.
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

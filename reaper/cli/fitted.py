"""Sentences fitted to the terminal they are read on. Imports nothing that `--help` and errors would wait for."""

from __future__ import annotations

from typing import TextIO


def fitted(text: str, stream: TextIO, indent: str = "  ") -> str:
    """Return one line of text so that no word is broken in two where `stream` is a terminal; later lines are indented.

    Elsewhere it stays one line. A long path or URL is left whole.
    """
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
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

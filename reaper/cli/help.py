"""Formats `--help`: what is a command's own comes first, and no line is wider than the terminal or ends in mid-word."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterable

SHARED = ("common options", "settings")
"""Groups of options that several commands have. The usage line stands for them with two words."""
INDENT = "  "
MIN_TEXT = 20
"""The columns that text has at least beside a name."""
UNBOUNDED = 10_000


class Help(argparse.HelpFormatter):
    """Fills paragraphs; in a part of several lines each stays a line, and is wrapped below its text if need be."""

    def start_section(self, heading: str | None) -> None:
        """Begin a section; what has no dash is called an argument."""
        super().start_section("arguments" if heading == "positional arguments" else heading)

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        """Add the usage line with a command's own arguments."""
        every = list(actions)
        own = [action for action in every if not isinstance(action, argparse._HelpAction) and not _is_shared(action)]
        if any(map(_is_shared, every)):
            own.append(argparse.Action([], "shared", metavar=f"[{SHARED[0]}]"))
        super().add_usage(usage, own, groups, prefix)

    def _format_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None,
    ) -> str:
        width, self._width = self._width, UNBOUNDED
        line = super()._format_usage(usage, actions, groups, prefix).strip()
        self._width = width
        # An option and its value are one word for the wrapping.
        words = re.sub(r"\[[^]]*\]|\([^)]*\)|\S+ (\.\.\.|…)", lambda found: found[0].replace(" ", "\0"), line)
        start = re.match(r"usage: [^[(A-Z]*", words)
        indent = start.end() if start and start.end() <= width // 3 else 8
        return "\n".join(_filled(words, width, indent)).replace("\0", " ") + "\n\n"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            "\n".join(_wrapped(line, width) for line in part.splitlines())
            if "\n" in part or part.startswith(INDENT)
            else _wrapped(part, width)
            for part in text.split("\n\n")
        )

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _filled(" ".join(text.split()), width)


def _is_shared(action: argparse.Action) -> bool:
    return getattr(getattr(action, "container", None), "title", None) in SHARED


def _wrapped(line: str, width: int) -> str:
    """Wrap one line; what follows stands below its text, which in `  name  text` begins after the name.

    A name that leaves too little room for that has a line of its own.
    """
    if len(line) <= width:
        return line
    blanks = len(line) - len(line.lstrip())
    indent = blanks + len(INDENT) if blanks == len(INDENT) else blanks
    if named := re.match(r"\s*(\S.*?)\s{2,}", line):
        if named.end() > width - MIN_TEXT:
            below = " " * (blanks + 2 * len(INDENT))
            return f"{_wrapped(line[: named.end(1)], width)}\n{_wrapped(below + line[named.end() :], width)}"
        indent = named.end()
    return "\n".join(_filled(line, width, indent))


def _filled(text: str, width: int, indent: int = 0) -> list[str]:
    """Return the lines of a text; later ones are indented, and no word is broken in two."""
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)

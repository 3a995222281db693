"""The parser of the command line: filled late, short in its complaints, and helpful about typing errors."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterable
from typing import NoReturn

from reaper.errors import Exit


class Help(argparse.HelpFormatter):
    """Paragraphs are filled; lines that begin with two blanks, and lists with a heading, stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled = [
            part if "\n  " in part or part.startswith("  ") else super(Help, self)._fill_text(part, width, indent)
            for part in text.split("\n\n")
        ]
        return "\n\n".join(filled)


class LazyParser(argparse.ArgumentParser):
    """A verb's parser; `fill` adds its arguments when they are needed, once."""

    fill: Callable[[argparse.ArgumentParser], None] | None = None

    def filled(self) -> LazyParser:
        """Return it with all its arguments."""
        if self.fill is not None:
            fill, self.fill = self.fill, None
            fill(self)
        return self

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # as argparse has it
        self.filled()
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            # Here and not at the root, which does not know this verb's options.
            self.error(self._unknown(unknown[0]))
        return found, unknown

    def _unknown(self, word: str) -> str:
        name = word.split("=")[0]
        if not name.startswith("-"):
            return f"there is one argument too many: {word!r}"
        return f"there is no option {name!r}" + _near(name, self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong, with the nearest word that is right, and where more is told."""
        if wrong := re.match(r"argument ([^:]*): invalid choice: '([^']*)' \(choose from (.*)\)$", message):
            what, word, choices = wrong.groups()
            choices = choices.replace("'", "")
            # The commands are many, and --help has them in order.
            told = f"there is no command {word!r}" if what == "COMMAND" else f"{what}: {word!r} is none of {choices}"
            message = told + _near(word, choices.split(", "))
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n  {self.prog} --help tells more\n")


def _near(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f". Did you mean {near[0]}?" if near else ""

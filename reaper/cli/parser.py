"""The parser of the command line: filled late, with errors of one line that name the nearest valid word."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from reaper.cli.redaction import masked
from reaper.cli.wrap import wrap_for_terminal
from reaper.core.errors import Exit


class Help(argparse.HelpFormatter):
    """Fills paragraphs; lines that begin with two blanks, and lists with a heading, stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled = [
            part if "\n  " in part or part.startswith("  ") else super(Help, self)._fill_text(part, width, indent)
            for part in text.split("\n\n")
        ]
        return "\n\n".join(filled)


class LazyParser(argparse.ArgumentParser):
    """A verb's parser. `fill` adds its arguments once, when they are first needed."""

    fill: Callable[[argparse.ArgumentParser], None] | None = None
    words: tuple[str, ...] = ()
    """The command line that is being parsed."""

    def filled(self) -> LazyParser:
        """Return this parser with all its arguments."""
        if self.fill is not None:
            fill, self.fill = self.fill, None
            fill(self)
        return self

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # as argparse has it
        self.filled()
        self.words = tuple(args or ())
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
        """Print the error in one line, with the nearest valid word; exit with the code for usage."""
        if wrong := re.match(r"argument ([^:]*): invalid choice: (['\"])(.*)\2 \(choose from (.*)\)$", message):
            message = self._no_choice(wrong[1], wrong[3], wrong[4])
        elif missing := re.match(r"the following arguments are required: (.*)$", message):
            names = missing[1].split(", ")
            message = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
        elif wrong := re.match(r"argument ([^:]*): (.*)$", message):
            message = _plain(*wrong.groups())
        line = wrap_for_terminal(f"{self.prog}: {masked(message)}", sys.stderr)
        self.exit(Exit.USAGE, f"{line}\n  for more: {self.prog} --help\n")

    def _no_choice(self, what: str, word: str, choices: str) -> str:
        choices = choices.replace("'", "")
        near = _near(word, choices.split(", "))
        if what != "COMMAND":
            return f"{what}: {word!r} is none of {choices}{near}"
        # The value of an unknown option before the command was taken for the command: report the option.
        for before in self.words[: self.words.index(word)] if word in self.words else ():
            if re.match("--?[A-Za-z]", before) and before.split("=")[0] not in self._option_string_actions:
                return self._unknown(before)
        # `help` gets no suggestion: --help is named below anyway.
        return f"there is no command {word!r}{'' if word == 'help' else near}"


def _near(word: str, words: Iterable[str]) -> str:
    import difflib

    # Without the dashes, which all options have in common.
    known = {one.lstrip("-"): one for one in words}
    near = difflib.get_close_matches(word.lstrip("-"), known, n=1)
    return f". Did you mean {known[near[0]]}?" if near else ""


def _plain(what: str, fault: str) -> str:
    """Return argparse's error about an argument in plain words."""
    if other := re.match(r"not allowed with argument (.*)$", fault):
        return f"{what} and {other[1]} exclude each other"
    if number := re.match(r"invalid int value: (.*)$", fault):
        return f"{what}: {number[1]} is not a whole number"
    if fault == "expected one argument":
        return f"{what} needs a value"
    if fault == "expected at least one argument":
        return f"{what} needs at least one value"
    return f"{what}: {fault}"

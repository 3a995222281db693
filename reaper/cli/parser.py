"""The parser of the command line: filled late, with errors of one line that name the nearest valid word."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from reaper.core.errors import UsageError
from reaper.core.suggest import suggestion

MAX_NAMED = 8
"""Commands that an error names."""


class CommandLineError(UsageError):
    """The command line cannot be parsed. `command`: as much of it as could be, as `reaper dead list`.

    `help`: where no command was named, the list of them, for a person.
    """

    def __init__(self, command: str, message: str, help: str = "") -> None:  # as argparse calls it
        super().__init__(message)
        self.command = command
        self.help = help


class LazyParser(argparse.ArgumentParser):
    """A verb's parser. `fill` adds its arguments once, when they are first needed."""

    fill: Callable[[argparse.ArgumentParser], None] | None = None
    takes_command = False
    """Whether the words after `--` are a command line of their own, kept as `command`."""
    words: tuple[str, ...] = ()
    """The command line that is being parsed."""
    root: LazyParser | None = None
    """The parser of the whole command line; None: it is this one."""

    def filled(self) -> LazyParser:
        """Return this parser with all its arguments."""
        if self.fill is not None:
            fill, self.fill = self.fill, None
            fill(self)
        for part in self.parts().values():
            part.root = self.root or self
        return self

    def parts(self) -> dict[str, LazyParser]:
        """Return the parsers of its commands, or of a command's parts."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return dict(action.choices)
        return {}

    def commands_with(self, option: str) -> list[str]:
        """Return the commands below this one that have an option, as `once` and `dead list`."""
        found = []
        for name, part in self.parts().items():
            inner = part.filled().commands_with(option)
            whole = len(inner) == len(part.parts()) if part.parts() else option in part._option_string_actions
            found += [name] if whole else [f"{name} {one}" for one in inner]
        return found

    def refuse_idle(self, given: Mapping[str, object], path: Sequence[str]) -> None:
        """End with a usage error if an option before the command does nothing for this command."""
        leaf = self
        for name in path:
            leaf = leaf.filled().parts().get(name, leaf)
        has = {action.dest for action in leaf.filled()._actions}
        for action in self._actions:
            if action.option_strings and action.dest in given and action.dest not in has:
                leaf.error(leaf._unknown(action.option_strings[-1]))

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # as argparse has it
        self.filled()
        words = list(args or ())
        end = words.index("--") if self.takes_command and "--" in words else len(words)
        self.words = tuple(words[:end])
        found, unknown = super().parse_known_args(words[:end], namespace)
        if self.takes_command:
            found.command = words[end + 1 :]
        if unknown:
            # Here and not at the root, which does not know this verb's options.
            self.error(self._unknown(unknown[0]))
        return found, unknown

    def _unknown(self, word: str) -> str:
        name = word.split("=")[0]
        if not name.startswith("-"):
            return f"there is one argument too many: {word!r}"
        if verbs := (self.root or self).commands_with(name):
            where = f"{', '.join(verbs[:MAX_NAMED])}{', …' if len(verbs) > MAX_NAMED else ''}"
            if self.root is None:
                return f"write {name} after its command: {where}"
            return f"{name} does nothing here; it works under {where}"
        return f"there is no option {name!r}" + suggestion(name, self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """Raise the error as one sentence, with the nearest valid word."""
        listed = ""
        if wrong := re.match(r"argument ([^:]*): invalid choice: (['\"])(.*)\2 \(choose from (.*)\)$", message):
            message = self._no_choice(wrong[1], wrong[3], wrong[4])
        elif missing := re.match(r"the following arguments are required: (.*)$", message):
            names = missing[1].split(", ")
            message = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
            listed = self._commands() if self.root is None else ""
        elif wrong := re.match(r"argument ([^:]*): (.*)$", message):
            message = _plain(*wrong.groups())
        raise CommandLineError(self.prog, message, listed)

    def _commands(self) -> str:
        """Return the beginning of the help, down to the commands: the options and all else are left to `--help`."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        return formatter.format_help()

    def _no_choice(self, what: str, word: str, choices: str) -> str:
        choices = choices.replace("'", "")
        near = suggestion(word, choices.split(", "))
        if "|" in what:  # the choices stand for a name
            return f"{word!r} is none of {choices}{near}"
        if what != "COMMAND":
            return f"{what}: {word!r} is none of {choices}{near}"
        # The value of an unknown option before the command was taken for the command: report the option.
        for before in self.words[: self.words.index(word)] if word in self.words else ():
            if re.match("--?[A-Za-z]", before) and before.split("=")[0] not in self._option_string_actions:
                return self._unknown(before)
        return f"there is no command {word!r}{near}"


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

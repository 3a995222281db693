"""Reads the command line from its parser as data, for completions, manual pages and docs/commands.md."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from reaper.cli.arguments import build_parser
from reaper.cli.parser import LazyParser
from reaper.cli.verbs import VERBS


@dataclass(frozen=True, slots=True)
class Option:
    """An option, or with no `names` a positional.

    `takes` any value; one of `values` where there are some; of a path if `files`, of a profile's name if `profiles`.
    """

    names: tuple[str, ...]
    metavar: str
    help: str
    values: tuple[str, ...] = ()
    files: bool = False
    profiles: bool = False
    takes: bool = False
    group: str = ""
    nargs: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command or a part of one, as `dead list`; `path` is empty for the whole."""

    path: tuple[str, ...]
    help: str
    about: str
    after: str
    usage: str
    options: tuple[Option, ...]
    positionals: tuple[Option, ...]
    parts: tuple[Command, ...]


def read() -> Command:
    """Return the whole command line."""
    return _command((), "", build_parser())


def _command(path: tuple[str, ...], help_text: str, parser: argparse.ArgumentParser) -> Command:
    assert isinstance(parser, LazyParser)
    parser.filled()
    options, positionals, parts = [], [], []
    for group in parser._action_groups:
        for action in group._group_actions:
            if isinstance(action, argparse._SubParsersAction):
                helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
                for name, child in action.choices.items():
                    text = VERBS[name].help if not path else helps[name]
                    parts.append(_command((*path, name), text, child))
            elif action.option_strings:
                options.append(_option(action, group.title or ""))
            else:
                positionals.append(_option(action, ""))
    if parser.takes_command:
        positionals.append(Option((), "-- COMMAND", "a command and its arguments", files=True, takes=True, nargs="+"))
    return Command(
        path, help_text, parser.description or "", parser.epilog or "", parser.format_usage(), tuple(options),
        tuple(positionals), tuple(parts),
    )  # fmt: skip


def _option(action: argparse.Action, group: str) -> Option:
    takes = not action.option_strings or action.nargs != 0
    metavar = action.metavar if isinstance(action.metavar, str) else (action.dest.upper() if takes else "")
    return Option(
        names=tuple(action.option_strings),
        metavar=metavar if takes and (action.metavar or not action.choices) else "",
        help=(action.help or "") % {"default": action.default, "prog": "reaper"} if action.help else "",
        values=tuple(map(str, action.choices or ())),
        files=metavar == "FILE",
        profiles="--profile" in action.option_strings,
        takes=takes,
        group=group,
        nargs=str(action.nargs or ""),
    )

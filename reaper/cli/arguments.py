"""The arguments of the command line. A verb's module is imported once that verb is chosen, so `--help` stays quick."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from reaper.cli.examples import examples
from reaper.cli.help import SHARED, Help
from reaper.cli.parser import LazyParser
from reaper.cli.verbs import EXIT_CODES, GROUPS, VERBS, WORKS
from reaper.core.times import parse_duration, parse_time
from reaper.core.version import __version__

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

SETTING_OPTIONS = (
    ("--concurrency", "worker.concurrency", "N", "most DELETEs in flight (default: 32)"),
    (
        "--queue",
        "queue.url",
        "URL",
        "the queue: sqlite:///path, postgresql://… or redis://… (default: a SQLite file in the state directory)",
    ),
    ("--base-url", "api.base_url", "URL", "the API's address (default: https://archal.ai)"),
    ("--token-file", "api.token_file", "FILE", "file that holds the token (default: the variable ARCHAL_TOKEN)"),
)
"""Each option that overrides a setting: the setting's key, the word for its value (`N`: a number), and its help."""

MOST = 1_000_000_000
"""The largest number that `--limit` takes: larger ones do not fit into every queue's integers."""


def build_parser() -> LazyParser:
    """Return the parser of the whole command line; each verb's part is filled in when it is parsed."""
    width = max(map(len, VERBS))
    lines = ["Stops expired and orphaned hosted sessions, and accounts for every one of them.", ""]
    for title, verbs in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<{width}}  {verb.help}" for name, verb in verbs.items()), ""]
    root = LazyParser(
        prog="reaper",
        usage="reaper [common options] COMMAND …",
        description="\n".join(lines).rstrip(),
        epilog=f"For more about a command: reaper COMMAND --help\n\n{EXIT_CODES}",
        formatter_class=Help,
        allow_abbrev=False,
    )
    root.add_argument(
        "-V", "--version", action="version", version=f"reaper {__version__}", help="print the version and exit"
    )
    add_options(root, WORKS)
    commands = root.add_subparsers(dest="verb", metavar="COMMAND", prog="reaper", required=True, help=argparse.SUPPRESS)
    for name, verb in VERBS.items():
        about = f"{verb.help[0].upper()}{verb.help[1:]}."
        parser = commands.add_parser(name, description=about, allow_abbrev=False, formatter_class=Help)
        parser.fill = _filler(name)
    return root


def _filler(name: str) -> Callable[[argparse.ArgumentParser], None]:
    def fill(parser: argparse.ArgumentParser) -> None:
        load_verb(name)[0](parser)
        add_options(parser, VERBS[name].options)
        parser.epilog = "\n\n".join(filter(None, (parser.epilog, examples(name))))

    return fill


def load_verb(name: str) -> tuple[Callable[[argparse.ArgumentParser], None], Callable[..., Any]]:
    """Import a verb's module; return the verb's `configure` and `run`, which a family's module keeps in `COMMANDS`.

    `run` takes the arguments and returns the exit code. One that is a coroutine function takes the settings, too.
    """
    module = importlib.import_module(f"reaper.cli.commands.{VERBS[name].module}")
    if hasattr(module, "COMMANDS"):
        configure, run = module.COMMANDS[name]
        return configure, run
    return module.configure, module.run


def add_options(parser: argparse.ArgumentParser, options: Sequence[str]) -> None:
    """Add those of the shared options that a command takes: the common ones, and those that override a setting.

    They have no default, so that an option counts before and after the verb's name.
    """
    absent = argparse.SUPPRESS
    every = parser.add_argument_group(SHARED[0])
    if "--config" in options:
        every.add_argument(
            "--config",
            metavar="FILE",
            default=absent,
            help="the settings file (default: reaper.toml in ~/.config/reaper, else in /etc/reaper)",
        )
    if "--profile" in options:
        text = "use NAME.toml instead of reaper.toml, and a ledger of its own"
        every.add_argument("--profile", metavar="NAME", default=absent, help=text)
    if "--json" in options:
        every.add_argument("--json", action="store_true", default=absent, help="write JSON: results and the log")
    if "--verbose" in options:
        loud = every.add_mutually_exclusive_group()
        loud.add_argument("-v", "--verbose", action="store_true", default=absent, help="log at debug, show tracebacks")
        loud.add_argument("-q", "--quiet", action="store_true", default=absent, help="log warnings and errors only")
    over = parser.add_argument_group(SHARED[1])
    for option, key, metavar, text in SETTING_OPTIONS:
        if option in options:
            kind = int if metavar == "N" else str
            over.add_argument(option, dest=f"set:{key}", type=kind, metavar=metavar, default=absent, help=text)


def add_action(actions: Actions, verb: str, name: str, text: str) -> argparse.ArgumentParser:
    """Add the part `name` of a verb, as `dead list`; the options that it shares with others follow its own."""
    about, after = f"{text[0].upper()}{text[1:]}.", examples(verb, name)
    action = actions.add_parser(
        name, help=text, description=about, epilog=after, allow_abbrev=False, formatter_class=Help
    )
    assert isinstance(action, LazyParser), "argparse makes each part with the class of its command"
    action.fill = lambda parser: add_options(parser, VERBS[verb].options_of(name))
    return action


def parse(words: list[str]) -> argparse.Namespace:
    """Parse a command line. `flags` of the result maps dotted setting keys to values. Raises SystemExit."""
    root = build_parser()
    given = vars(root.parse_args(words))
    root.refuse_idle(given, (given["verb"], given.get("action", "")))
    flags = {name.removeprefix("set:"): value for name, value in given.items() if name.startswith("set:")}
    common: dict[str, object] = {"config": None, "profile": None, "json": False, "verbose": False, "quiet": False}
    args = argparse.Namespace(**(common | {name: value for name, value in given.items() if name[:4] != "set:"}))
    if args.verbose or args.quiet:
        flags["telemetry.log_level"] = "debug" if args.verbose else "warning"
    if args.json and args.verb != "config":  # which shows the settings of other commands
        flags["telemetry.log_format"] = "json"
    args.flags = flags
    return args


def at_least_one(text: str) -> int:
    """Read a whole number from 1 to a billion, for argparse. No queue could count much further."""
    digits = text.lstrip("0")
    if not text.isdecimal() or not digits:
        raise argparse.ArgumentTypeError("expected a whole number of at least 1")
    if len(digits) > len(str(MOST)) or int(digits) > MOST:
        raise argparse.ArgumentTypeError("more than a billion is surely a mistake")
    return int(digits)


def duration(text: str) -> float:
    """Read `30m`, `1h30m` or plain seconds, for argparse."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def instant(text: str) -> float:
    """Read `2030-01-31T12:00:00Z`, for argparse."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error

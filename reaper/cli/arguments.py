"""The arguments of the command line. A verb's module is imported once that verb is chosen, so `--help` stays quick."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

from reaper.cli.examples import examples
from reaper.cli.parser import Help, LazyParser
from reaper.cli.verbs import EXIT_CODES, GROUPS, VERBS
from reaper.core.times import parse_duration
from reaper.core.version import __version__

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

SETTING_OPTIONS = (
    ("--concurrency", "worker.concurrency", "N", "maximum of requests in flight"),
    ("--queue", "queue.url", "URL", "the queue, as sqlite:///path"),
    ("--base-url", "api.base_url", "URL", "the API's address"),
    ("--token-file", "api.token_file", "FILE", "file that holds the token"),
)
"""Each option that overrides a setting: the setting's key, the word for its value (`N`: a number), and its help."""


def build_parser() -> LazyParser:
    """Return the parser of the whole command line; each verb's part is filled in when it is parsed."""
    width = max(map(len, VERBS))
    lines = ["Stops expired and orphaned hosted sessions, and accounts for every one of them.", ""]
    for title, verbs in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<{width}}  {verb.help}" for name, verb in verbs.items()), ""]
    root = LazyParser(
        prog="reaper",
        usage="reaper [options] COMMAND …",
        description="\n".join(lines).rstrip(),
        epilog=f"For more about a command: reaper COMMAND --help\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("-V", "--version", action="version", version=f"reaper {__version__}")
    add_options(root, works=True)
    commands = root.add_subparsers(dest="verb", metavar="COMMAND", prog="reaper", required=True, help=argparse.SUPPRESS)
    for name, verb in VERBS.items():
        about = f"{verb.help[0].upper()}{verb.help[1:]}."
        parser = commands.add_parser(name, description=about, allow_abbrev=False, formatter_class=Help)
        parser.fill = _filler(name)
    return root


def _filler(name: str) -> Callable[[argparse.ArgumentParser], None]:
    def fill(parser: argparse.ArgumentParser) -> None:
        add_options(parser, works=VERBS[name].works)
        load_verb(name)[0](parser)
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


def add_options(parser: argparse.ArgumentParser, *, works: bool) -> None:
    """Add the options that every verb has; with `works` also those that override a setting.

    They have no default, so that an option counts before and after the verb's name.
    """
    absent = argparse.SUPPRESS
    every = parser.add_argument_group("common options")
    every.add_argument("--config", metavar="FILE", default=absent, help="settings file (TOML)")
    every.add_argument("--json", action="store_true", default=absent, help="print JSON")
    loud = every.add_mutually_exclusive_group()
    loud.add_argument("-v", "--verbose", action="store_true", default=absent, help="log at debug, show tracebacks")
    loud.add_argument("-q", "--quiet", action="store_true", default=absent, help="log warnings and errors only")
    if works:
        over = parser.add_argument_group("settings")
        for option, key, metavar, text in SETTING_OPTIONS:
            kind = int if metavar == "N" else str
            over.add_argument(option, dest=f"set:{key}", type=kind, metavar=metavar, default=absent, help=text)


def add_action(actions: Actions, verb: str, name: str, text: str) -> argparse.ArgumentParser:
    """Add the part `name` of a verb, as `dead list`, with the options that every verb has."""
    about, after = f"{text[0].upper()}{text[1:]}.", examples(verb, name)
    action = actions.add_parser(
        name, help=text, description=about, epilog=after, allow_abbrev=False, formatter_class=Help
    )
    add_options(action, works=True)
    return action


def parse(words: list[str]) -> argparse.Namespace:
    """Parse a command line. `flags` of the result maps dotted setting keys to values. Raises SystemExit."""
    given = vars(build_parser().parse_args(words))
    flags = {name.removeprefix("set:"): value for name, value in given.items() if name.startswith("set:")}
    common: dict[str, object] = {"config": None, "json": False, "verbose": False, "quiet": False}
    args = argparse.Namespace(**(common | {name: value for name, value in given.items() if name[:4] != "set:"}))
    if args.verbose or args.quiet:
        flags["telemetry.log_level"] = "debug" if args.verbose else "warning"
    args.flags = flags
    return args


def duration(text: str) -> float:
    """Read `30m`, `1h30m` or plain seconds, for argparse."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error

"""The command line: which verb, its options, and how what went wrong is told.

A verb's module is imported when the verb was chosen and not before, so `reaper --help` stays quick.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from reaper.cli.examples import examples
from reaper.cli.parser import Help, LazyParser
from reaper.cli.wrap import wrap_for_terminal
from reaper.core.errors import Exit, ReaperError
from reaper.core.version import __version__
from reaper.telemetry.journald import is_journal, with_priority

SECRET_VARIABLES = ("ARCHAL_TOKEN", "REAPER_API__TOKEN")
"""Masked in whatever is told of an error before the settings were read."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: where it lives, what it does, and whether it takes the options of the verbs that work."""

    module: str
    help: str
    works: bool = True


GROUPS: dict[str, dict[str, Verb]] = {
    "stop sessions": {
        "run": Verb("run", "the daemon: take in, stop, until told to end"),
        "once": Verb("once", "take in files or stdin, stop them, print a summary, exit"),
        "add": Verb("add", "queue session IDs, now or for later"),
    },
    "see": {
        "status": Verb("status", "the whole queue and every pause"),
        "show": Verb("show", "one session ID and all that happened to it"),
        "outcomes": Verb("ledger", "one line for each settled ID"),
        "audit": Verb("ledger", "verify that every accepted ID is accounted for"),
        "sessions": Verb("discovery", "the account's live sessions, and what the policy says of each"),
        "holds": Verb("discovery", "sweeps that a guard holds"),
        "check": Verb("check", "configuration, token, API, queue, clock: ok or what to do"),
        "health": Verb("health", "is the daemon alive? for probes", works=False),
    },
    "intervene": {
        "postpone": Verb("operate", "set when a waiting ID is due"),
        "cancel": Verb("operate", "take IDs out of the queue"),
        "approve": Verb("discovery", "let a held sweep go on"),
        "discard": Verb("discovery", "let a held sweep go"),
        "dead": Verb("dead", "list, retry or purge the IDs that could not be stopped"),
        "pause": Verb("operate", "stop sending, for the whole queue"),
        "resume": Verb("operate", "end the operator's pause"),
    },
    "set up and rehearse": {
        "config": Verb("config", "effective settings and where each comes from"),
        "queue": Verb("queue", "prepare a queue, back up the ledger"),
        "sandbox": Verb("sandbox", "a local stand-in for the API", works=False),
        "demo": Verb("demo", "sandbox, backlog and a run over it; needs no account", works=False),
    },
}
VERBS: dict[str, Verb] = {name: verb for group in GROUPS.values() for name, verb in group.items()}

EXIT_CODES = """\
exit codes (the first that applies):
  1   internal error, or audit or check found a fault
  2   usage
  78  configuration
  77  credentials refused
  69  queue or API unavailable, or not the API
  4   a guard held the sweep
  3   finished; some sessions dead, or some input invalid or refused
  75  work left, safe to run again
  0   done
"""


def build_parser() -> LazyParser:
    """Return the parser of the whole command line; verbs fill in their own part later."""
    width = max(map(len, VERBS))
    lines = ["Stops expired and orphaned hosted sessions, and accounts for every one of them.", ""]
    for title, verbs in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<{width}}  {verb.help}" for name, verb in verbs.items()), ""]
    root = LazyParser(
        prog="reaper",
        usage="reaper [options] COMMAND …",
        description="\n".join(lines).rstrip(),
        epilog=f"reaper COMMAND --help tells more.\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("-V", "--version", action="version", version=f"reaper {__version__}")
    add_options(root, works=True)
    commands = root.add_subparsers(dest="verb", metavar="COMMAND", prog="reaper", required=True, help=argparse.SUPPRESS)
    for name, verb in VERBS.items():
        description = f"{verb.help[0].upper()}{verb.help[1:]}."
        parser = commands.add_parser(name, description=description, allow_abbrev=False, formatter_class=Help)
        parser.fill = _filler(name)
    return root


def _filler(name: str) -> Callable[[argparse.ArgumentParser], None]:
    def fill(parser: argparse.ArgumentParser) -> None:
        add_options(parser, works=VERBS[name].works)
        _entry(name)[0](parser)
        parser.epilog = "\n\n".join(filter(None, (parser.epilog, examples(name))))

    return fill


def _entry(name: str) -> tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]:
    """Import a verb; return its `configure` and `run`. A family's module keeps them in a table, `COMMANDS`."""
    module = importlib.import_module(f"reaper.cli.commands.{VERBS[name].module}")
    if hasattr(module, "COMMANDS"):
        configure, run = module.COMMANDS[name]
        return configure, run
    return module.configure, module.run


def add_options(parser: argparse.ArgumentParser, *, works: bool) -> None:
    """Add the options that mean the same everywhere; `works`: also those that override a setting.

    They have no default of their own, so the same option is understood before and after a verb's name.
    """
    absent = argparse.SUPPRESS
    every = parser.add_argument_group("common options")
    every.add_argument("--config", metavar="FILE", default=absent, help="settings file (TOML)")
    every.add_argument("--json", action="store_true", default=absent, help="print JSON")
    loud = every.add_mutually_exclusive_group()
    loud.add_argument("-v", "--verbose", action="store_true", default=absent, help="log debug, show tracebacks")
    loud.add_argument("-q", "--quiet", action="store_true", default=absent, help="log warnings and errors only")
    if works:
        over = parser.add_argument_group("settings")
        over.add_argument(
            "--concurrency", dest="set:worker.concurrency", type=int, metavar="N", default=absent, help="most in flight"
        )
        over.add_argument(
            "--queue", dest="set:queue.url", metavar="URL", default=absent, help="the queue, as sqlite:///path"
        )
        over.add_argument(
            "--base-url", dest="set:api.base_url", metavar="URL", default=absent, help="the API's address"
        )
        over.add_argument(
            "--token-file", dest="set:api.token_file", metavar="FILE", default=absent, help="file that holds the token"
        )


def parse(words: list[str]) -> argparse.Namespace:
    """Parse a command line; `flags` of the result maps dotted keys to what was given. Exits as argparse does."""
    given = vars(build_parser().parse_args(words))
    flags = {name.removeprefix("set:"): value for name, value in given.items() if name.startswith("set:")}
    common: dict[str, object] = {"config": None, "json": False, "verbose": False, "quiet": False}
    args = argparse.Namespace(**(common | {name: value for name, value in given.items() if name[:4] != "set:"}))
    if args.verbose or args.quiet:
        flags["telemetry.log_level"] = "debug" if args.verbose else "warning"
    args.flags = flags
    return args


def dispatch(words: list[str]) -> int:
    """Run one command line and return its exit code; no exception leaves."""
    _open_standard_streams()
    verbose = bool({"-v", "--verbose"} & set(words))
    try:
        code = _run(words)
    except BaseException as error:  # noqa: BLE001  # the top of the process
        code = _describe_error(_innermost(error), verbose)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)
    except OSError as error:
        _drop(sys.stdout)
        code = _say(f"the output cannot be written: {error.strerror}", Exit.INTERNAL)
    try:
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)
    return code


def _run(words: list[str]) -> int:
    try:
        args = parse(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Exit.USAGE
    return int(_entry(args.verb)[1](args))


def _innermost(error: BaseException) -> BaseException:
    if isinstance(error, BaseExceptionGroup):
        from reaper.app.task_groups import first_error

        return first_error(error)
    return error


def _describe_error(error: BaseException, verbose: bool) -> int:
    """Tell the operator what ended the command; return the exit code."""
    if isinstance(error, ReaperError):
        return _say(str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has seen enough.
        _drop(sys.stdout)
        return Exit.OK
    if verbose:
        sys.stderr.write(masked("".join(traceback.format_exception(error))))
    hint = "" if verbose else " (-v shows where)"
    return _say(f"internal error: {type(error).__name__}: {error}{hint}", Exit.INTERNAL)


def _say(sentence: str, code: int) -> int:
    text = "\n".join(wrap_for_terminal(f"reaper: {line}", sys.stderr) for line in masked(sentence).splitlines())
    try:
        sys.stderr.write(with_priority(text, logging.ERROR) if is_journal(sys.stderr, os.environ) else text + "\n")
    except OSError:
        pass
    return code


def masked(text: str) -> str:
    """Return a text without the token, be it known from the settings, from the environment or by its looks."""
    logs = sys.modules.get("reaper.telemetry.logs")
    if logs is not None:
        text = logs.redacted(text)
    for name in SECRET_VARIABLES:
        if secret := os.environ.get(name):
            text = text.replace(secret, "********")
    return re.sub(r"archal_ws_[^\s'\"]+", "archal_ws_***", text)


def _drop(stream: TextIO) -> None:
    """Let the interpreter's last flush at exit go nowhere instead of failing: it would change the exit code to 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _open_standard_streams() -> None:
    """Fill closed standard descriptors: else the next file opened, the ledger, would get the number of stdout."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115

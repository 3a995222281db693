"""Run one command line: choose the verb, run it, and report on stderr what ended it."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import traceback

from reaper.cli.arguments import load_verb, parse
from reaper.cli.failure import describe, drop, innermost
from reaper.cli.parser import CommandLineError
from reaper.cli.redaction import environment_secrets, masked
from reaper.cli.streams import close_streams, end_stderr, open_streams
from reaper.cli.wrap import wrap_for_terminal
from reaper.core.errors import Exit, ReaperError
from reaper.telemetry.journald import is_journal, with_priority
from reaper.telemetry.log_form import EarlyLog, is_json_early


def dispatch(words: list[str]) -> int:
    """Run one command line and return its exit code. Raises nothing: every error becomes a message and a code."""
    open_streams()
    os.environ.pop("SSLKEYLOGFILE", None)  # libraries (redis, Apprise) would write the keys of TLS connections there
    _begin_log(words)
    ours = words[: words.index("--")] if "--" in words else words
    verbose = bool({"-v", "--verbose"} & set(ours))
    try:
        code = _run(words)
    except BaseException as error:  # noqa: BLE001  # the top of the process
        code = _report(innermost(error), verbose)
    code, fault = close_streams(code)
    if fault:
        _say(fault, code)
    end_stderr()
    return code


def _begin_log(words: list[str]) -> None:
    """Log in JSON lines from now on if that is the form; what a person reads needs no log before the settings."""
    if is_json_early(words, os.environ, sys.stderr):
        from reaper.telemetry import logs

        logs.configure(EarlyLog(), secrets=environment_secrets)
    elif (begun := sys.modules.get("reaper.telemetry.logs")) is not None:
        begun.reset()


def _run(words: list[str]) -> int:
    try:
        args = parse(words)
    except SystemExit as stop:  # --help and --version
        return stop.code if isinstance(stop.code, int) else Exit.USAGE
    run = load_verb(args.verb)[1]
    if not inspect.iscoroutinefunction(run):
        return int(run(args))
    from reaper.cli.context import loaded, run_async

    return int(run_async(run, args, loaded(args)))


def _report(error: BaseException, verbose: bool) -> int:
    """Print the reason why the command ended to stderr; return the exit code."""
    code, sentence = describe(error)
    if isinstance(error, BrokenPipeError):
        drop(sys.stdout)
    if not sentence:
        return code
    unforeseen = code == Exit.INTERNAL and not isinstance(error, ReaperError)
    command = error.command if isinstance(error, CommandLineError) else "reaper"
    more = f"for more: {command} --help" if isinstance(error, CommandLineError) else ""
    listed = error.help if isinstance(error, CommandLineError) else ""
    if unforeseen and not verbose:
        sentence += " (-v shows where)"
    trace = error if unforeseen and verbose else None
    return _say(sentence, code, command=command, listed=listed, more=more, trace=trace)


def _say(
    sentence: str,
    code: int,
    *,
    command: str = "reaper",
    listed: str = "",
    more: str = "",
    trace: BaseException | None = None,
) -> int:
    """Print an error that ends the command: an event where logs are JSON lines, else a sentence for a person.

    `listed` stands below the sentence, for a person alone.
    """
    logs = sys.modules.get("reaper.telemetry.logs")
    if logs is not None and logs.writes_json():
        from reaper.telemetry.event_log import log_failure

        log_failure(code, masked("; ".join(filter(None, (sentence, more)))), trace)
        logs.flush()
        return code
    lines = [wrap_for_terminal(f"{command}: {line}", sys.stderr) for line in masked(sentence).splitlines()]
    lines += [f"\n{listed}"] if listed else []
    text = "\n".join([*lines, *([f"  {more}"] if more else [])])
    try:
        if trace is not None:
            sys.stderr.write(masked("".join(traceback.format_exception(trace))))
        sys.stderr.write(with_priority(text, logging.ERROR) if is_journal(sys.stderr, os.environ) else text + "\n")
    except OSError:
        pass
    return code

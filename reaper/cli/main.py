"""Run one command line: choose the verb, run it, and report on stderr what ended it."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import traceback
from typing import TextIO

from reaper.cli.arguments import load_verb, parse
from reaper.cli.redaction import masked
from reaper.cli.wrap import wrap_for_terminal
from reaper.core.errors import Exit, ReaperError
from reaper.telemetry.journald import is_journal, with_priority


def dispatch(words: list[str]) -> int:
    """Run one command line and return its exit code. Raises nothing: every error becomes a message and a code."""
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
    run = load_verb(args.verb)[1]
    if not inspect.iscoroutinefunction(run):
        return int(run(args))
    from reaper.cli.context import loaded, run_async

    return run_async(run, args, loaded(args))


def _innermost(error: BaseException) -> BaseException:
    if isinstance(error, BaseExceptionGroup):
        from reaper.app.task_groups import first_error

        return first_error(error)
    return error


def _describe_error(error: BaseException, verbose: bool) -> int:
    """Print what ended the command to stderr; return the exit code."""
    if isinstance(error, ReaperError):
        return _say(str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, BrokenPipeError):
        # The reader of the output has closed it, as `head` does: that is no fault.
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


def _drop(stream: TextIO) -> None:
    """Point a stream to /dev/null: else the interpreter's flush at exit would fail and turn the exit code into 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _open_standard_streams() -> None:
    """Open closed standard descriptors: else the next file opened, the ledger, would get the number of stdout."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115

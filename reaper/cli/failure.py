"""The exit code and the sentence of an error that ends a command; streams whose reader is gone."""

from __future__ import annotations

import os
import signal
from typing import TextIO

from reaper.core.errors import Exit, ReaperError

BROKEN_PIPE = 128 + signal.SIGPIPE
"""The exit code of a command whose reader is gone, as a shell reports a program that SIGPIPE ended."""
INTERRUPTED = 128 + signal.SIGINT


def describe(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the sentence, which is empty where there is nothing to say."""
    match error:
        case ReaperError():
            return error.exit_code, str(error)
        case KeyboardInterrupt():
            return INTERRUPTED, ""
        case BrokenPipeError():
            return BROKEN_PIPE, ""  # the reader of the output has closed it, as `head` does: that is no fault
        case _:
            return Exit.INTERNAL, f"internal error: {type(error).__name__}: {error}"


def innermost(error: BaseException) -> BaseException:
    """Return the error itself, of a group the one that counts."""
    if isinstance(error, BaseExceptionGroup):
        from reaper.app.task_groups import first_error

        return first_error(error)
    return error


def drop(stream: TextIO) -> None:
    """Point a stream to /dev/null: else the interpreter's flush at exit would fail and turn the exit code into 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)

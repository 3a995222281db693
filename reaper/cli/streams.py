"""The standard streams of a command: open, of any encoding, held up by no reader of stderr, and written to the end.

Standard library only, apart from what the room `telemetry` has of stderr: `--version` and `health` need it, too.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

from reaper.cli.failure import BROKEN_PIPE, drop
from reaper.core.readable import NAME, replace_unencodable
from reaper.telemetry.stderr import flush_stderr, guard_stderr


def open_streams() -> None:
    """Make stdout and stderr fit to print any text, whatever the encoding and wherever they lead.

    Closed descriptors are opened: else the next file opened, the ledger, would get the number of stdout.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    codecs.register_error(NAME, replace_unencodable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=NAME)
    guard_stderr()


def close_streams(code: int) -> tuple[int, str]:
    """Write what is buffered; return the exit code, another one where stdout takes no more, and the sentence for it."""
    fault = ""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
        code = code or BROKEN_PIPE
    except OSError as error:
        drop(sys.stdout)
        code, fault = 1, f"the output cannot be written: {error.strerror}"
    try:
        sys.stderr.flush()
    except OSError:
        drop(sys.stderr)
    return code, fault


def end_stderr() -> None:
    """Wait until all of stderr is written, for as long as somebody reads it; say how many lines were lost."""
    if flush_stderr() and (logs := sys.modules.get("reaper.telemetry.logs")) is not None:
        logs.flush()
        flush_stderr()

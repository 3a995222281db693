"""Turns into events what reaches stderr beside the log: warnings of Python, exceptions that nobody can catch, prints.

Only in a process of our own, whose stderr is guarded (`stderr.py`). A crash of the interpreter itself (faulthandler)
writes to the descriptor: nothing can turn that into an event.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import Any

from reaper.telemetry import events
from reaper.telemetry.structlog_without_rich import FilteringBoundLogger

_Trace = tuple[type[BaseException], BaseException | None, TracebackType | None]
_log: FilteringBoundLogger | None = None


def log_stray_output(log: FilteringBoundLogger | None) -> None:
    """Log warnings and lost exceptions from now on; None: leave them to Python."""
    global _log
    _log = log
    logging.captureWarnings(log is not None)
    sys.unraisablehook = sys.__unraisablehook__ if log is None else _unraisable
    threading.excepthook = threading.__excepthook__ if log is None else _in_thread


def log_printed(line: str) -> None:
    """Log a line that something printed to stderr."""
    if _log is not None and line.strip():
        _log.warning(events.STDERR_WRITTEN, detail=line)


def _unraisable(lost: Any) -> None:
    where = f"{lost.err_msg or 'exception ignored in'} {lost.object!r}"
    _lost(where, (lost.exc_type, lost.exc_value, lost.exc_traceback))


def _in_thread(lost: threading.ExceptHookArgs) -> None:
    if lost.exc_type is not SystemExit:
        name = lost.thread.name if lost.thread else "?"
        _lost(f"in thread {name}", (lost.exc_type, lost.exc_value, lost.exc_traceback))


def _lost(where: str, trace: _Trace) -> None:
    if _log is not None:
        _log.error(events.EXCEPTION_IGNORED, detail=where, exc_info=trace)

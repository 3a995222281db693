"""Configures logging: one event per line on stderr, for a console on a terminal, JSON otherwise, with secrets masked.

Events of reaper use structlog alone; records that libraries log through the standard library are added from WARNING on.
Masking is last (`redaction.py`). No traceback shows local variables.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TextIO

from reaper.telemetry.journald import is_journal, with_priority
from reaper.telemetry.redaction import MaskedRenderer, masked
from reaper.telemetry.structlog_without_rich import EventDict, FilteringBoundLogger, Processor, WrappedLogger, structlog

LIBRARY_LEVEL = logging.WARNING
"""The lowest level of records from libraries."""
_HANDLER = "reaper"
_secrets: Callable[[], tuple[str, ...]] = tuple
_logger: FilteringBoundLogger = structlog.get_logger()
_sink: _Sink | None = None
_print_above: Callable[[str], None] | None = None


class LogSettings(Protocol):
    """The settings `telemetry.log_format` (`auto`, `console` or `json`) and `log_level` (the lowest level)."""

    @property
    def log_format(self) -> str: ...

    @property
    def log_level(self) -> str: ...


def get() -> FilteringBoundLogger:
    """Return the logger of the last `configure`. Do not keep it: a reload makes another."""
    return _logger


def use_logger(logger: FilteringBoundLogger) -> None:
    """Send events to another logger, unless `configure` was called."""
    global _logger
    if _sink is None:
        _logger = logger


def configure(settings: LogSettings, stream: TextIO | None = None, *, secrets: Callable[[], tuple[str, ...]]) -> None:
    """Send all logs to `stream` (None: stderr) from now on; may be called again.

    `secrets` is called for each line, because tokens rotate.
    """
    global _secrets, _logger, _sink
    _secrets = secrets
    stream = stream or sys.stderr
    console = settings.log_format == "console" or (settings.log_format == "auto" and stream.isatty())
    common: list[Processor] = [
        _Timestamp(_console_time if console else _Rfc3339Clock()),
        # Without local variables: they hold tokens, and bodies of replies.
        structlog.processors.format_exc_info,
    ]
    encode = json.JSONEncoder(default=repr).encode
    render: Processor = lambda logger, method, event: encode(event)  # noqa: E731  # does not change the event
    if console:
        colors = stream.isatty() and not os.environ.get("NO_COLOR")
        pretty = structlog.dev.ConsoleRenderer(
            colors=colors, pad_event_to=24, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        )
        render = lambda logger, method, event: pretty(logger, method, dict(event))  # noqa: E731
    flush()
    _sink = sink = _Sink(stream, is_journal(stream, os.environ))
    render = MaskedRenderer(render, secrets)
    structlog.configure(
        processors=[*common, render],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    _logger = structlog.get_logger().bind()
    _add_library_records(common, render, sink)


def reset() -> None:
    """Undo `configure`: forget the stream and the secrets, and write no more records of libraries."""
    global _secrets, _logger, _sink
    flush()
    structlog.reset_defaults()
    _secrets, _logger, _sink = tuple, structlog.get_logger(), None
    _remove_handler()
    logging.raiseExceptions = True


def flush() -> None:
    """Write the lines logged in this turn of the event loop now, so that later output follows them."""
    if _sink is not None:
        _sink.flush()


def divert(print_above: Callable[[str], None] | None) -> None:
    """Pass whole lines to `print_above`, which prints them above a live display on stderr; None ends that."""
    global _print_above
    flush()
    _print_above = print_above


def write_line(text: str) -> None:
    """Write a line that is no event to stderr, after the events logged before it."""
    flush()
    if _print_above is not None:
        _print_above(text)
        return
    sys.stderr.write(text)
    sys.stderr.flush()


def redacted(text: str) -> str:
    """Return the text with the secrets of the last `configure` masked."""
    return masked(text, _secrets())


def _console_time() -> str:
    return datetime.now().strftime("%H:%M:%S")  # noqa: DTZ005  # local time, for the person at the terminal


class _Rfc3339Clock:
    """Returns the time as RFC 3339 in UTC; formats each second once."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second, self._text = -1, ""

    def __call__(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{int((now - second) * 1e6):06d}Z"


@dataclass(frozen=True, slots=True)
class _Timestamp:
    """A structlog processor: puts time, level and event first, in this order."""

    instant: Callable[[], str]

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        level = "error" if method == "exception" else method
        return {"timestamp": self.instant(), "level": level, "event": event.pop("event", None), **event}


@dataclass(slots=True)
class _Sink:
    """Writes rendered lines, all of one turn of the event loop in one write: each write costs a switch of threads.

    Lines are dropped when the reader of stderr is gone, which must not stop reaper.
    """

    stream: TextIO
    journal: bool
    waiting: list[str] = field(default_factory=list)

    def write(self, line: str, level: int) -> None:
        self.waiting.append(with_priority(line, level) if self.journal else line + "\n")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no event loop runs
            self.flush()
        else:
            if len(self.waiting) == 1:
                loop.call_soon(self.flush)

    def flush(self) -> None:
        lines, self.waiting = self.waiting, []
        try:
            if _print_above is not None and lines:
                _print_above("".join(lines))
                return
            self.stream.write("".join(lines))
            self.stream.flush()
        except (OSError, ValueError):
            pass

    def debug(self, line: str) -> None:
        self.write(line, logging.DEBUG)

    def info(self, line: str) -> None:
        self.write(line, logging.INFO)

    def warning(self, line: str) -> None:
        self.write(line, logging.WARNING)

    def error(self, line: str) -> None:
        self.write(line, logging.ERROR)

    def critical(self, line: str) -> None:
        self.write(line, logging.CRITICAL)

    msg, exception = info, error


class _Handler(logging.Handler):
    """Writes the records of libraries to the same sink."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__()
        self.sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.sink.write(self.format(record), record.levelno)
        except Exception:  # noqa: BLE001  # a library's call must not fail for it
            self.handleError(record)


def _add_library_records(common: list[Processor], render: Processor, sink: _Sink) -> None:
    """Write the records of libraries in the same form as events."""
    _remove_handler()
    root = logging.getLogger()
    handler = _Handler(sink)
    handler.name = _HANDLER
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *common,
                render,
            ],
        )
    )
    root.addHandler(handler)
    root.setLevel(LIBRARY_LEVEL)
    # Otherwise a record that cannot be formatted is printed with its arguments, unmasked.
    logging.raiseExceptions = False


def _remove_handler() -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name == _HANDLER]:
        root.removeHandler(handler)

"""Logging: one event a line on stderr, a console's on a terminal, JSON otherwise, with every secret masked.

Events of our own go through structlog alone; what libraries log through the standard library joins at WARNING. Masking
comes last: a rendered line in which a secret is found, escaped or not, is rendered anew from masked values. Few lines
ever hold one, so most cost a search; masking the line itself could break its JSON. No traceback shows local variables.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol, TextIO
from urllib.parse import quote

from reaper.telemetry import events
from reaper.telemetry.journald import is_journal, with_priority
from reaper.telemetry.structlog_without_rich import EventDict, FilteringBoundLogger, Processor, WrappedLogger, structlog

MASK = "********"
FOREIGN_LEVEL = logging.WARNING
_HANDLER = "reaper"
_secrets: Callable[[], tuple[str, ...]] = tuple
_logger: FilteringBoundLogger = structlog.get_logger()
_sink: _Sink | None = None
_above: Callable[[str], None] | None = None


class LogSettings(Protocol):
    """The part of `telemetry.*` that matters here: format `auto`, `console` or `json`, and the lowest level."""

    @property
    def log_format(self) -> str: ...

    @property
    def log_level(self) -> str: ...


class InvalidLine(Protocol):
    """A line of input that was not accepted (`reaper.queues.values.InvalidLine`)."""

    @property
    def line(self) -> int: ...

    @property
    def reason(self) -> str: ...

    @property
    def text(self) -> str: ...


def get() -> FilteringBoundLogger:
    """Return the logger that the last `configure` made. Ask again for each event: a reload makes another."""
    return _logger


def use_logger(logger: FilteringBoundLogger) -> None:
    """Let events go to another logger for as long as nobody calls `configure`."""
    global _logger
    if _sink is None:
        _logger = logger


def line_invalid(source: str, line: InvalidLine) -> None:
    """Log a line of input that was not accepted."""
    get().warning(events.INTAKE_LINE_INVALID, source=source, line=line.line, reason=line.reason, text=line.text)


def configure(settings: LogSettings, stream: TextIO | None = None, *, secrets: Callable[[], tuple[str, ...]]) -> None:
    """Send all logs to `stream` (None: stderr) from now on; may be called again.

    `secrets` is asked for each line, because tokens rotate.
    """
    global _secrets, _logger, _sink
    _secrets = secrets
    stream = stream or sys.stderr
    console = settings.log_format == "console" or (settings.log_format == "auto" and stream.isatty())
    common: list[Processor] = [
        _Stamped(_console_time if console else _Instants()),
        # Without locals: they would show tokens, and bodies of answers.
        structlog.processors.format_exc_info,
    ]
    encode = json.JSONEncoder(default=repr).encode
    render: Processor = lambda logger, method, event: encode(event)  # noqa: E731  # leaves the event as it is
    if console:
        colors = stream.isatty() and not os.environ.get("NO_COLOR")
        pretty = structlog.dev.ConsoleRenderer(
            colors=colors, pad_event_to=24, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        )
        render = lambda logger, method, event: pretty(logger, method, dict(event))  # noqa: E731
    flush()
    _sink = sink = _Sink(stream, is_journal(stream, os.environ))
    render = _Masked(render, secrets)
    structlog.configure(
        processors=[*common, render],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    _logger = structlog.get_logger().bind()
    _bridge(common, render, sink)


def flush() -> None:
    """Write what was logged in this turn of the loop, before something else is written beside it."""
    if _sink is not None:
        _sink.flush()


def divert(above: Callable[[str], None] | None) -> None:
    """Hand whole lines to `above` from now on, which puts them above what it draws on stderr; None ends that."""
    global _above
    flush()
    _above = above


def beside(text: str) -> None:
    """Write a line to stderr that is no event, in its place among those that are."""
    flush()
    if _above is not None:
        _above(text)
        return
    sys.stderr.write(text)
    sys.stderr.flush()


def redacted(text: str) -> str:
    """Return the text with all secrets that the last `configure` told of replaced."""
    return masked(text, _secrets())


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """Return the text with every secret, as it is or escaped, replaced."""
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    return text


@lru_cache(maxsize=8)
def _forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ways the secrets may be written, longest first so that none leaves a part of another behind."""
    forms: set[str] = set()
    for secret in filter(None, secrets):
        forms |= {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret)}
    return tuple(sorted(forms, key=len, reverse=True))


@lru_cache(maxsize=8)
def _traces(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a rendered line that holds a secret must contain: a form of it, as it is or escaped once more."""
    return tuple({text for form in _forms(secrets) for text in (form, json.dumps(form)[1:-1], repr(form)[1:-1])})


def _console_time() -> str:
    return datetime.now().strftime("%H:%M:%S")  # whoever sits there wants their own


class _Instants:
    """The time as RFC 3339 in UTC; what is the same for all lines of a second is made once."""

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
class _Stamped:
    """A structlog processor: time, level and event, in this order and before all else."""

    instant: Callable[[], str]

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        level = "error" if method == "exception" else method
        return {"timestamp": self.instant(), "level": level, "event": event.pop("event", None), **event}


@dataclass(frozen=True, slots=True)
class _Masked:
    """A structlog processor: renders without secrets in names or values."""

    render: Processor
    secrets: Callable[[], tuple[str, ...]]

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        secrets = self.secrets()
        text = str(self.render(logger, method, event))
        for trace in _traces(secrets):
            if trace in text:
                clean = {masked(str(key), secrets): _clean(value, secrets) for key, value in event.items()}
                return str(self.render(logger, method, clean))
        return text


def _clean(value: object, secrets: tuple[str, ...]) -> object:
    """Return a value that renders without secrets; what is no plain data becomes its masked repr."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return masked(value, secrets)
        case Mapping():
            return {masked(str(key), secrets): _clean(item, secrets) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item, secrets) for item in value]
        case _:
            return masked(repr(value), secrets)


@dataclass(slots=True)
class _Sink:
    """Where rendered lines go, all of one turn of the event loop in one write: a write for each would cost a switch
    of threads for each. A reader of stderr that went away must not stop the reaper: such lines are dropped.
    """

    stream: TextIO
    journal: bool
    waiting: list[str] = field(default_factory=list)

    def write(self, line: str, level: int) -> None:
        self.waiting.append(with_priority(line, level) if self.journal else line + "\n")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # none runs here, or no more
            self.flush()
        else:
            if len(self.waiting) == 1:
                loop.call_soon(self.flush)

    def flush(self) -> None:
        lines, self.waiting = self.waiting, []
        try:
            if _above is not None and lines:
                _above("".join(lines))
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
    """Writes what other libraries log to the same sink."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__()
        self.sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.sink.write(self.format(record), record.levelno)
        except Exception:  # noqa: BLE001  # whoever logs must not suffer for it
            self.handleError(record)


def _bridge(common: list[Processor], render: Processor, sink: _Sink) -> None:
    """Let what other libraries log come out in the same form."""
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if handler.name == _HANDLER]:
        root.removeHandler(old)
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
    root.setLevel(FOREIGN_LEVEL)
    # A record that cannot be formatted would otherwise be printed with its arguments, past the masking.
    logging.raiseExceptions = False

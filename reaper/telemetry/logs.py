"""Configures logging: one event per line on stderr, as JSON or for a person, with secrets masked.

Events of reaper use structlog alone; records that libraries log through the standard library are added from WARNING on.
Masking is last (`redaction.py`). No traceback shows local variables.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, Protocol, TextIO

from reaper.telemetry import events
from reaper.telemetry.console import ConsoleRenderer, console_time
from reaper.telemetry.ecs import as_ecs
from reaper.telemetry.journald import SOCKET, Journal, JournalLine, JournalRenderer, is_journal
from reaper.telemetry.json_lines import encode
from reaper.telemetry.log_form import is_json
from reaper.telemetry.redaction import MaskedRenderer, masked
from reaper.telemetry.sink import Sink
from reaper.telemetry.stderr import divert_prints, writer_of
from reaper.telemetry.stray_output import log_printed, log_stray_output
from reaper.telemetry.structlog_without_rich import FilteringBoundLogger, Processor, structlog
from reaper.telemetry.terminal import columns, in_color
from reaper.telemetry.timestamps import Rfc3339Clock, Timestamp

LIBRARY_LEVEL = logging.WARNING
"""The lowest level of records from libraries."""
_HANDLER = "reaper"
_secrets: Callable[[], tuple[str, ...]] = tuple
_logger: FilteringBoundLogger = structlog.get_logger()
_sink: Sink | None = None
_writes_json = False
_templates: Rfc3339Clock | None = None
_print_above: Callable[[str], None] | None = None


class LogSettings(Protocol):
    """The settings of the log in `telemetry`.

    `log_format`: `auto`, `console` or `json`. `log_level`: the lowest level. `log_schema`: the names of the fields in
    JSON, `plain` or `ecs`.
    """

    @property
    def log_format(self) -> str: ...

    @property
    def log_level(self) -> str: ...

    @property
    def log_schema(self) -> str: ...


def get() -> FilteringBoundLogger:
    """Return the logger of the last `configure`. Do not keep it: a reload makes another."""
    return _logger


def writes_json() -> bool:
    """Return whether the last `configure` chose JSON lines."""
    return _writes_json


def write_info(line: Callable[[str], str]) -> bool:
    """Log an event of level info whose plain JSON `line` makes from the time.

    Returns False, and logs nothing, where the log has another form: then it goes through `get`, which costs far more.
    """
    if _templates is None or _sink is None:
        return False
    _sink.write(line(_templates()), logging.INFO)
    return True


def use_logger(logger: FilteringBoundLogger) -> None:
    """Send events to another logger, unless `configure` was called."""
    global _logger
    if _sink is None:
        _logger = logger


def configure(
    settings: LogSettings,
    stream: TextIO | None = None,
    *,
    secrets: Callable[[], tuple[str, ...]],
    daemon: bool = False,
    journal_socket: str = SOCKET,
) -> None:
    """Send all logs to `stream` (None: stderr) from now on; may be called again.

    `secrets` is called whenever lines are written, because tokens rotate. `daemon`: of `reaper run`, whose log is JSON
    away from a terminal unless the settings say otherwise. `journal_socket`: gets the lines where the stream is
    systemd's journal.
    """
    global _secrets, _logger, _sink, _writes_json, _templates
    _secrets = secrets
    stream = stream or sys.stderr
    _writes_json = is_json(settings.log_format, stream, daemon=daemon)
    common: list[Processor] = [
        Timestamp(Rfc3339Clock() if _writes_json else console_time),
        # Without local variables: they hold tokens, and bodies of replies.
        structlog.processors.format_exc_info,
    ]
    render: Processor = lambda logger, method, event: encode(event)  # noqa: E731  # does not change the event
    if settings.log_schema == "ecs":
        render = lambda logger, method, event: encode(as_ecs(event))  # noqa: E731
    if not _writes_json:
        render = ConsoleRenderer(in_color(stream, os.environ), partial(columns, stream))
    journal = Journal(journal_socket) if is_journal(stream, os.environ) else None
    masks_batches = _writes_json and journal is None
    if not masks_batches:
        render = MaskedRenderer(render, secrets)
    _leave_sink()
    _sink = sink = Sink(
        stream,
        _writes_json,
        journal,
        writer_of(stream),
        secrets if masks_batches else None,
        log_dropped,
        lambda: _print_above,
    )
    takes_templates = masks_batches and settings.log_schema == "plain" and settings.log_level in ("debug", "info")
    _templates = Rfc3339Clock() if takes_templates else None
    structlog.configure(
        processors=[*common, render if journal is None else JournalRenderer(render, secrets)],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    _logger = structlog.get_logger().bind()
    _add_library_records(common, render, sink)
    if sink.writer is not None:
        log_stray_output(_logger)
        divert_prints(stream, log_printed if _writes_json else None)


def reset() -> None:
    """Undo `configure`: forget the stream and the secrets, and write no more records of libraries."""
    global _secrets, _logger, _sink, _writes_json, _templates
    _leave_sink()
    if _sink is not None and _sink.writer is not None:
        log_stray_output(None)
        divert_prints(_sink.stream, None)
    structlog.reset_defaults()
    _templates = None
    _secrets, _logger, _sink, _writes_json = tuple, structlog.get_logger(), None, False
    _remove_handler()
    logging.raiseExceptions = True


def log_dropped(lost: dict[str, int]) -> None:
    """Log how many lines were dropped, by level."""
    _logger.warning(events.LOG_DROPPED, **lost)


def _leave_sink() -> None:
    flush()
    if _sink is not None and _sink.journal is not None:
        _sink.journal.close()


def flush() -> None:
    """Write the lines logged in this turn of the event loop now, so that later output follows them."""
    if _sink is not None:
        _sink.flush()


def is_behind() -> bool:
    """Return whether stderr is read more slowly than it is written: more work should wait."""
    return _sink is not None and _sink.writer is not None and _sink.writer.is_behind


def dropped() -> dict[str, int]:
    """Return how many lines were dropped so far, by level."""
    return dict(_sink.writer.dropped) if _sink is not None and _sink.writer is not None else {}


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


class _Handler(logging.Handler):
    """Writes the records of libraries to the same sink."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self.sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            if self.sink.journal is not None:
                line = JournalLine.of(line, {"LOGGER": redacted(record.name)})
            self.sink.write(line, record.levelno)
        except Exception:  # noqa: BLE001  # a library's call must not fail for it
            self.handleError(record)


def _add_library_records(common: list[Processor], render: Processor, sink: Sink) -> None:
    """Write the records of libraries in the same form as events."""
    _remove_handler()
    root = logging.getLogger()
    handler = _Handler(sink)
    handler.name = _HANDLER
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_record],
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


def _name_record(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name a record's logger; one of reaper's own queues, which know no events, becomes the event of a sentence."""
    name: str = event["_record"].name
    if name.startswith("reaper."):
        event["event"], event["detail"] = events.REAPER_NOTED, event["event"]
    else:
        event["logger"] = name
    return event


def _remove_handler() -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name == _HANDLER]:
        root.removeHandler(handler)

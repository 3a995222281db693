"""Logs to the standard library's logger `reaper` of a host process, and changes nothing else there.

The host's handlers and levels decide which events are shown: by default warnings, on stderr. Secrets are masked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reaper.telemetry import logs
from reaper.telemetry.redaction import masked
from reaper.telemetry.structlog_without_rich import EventDict, WrappedLogger, structlog

LOGGER = logging.getLogger("reaper")
_secret_sources: list[Callable[[], tuple[str, ...]]] = []


@contextmanager
def use_host_logger(secrets: Callable[[], tuple[str, ...]]) -> Iterator[None]:
    """Send events to the logger `reaper`, unless `logs.configure` was called; mask `secrets` inside the block."""
    logs.use_logger(
        structlog.wrap_logger(
            LOGGER,
            processors=[structlog.stdlib.filter_by_level, _render],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        )
    )
    _secret_sources.append(secrets)
    try:
        yield
    finally:
        _secret_sources.remove(secrets)


def _render(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Return `session.settled session_id=env_1 outcome=stopped`."""
    words = [str(event.pop("event", "")), *(f"{key}={_quoted(value)}" for key, value in event.items())]
    return masked(" ".join(words), tuple(secret for source in _secret_sources for secret in source()))


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if not text.isprintable() or " " in text else text

"""Logging inside somebody else's process: the standard library's logger `reaper`, and nothing of theirs is touched.

Their handlers and levels decide what is seen: by default the warnings, on stderr. Secrets are masked as everywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reaper.telemetry import logs
from reaper.telemetry.structlog_without_rich import EventDict, WrappedLogger, structlog

LOGGER = logging.getLogger("reaper")
_secret_sources: list[Callable[[], tuple[str, ...]]] = []


@contextmanager
def use_host_logger(secrets: Callable[[], tuple[str, ...]]) -> Iterator[None]:
    """Send events to the logger `reaper` from now on, unless a command has set up logging; mask `secrets` meanwhile."""
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
    words = [str(event.pop("event", "")), *(f"{key}={_shown(value)}" for key, value in event.items())]
    return logs.masked(" ".join(words), tuple(secret for held in _secret_sources for secret in held()))


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if not text.isprintable() or " " in text else text

"""Puts the time before each log event."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from reaper.telemetry.structlog_without_rich import EventDict, WrappedLogger


class Rfc3339Clock:
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
class Timestamp:
    """A structlog processor: puts time, level and event first, in this order."""

    instant: Callable[[], str]

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        level = "error" if method == "exception" else method
        return {"timestamp": self.instant(), "level": level, "event": event.pop("event", None), **event}

"""Implements the journal of the intake as log events and metrics, with the lines that it refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reaper.core.errors import QueueUnavailableError
from reaper.queues.values import Added, InvalidLine
from reaper.telemetry import events
from reaper.telemetry.logs import get

MAX_SOURCES = 1000
"""Sources whose refused lines are remembered, the newest: each file of a spool is one."""
MAX_REFUSED_LOGGED = 20
"""Refused lines of one source that are logged singly: a wrong file of 50,000 lines must not flood the log."""


@dataclass(slots=True)
class RefusedLines:
    """Logs the refused lines of sources: the first `MAX_REFUSED_LOGGED` of each one by one, the others as a count."""

    _logged: dict[str, int] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)

    def log(self, source: str, lines: Sequence[InvalidLine]) -> None:
        """Log the next refused lines of a source."""
        logged = self._logged.get(source, 0)
        singly = lines[: MAX_REFUSED_LOGGED - logged]
        for line in singly:
            get().warning(events.INTAKE_LINE_INVALID, source=source, line=line.line, reason=line.reason, text=line.text)
        if source not in self._logged and len(self._logged) >= MAX_SOURCES:
            del self._logged[next(iter(self._logged))]
        self._logged[source] = logged + len(singly)
        if more := len(lines) - len(singly):
            self._counted[source] = self._counted.get(source, 0) + more

    def log_count(self, source: str) -> None:
        """Log how many lines were refused since the last call and not logged singly."""
        if more := self._counted.pop(source, 0):
            get().warning(events.INTAKE_LINES_INVALID, source=source, lines=more)


class IntakeMeter(Protocol):
    """Counts lines and files for `/metrics`."""

    def imported(self, source: str, *, accepted: int, duplicate: int, invalid: int) -> None: ...

    def intake_files(self, missing: int, spool: Mapping[str, int]) -> None: ...


class LineMeter(Protocol):
    """Counts lines for `/metrics`."""

    def imported(self, source: str, *, accepted: int, duplicate: int, invalid: int) -> None: ...


@dataclass(frozen=True, slots=True)
class LogReport:
    """Logs and counts what the intake did (`intake.events.IntakeReport`)."""

    meter: IntakeMeter
    on_added: Callable[[], None]
    """Called when there may be a new item to claim."""
    on_unavailable: Callable[[QueueUnavailableError], None]
    """Called when the queue cannot take items in."""
    refused: RefusedLines = field(default_factory=RefusedLines)

    def imported(self, kind: str, source: str, added: Added) -> None:
        counts = {"accepted": added.accepted, "duplicate": added.duplicate, "invalid": added.invalid}
        self.meter.imported(kind, **counts)
        self.refused.log_count(source)
        get().info(events.INTAKE_IMPORTED, source=source, **counts)
        self.on_added()

    def invalid(self, source: str, lines: Sequence[InvalidLine]) -> None:
        self.refused.log(source, lines)

    def noted(self, source: str, note: str) -> None:
        get().warning(events.INTAKE_NOTED, source=source, note=note)

    def failed(self, source: str, error: str) -> None:
        get().error(events.INTAKE_FAILED, source=source, error=error)

    def recovered(self, source: str) -> None:
        get().info(events.INTAKE_RECOVERED, source=source)

    def counted(self, missing: int, spool: Mapping[str, int] | None) -> None:
        self.meter.intake_files(missing, spool or {})

    def unavailable(self, error: QueueUnavailableError) -> None:
        self.on_unavailable(error)

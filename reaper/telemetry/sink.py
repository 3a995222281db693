"""Where rendered log lines go: to a stream, to systemd's journal, or above a live display."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from reaper.telemetry.journald import Journal, with_priority
from reaper.telemetry.redaction import masked_json
from reaper.telemetry.stderr import StderrWriter


@dataclass(slots=True)
class Sink:
    """Writes rendered lines, all of one turn of the event loop in one write: each write costs a switch of threads.

    Lines for the journal are sent one by one instead, and written only where its socket does not take them.
    The reader of stderr stops nothing, whatever it does (`stderr.py`): lines that it does not take are dropped.
    """

    stream: TextIO
    is_json: bool
    journal: Journal | None
    writer: StderrWriter | None
    secrets: Callable[[], tuple[str, ...]] | None
    """Set where the lines are JSON in which secrets are still to be masked: that happens here, for all at once."""
    log_dropped: Callable[[dict[str, int]], None]
    """Logs the numbers of lines that were dropped, by level."""
    print_above: Callable[[], Callable[[str], None] | None]
    """Returns what prints lines above a live display while there is one."""
    waiting: list[tuple[int, str]] = field(default_factory=list)
    _flushed_by: asyncio.AbstractEventLoop | None = None
    """Flushes what waits in its next turn, if it runs."""

    def write(self, line: str, level: int) -> None:
        """Take a line; it is written in the next turn of the event loop, or at once where none runs."""
        if self.journal is None:
            text = line + "\n"
        elif self.journal.send(line, level):
            return
        else:
            text = with_priority(line, level)
        self.waiting.append((level, text))
        if len(self.waiting) > 1 and self._flushed_by is not None and self._flushed_by.is_running():
            return
        try:
            self._flushed_by = asyncio.get_running_loop()
        except RuntimeError:  # no event loop runs
            self.flush()
        else:
            self._flushed_by.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits, without secrets."""
        lines: Sequence[tuple[int, str]]
        lines, self.waiting = self.waiting, []
        if self.writer is not None and (lost := self.writer.take_lost()):
            self.log_dropped(lost)
            lines, self.waiting = [*self.waiting, *lines], []
        if not lines:
            return
        if self.secrets is not None:
            lines = masked_json(lines, self.secrets())
        print_above = self.print_above()
        try:
            if print_above is not None:
                print_above("".join([line for _, line in lines]))
            elif self.writer is not None:
                encoding = "utf-8" if self.is_json else self.stream.encoding or "utf-8"
                errors = self.stream.errors or "backslashreplace"
                self.writer.write([(level, line.encode(encoding, errors)) for level, line in lines])
            else:
                self.stream.write("".join([line for _, line in lines]))
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

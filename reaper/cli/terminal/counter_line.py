"""One line on a terminal that counts while a long order works, and is gone at its end."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from reaper.telemetry import logs
from reaper.telemetry.terminal import can_draw

BEFORE_S = 1.0
"""Work that is over sooner needs no line."""
DRAW_S = 0.25


class CounterLine:
    """Shows `1,000 WORDS` on stderr, where that is a terminal and may be written to."""

    def __init__(self, words: str, *, quiet: bool) -> None:
        self._words = words
        self._is_shown = can_draw(sys.stderr, os.environ) and not quiet and not logs.writes_json()
        self._next_at = time.monotonic() + BEFORE_S
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def show(self, count: int) -> None:
        """Show a count, unless the last one is too fresh."""
        if self._is_shown and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + DRAW_S
            text = f"{count:,} {self._words}"
            self._write(f"\r{text.ljust(self._width)}")
            self._width = max(self._width, len(text))

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            self._write(f"\r{' ' * self._width}\r")
            self._width = 0

    def _write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()

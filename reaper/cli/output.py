"""Printing: data to stdout, messages to stderr, and the words for outcomes, instants and states."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from reaper.cli.wrap import wrap_for_terminal
from reaper.core.errors import ReaperError
from reaper.core.notices import Notice
from reaper.core.text import escaped, escaped_json, format_duration, sanitize
from reaper.core.words import NOW_S
from reaper.telemetry import events, logs
from reaper.telemetry.journald import is_journal, with_priority

MAX_DETAIL_CHARS = 1_000
"""Longer than any detail of a pause, whose end is the remedy: it is wrapped where it is shown, not cut."""


def say(text: str, level: int = logging.INFO) -> None:
    """Print a message to stderr, wrapped on a terminal; log it where logs are JSON. A closed stderr stops no work."""
    if logs.writes_json():
        logs.get().log(level, events.REAPER_NOTED, detail=text)
        return
    line = wrap_for_terminal(f"reaper: {_shown(text)}", sys.stderr)
    with suppress(OSError):
        logs.write_line(with_priority(line, level) if is_journal(sys.stderr, os.environ) else f"{line}\n")


def emit(text: str, indent: str = "  ") -> None:
    """Write lines of text to stdout, on a terminal wrapped with later lines indented, no word of them broken in two.

    Raises BrokenPipeError when its reader is gone, ReaperError when it is full.
    """
    _write("\n".join(wrap_for_terminal(line, sys.stdout, indent) for line in _shown(text).split("\n")))


def emit_row(text: str) -> None:
    """Write a line of data that is as wide as it must be, as that of a table or of a file. Raises as `emit` does."""
    _write(_shown(text))


def emit_own(text: str) -> None:
    """Write text of reaper's own to stdout, such as a script, as it is. Raises as `emit` does."""
    _write(text.removesuffix("\n"))


def _shown(text: str) -> str:
    """Return lines that show no secret and move no cursor, whatever the API, a file name or a row put into them."""
    return escaped(logs.redacted(text), keep="\n")


def _write(line: str) -> None:
    with _full_said():
        sys.stdout.write(line + "\n")


def flush() -> None:
    """Have what was printed so far written. Raises as `emit` does."""
    with _full_said():
        sys.stdout.flush()


@contextmanager
def _full_said() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ReaperError(f"the output cannot be written: {error.strerror}") from error


def emit_json(data: object) -> None:
    """Write one JSON line of data to stdout."""
    emit_json_text(logs.redacted(json.dumps(data, ensure_ascii=False)))


def emit_json_text(text: str) -> None:
    """Write a JSON text to stdout; what the encoding cannot hold is escaped as JSON does."""
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        text = "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in text)
    _write(escaped_json(text))


def notice_line(notice: Notice) -> str:
    """Return a notice without what to do: `PAUSED: credentials, for 12 s: the API refused the token (401)`."""
    line = f"{notice.title}: {sanitize(notice.detail, MAX_DETAIL_CHARS)}" if notice.detail else notice.title
    label, colon, rest = line.partition(":")
    return f"{label.upper()}:{rest}" if colon else label


def next_due(at: float | None, now: float) -> str:
    """Return when the first of some delayed IDs falls due: `next due in 12 s`, `next due now`; "" without any."""
    if at is None:
        return ""
    return f"next due in {format_duration(at - now)}" if at - now >= NOW_S else "next due now"


def limit_words(in_flight: int, limit: int | None) -> str:
    """Return how many sends may be in flight at once, and how many IDs more are claimed: `limit 32, 16 more claimed`.

    "" where no reaper says its limit.
    """
    if limit is None:
        return ""
    return f"limit {limit:,}, {in_flight - limit:,} more claimed" if in_flight > limit else f"limit {limit:,}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows in aligned columns, numbers to the right, without trailing blanks or newline."""
    cells = [[escaped(str(cell)) for cell in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(head, *cells, strict=True)]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [list(head), *cells]
    ]
    return "\n".join(lines)

"""Printing: data to stdout, messages to stderr, and the words for outcomes, instants and states."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from reaper.cli.wrap import wrap_for_terminal
from reaper.core.errors import ReaperError
from reaper.core.model import Item, Outcome, State
from reaper.core.notices import Notice
from reaper.core.text import format_duration, sanitize
from reaper.telemetry import logs
from reaper.telemetry.journald import is_journal, with_priority

OUTCOME_WORDS = {outcome: outcome.value.replace("_", " ") for outcome in Outcome}


def say(text: str, level: int = logging.INFO) -> None:
    """Print a message to stderr, wrapped on a terminal. A closed stderr stops no work."""
    line = wrap_for_terminal(f"reaper: {logs.redacted(text)}", sys.stderr)
    with suppress(OSError):
        logs.write_line(with_priority(line, level) if is_journal(sys.stderr, os.environ) else f"{line}\n")


def emit(text: str) -> None:
    """Write one line of data to stdout. Raises BrokenPipeError when its reader is gone, ReaperError when it is full."""
    try:
        sys.stdout.write(text + "\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ReaperError(f"the output cannot be written: {error.strerror}") from error


def emit_wrapped(text: str, indent: str = "  ") -> None:
    """Write lines of text to stdout as `emit` does, wrapped on a terminal with later lines indented."""
    emit("\n".join(wrap_for_terminal(line, sys.stdout, indent) for line in text.splitlines()))


def emit_json(data: object) -> None:
    """Write one JSON line of data to stdout."""
    emit(json.dumps(data, ensure_ascii=False))


def notice_line(notice: Notice) -> str:
    """Return a notice without what to do: `PAUSED: credentials, for 12 s: the API refused the token (401)`."""
    line = f"{notice.title}: {sanitize(notice.detail)}" if notice.detail else notice.title
    label, colon, rest = line.partition(":")
    return f"{label.upper()}:{rest}" if colon else label


def clock_time(at: float) -> str:
    """Return an instant for a person to read: UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def describe_state(item: Item, now: float) -> str:
    """Return an item's state in words: `waiting, due in 3 h 58 m`, `in flight`, `stopped, 2 m ago`."""
    match item.state:
        case State.IN_FLIGHT:
            return "in flight"
        case State.SETTLED:
            word = OUTCOME_WORDS[item.outcome] if item.outcome else "settled"
            return f"{word}, {format_duration(now - item.settled_at)} ago" if item.settled_at else word
        case State.READY | State.DELAYED if item.due_at > now:
            return f"waiting, due in {format_duration(item.due_at - now)}"
        case State.READY | State.DELAYED:
            return "waiting, due now"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows in aligned columns, numbers to the right, without trailing blanks or newline."""
    cells = [[str(cell) for cell in row] for row in rows]
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

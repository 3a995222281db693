"""What the verbs share: settings, the open queue, and how things are printed."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec

import anyio

from reaper.cli.wrap import wrap_for_terminal
from reaper.core.errors import ReaperError
from reaper.core.model import Item, Outcome, State
from reaper.core.text import format_duration
from reaper.core.times import parse_duration
from reaper.core.urls import sqlite_path
from reaper.queues.base import Queue
from reaper.queues.open import Opened, open_queue
from reaper.settings.load import Loaded, load
from reaper.settings.state_dir import state_dir
from reaper.telemetry import logs
from reaper.telemetry.journald import is_journal, with_priority

CALM_COLLECTOR = (10_000, 10, 10)
"""Thresholds of the cycle collector for long work, which makes no cycles but allocates all the time: at the default of
700 it took a twelfth of the CPU of `once`."""
OUTCOME_WORDS = {outcome: outcome.value.replace("_", " ") for outcome in Outcome}


# --- settings and queue -------------------------------------------------------------------------------------------


def loaded(args: argparse.Namespace) -> Loaded:
    """Return the effective settings; print their warnings and set up logging. Raises ConfigError."""
    result = load(args.config, args.flags)
    for warning in result.warnings:
        say(f"warning: {warning}", logging.WARNING)
    token = result.settings.api.token
    logs.configure(result.settings.telemetry, secrets=lambda: (token.get_secret_value(),) if token else ())
    return result


@asynccontextmanager
async def open_reading(settings: Loaded) -> AsyncIterator[Queue]:
    """Open the queue to read only; never creates a ledger. Raises QueueError that says where it looked."""
    async with opened(settings) as found:
        yield found.queue


@asynccontextmanager
async def open_writing(
    settings: Loaded, worker: bool = False, create: bool = True, warn: bool = False
) -> AsyncIterator[Queue]:
    """Open the queue to write; tells of a ledger that was created. `worker`: this process will claim.

    `warn`: say what the engine's settings put at risk.
    """
    async with opened(settings, create=create, read_only=False, worker=worker) as found:
        for warning in found.warnings if warn else ():
            say(f"warning: {warning}", logging.WARNING)
        yield found.queue


@asynccontextmanager
async def opened(
    settings: Loaded, *, create: bool = False, read_only: bool = True, worker: bool = False
) -> AsyncIterator[Opened]:
    """Open the queue, to read only unless told otherwise, and what is known of it."""
    opened = await open_queue(
        settings.settings.queue.url,
        create=create,
        read_only=read_only,
        worker=worker,
        state_dir=partial(state_dir, os.environ),
        inbox_after_s=settings.settings.intake.default_after_s,
    )
    if opened.created_path is not None:
        say(f"created the ledger {opened.created_path}")
    try:
        yield opened
    finally:
        with anyio.CancelScope(shield=True):
            await opened.queue.close()


def no_ledger_yet(settings: Loaded) -> bool:
    """Return whether the queue is a ledger on this machine that nothing has made yet."""
    url = settings.settings.queue.url
    return url.startswith("sqlite:") and not sqlite_path(url).exists()


def run_async(run: Callable[..., Awaitable[int]], *args: object, fast: bool = False) -> int:
    """Run an async command to its exit code; `fast`, for long work: on uvloop where that is installed."""
    options = {"use_uvloop": True} if fast and find_spec("uvloop") else {}
    if fast:
        gc.freeze()
        gc.set_threshold(*CALM_COLLECTOR)
    return anyio.run(run, *args, backend_options=options)


# --- arguments ----------------------------------------------------------------------------------------------------


def duration(text: str) -> float:
    """Read `30m`, `1h30m` or plain seconds, for argparse."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


# --- printing -----------------------------------------------------------------------------------------------------


def say(text: str, level: int = logging.INFO) -> None:
    """Tell the operator something beside the data, on stderr; on a terminal no word is broken in two.

    That nobody reads it stops no work.
    """
    line = wrap_for_terminal(f"reaper: {logs.redacted(text)}", sys.stderr)
    with suppress(OSError):
        logs.beside(with_priority(line, level) if is_journal(sys.stderr, os.environ) else f"{line}\n")


def emit(text: str) -> None:
    """Write one line of data to stdout. Raises BrokenPipeError when its reader left, ReaperError when it is full."""
    try:
        sys.stdout.write(text + "\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ReaperError(f"the output cannot be written: {error.strerror}") from error


def emit_wrapped(text: str, indent: str = "  ") -> None:
    """Write lines of text to stdout as `emit` does; what is wider than the terminal goes on below, indented."""
    emit("\n".join(wrap_for_terminal(line, sys.stdout, indent) for line in text.splitlines()))


def emit_json(data: object) -> None:
    """Write one JSON line of data to stdout."""
    emit(json.dumps(data, ensure_ascii=False))


def shown(text: str) -> str:
    """Return a text from outside fit for a terminal: printable, at most 80 characters."""
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return clean if len(clean) <= 80 else f"{clean[:79]}…"


def instant(at: float) -> str:
    """Return an instant as RFC 3339 in UTC, to the millisecond, as JSON has it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_time(at: float) -> str:
    """Return an instant for people: UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def describe_state(item: Item, now: float) -> str:
    """Return where an item stands, in words: `waiting, due in 3 h 58 m`, `in flight`, `stopped, 2 m ago`."""
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

"""Read the inputs of a command line: files or stdin, from start to end; inputs are never changed."""

from __future__ import annotations

import math
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fcntl import ioctl
from termios import FIONREAD

import anyio

from reaper.core.errors import UsageError
from reaper.core.text import shown_path
from reaper.intake.events import NOTHING, add_up
from reaper.intake.line_reader import SNIFF_BYTES, Parsed, Reader, refuse_binary
from reaper.queues.base import IntakePort, RunSet
from reaper.queues.values import Added, Batch, NewItem

STDIN = "-"

REST_S = 5.0
"""How long a cancelled intake tries to add what it had read from a stream, which nobody can read again."""

NO_NEW_TIME = "--or-postpone gives the ID that waits a new time: say which with --after or --at"

OnBatch = Callable[[Added, Parsed], None]


@dataclass(frozen=True, slots=True)
class Input:
    """An open input that was checked. `source` is its name in the ledger and in messages."""

    source: str
    fd: int


@contextmanager
def open_inputs(paths: Sequence[str]) -> Iterator[list[Input]]:
    """Open all inputs (`-` is stdin) for the block, without reading from a stream.

    Raises UsageError that names the first input that is missing, a directory, unreadable or binary. A FIFO is
    opened at once; reading it waits for its writer.
    """
    if list(paths).count(STDIN) > 1:
        raise UsageError("stdin (-) is named twice; it can be read only once")
    with ExitStack() as opened:
        yield [opened.enter_context(_open(path)) for path in paths]


def unread_input(fd: int = 0) -> bool:
    """Return True when standard input is a pipe or file with unread bytes."""
    try:
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return status.st_size > os.lseek(fd, 0, os.SEEK_CUR)
        return stat.S_ISFIFO(status.st_mode) and int.from_bytes(ioctl(fd, FIONREAD, bytes(4)), sys.byteorder) > 0
    except OSError:
        return False


async def take_in_file(
    queue: IntakePort,
    origin: str | Input,
    *,
    again: bool = False,
    or_postpone: bool = False,
    needs_time: bool = False,
    by: str | None = None,
    default_after_s: float = 0.0,
    default_at: float | None = None,
    into: RunSet | None = None,
    on_batch: OnBatch | None = None,
    stop_at: float = math.inf,
    on_cut: Callable[[], None] | None = None,
) -> Added:
    """Add a whole input (a path, or one of `open_inputs`) to the queue and return the totals.

    For the options see `IntakePort.add`; `default_at` is the due time of IDs without one, unless each one `needs_time`
    of its own. `on_batch` is called after each batch is durable. At `stop_at` (of the event loop's clock) reading
    ends, and `on_cut` is called if that was not the input's end. Raises UsageError when the input can't be read or a
    line lacks the time that it needs, possibly after some batches. On cancellation, whole batches have been added.
    """
    with ExitStack() as opened:
        one = opened.enter_context(_open(origin)) if isinstance(origin, str) else origin
        reader = Reader(one.fd, one.source, stop_at)
        total = NOTHING

        async def add(parsed: Parsed) -> None:
            nonlocal total
            if needs_time and (timeless := [item.session_id for item in parsed.items if item.due_at is None]):
                raise UsageError(f"{one.source}: the line of {timeless[0]} has no due time: {NO_NEW_TIME}")
            items = parsed.items if default_at is None else [_due_at(item, default_at) for item in parsed.items]
            batch = Batch(one.source, items, parsed.invalid)
            with anyio.CancelScope(shield=True):  # what was added is counted, too
                added = await queue.add(
                    batch, again=again, or_postpone=or_postpone, by=by, default_after_s=default_after_s, into=into
                )
            total = add_up(total, added)
            if on_batch is not None:
                on_batch(added, parsed)

        try:
            while (parsed := await reader.next()) is not None:
                await add(parsed)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(REST_S, shield=True):
                if (rest := reader.lines.take()) is not None:
                    await add(rest)
            raise
        if reader.was_cut and on_cut is not None:
            on_cut()
        return total


def _due_at(item: NewItem, at: float) -> NewItem:
    return NewItem(item.session_id, at) if item.due_at is None else item


@contextmanager
def _open(path: str) -> Iterator[Input]:
    source = "stdin" if path == STDIN else shown_path(path)
    if path == STDIN and sys.__stdin__ is None:
        # Descriptor 0 may meanwhile be any file that this process opened.
        raise UsageError("stdin cannot be read: it was closed when this command began")
    try:
        fd = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise UsageError(f"{source} cannot be read: {_reason(error)}") from error
    try:
        _check(fd, source)
        yield Input(source, fd)
    finally:
        os.close(fd)


def _check(fd: int, source: str) -> None:
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        raise UsageError(f"{source} is a directory; name the files in it")
    if not stat.S_ISREG(mode):
        return
    try:
        head = os.pread(fd, SNIFF_BYTES, os.lseek(fd, 0, os.SEEK_CUR))
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {_reason(error)}") from error
    refuse_binary(head, source)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)

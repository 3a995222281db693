"""`reaper add`: queue session IDs, from arguments and from files; durable when it returns."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import anyio

from reaper.app.operator_input import operator_name
from reaper.cli.arguments import duration, instant
from reaper.cli.commands.delayed_lists import DelayedLists
from reaper.cli.context import loaded, open_writing, run_async
from reaper.cli.failure import drop
from reaper.cli.output import emit, emit_json, flush, say
from reaper.cli.terminal.progress import progress_mode, show_intake
from reaper.core.errors import Exit, UsageError
from reaper.core.ids import TITLES, check_id
from reaper.core.model import Item, SessionId, State
from reaper.core.text import printable, sanitize
from reaper.core.times import format_time
from reaper.core.words import ARGUMENT, describe_state, line_place
from reaper.intake.events import NOTHING, add_up
from reaper.intake.inputs import NO_NEW_TIME, open_inputs, take_in_file
from reaper.intake.line_reader import Parsed
from reaper.queues.base import LedgerReader
from reaper.queues.values import Added, Batch, InvalidLine, NewItem
from reaper.settings.load import Loaded

SOURCE = "add"
MAX_NAMED = 20
"""Duplicates, invalid lines and files that are named one by one; the others are counted."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="a session ID")
    parser.add_argument(
        "--from", dest="inputs", action="append", default=[], metavar="FILE", help="read IDs from it; - is stdin"
    )
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--after", type=duration, metavar="TIME", help="stop them after this time, as 30m or 1h30m")
    when.add_argument("--at", type=instant, metavar="TIME", help="stop them at this time, as 2030-01-31T12:00:00Z")
    parser.add_argument("--again", action="store_true", help="stop them again if they are settled already")
    parser.add_argument(
        "--or-postpone",
        action="store_true",
        help="give an ID that waits already the new time, which --after, --at or its line says: the same "
        "command registers and renews",
    )
    parser.epilog = (
        "A line's own due time overrides --after and --at. An ID that is known already stays as it is, and the command "
        "that would change it is named."
    )


def run(args: argparse.Namespace) -> int:
    if not args.ids and not args.inputs:
        raise UsageError("add: name session IDs, or a file with --from (- is stdin)")
    if args.ids and args.or_postpone and _is_timeless(args):
        raise UsageError(f"add: {NO_NEW_TIME}")
    return run_async(_add, args, loaded(args))


def _is_timeless(args: argparse.Namespace) -> bool:
    return args.after is None and args.at is None


@dataclass(slots=True)
class Taken:
    """The result of the arguments and inputs so far."""

    total: Added = NOTHING
    delayed: DelayedLists = field(default_factory=DelayedLists)
    invalid: list[tuple[str, InvalidLine]] = field(default_factory=list)
    """The first invalid lines, each with its source."""

    def batch(self, source: str, now: Callable[[], float], added: Added, parsed: Parsed) -> None:
        self.delayed.count(source, parsed, now())
        self.total = add_up(self.total, added)
        self.refuse(source, parsed.invalid)
        for note in parsed.notes:
            say(f"{source}: {note}")

    def refuse(self, source: str, lines: Sequence[InvalidLine]) -> None:
        self.invalid += [(source, line) for line in lines][: MAX_NAMED - len(self.invalid)]


async def _add(args: argparse.Namespace, settings: Loaded) -> int:
    taken = Taken()
    with ExitStack() as opened:
        # Inputs before the queue: when one cannot be read, nothing of the command has been done.
        inputs = opened.enter_context(open_inputs(args.inputs))
        async with open_writing(settings) as queue:
            after_s = args.after or 0.0
            if args.ids:
                batch = _arguments(args.ids, args.at)
                taken.refuse(ARGUMENT, batch.invalid)
                with anyio.CancelScope(shield=True):  # what was added is counted, too
                    taken.total = await queue.add(
                        batch,
                        again=args.again,
                        or_postpone=args.or_postpone,
                        by=operator_name(),
                        default_after_s=after_s,
                    )
            mode = progress_mode(settings, quiet=args.quiet)
            async with show_intake(mode, inputs, lambda: taken.total):
                for one in inputs:
                    await take_in_file(
                        queue,
                        one,
                        again=args.again,
                        or_postpone=args.or_postpone,
                        needs_time=args.or_postpone and _is_timeless(args),
                        by=operator_name(),
                        default_after_s=after_s,
                        default_at=args.at,
                        on_batch=partial(taken.batch, one.source, queue.now),
                    )
            duplicates = await _known(queue, taken.total.duplicates[:MAX_NAMED])
            now = queue.now()
    try:
        changes = [(item, _change(item, args.after, args.at)) for item in duplicates]
        _report(taken, changes, now, as_json=args.json)
    except BrokenPipeError:  # its reader is gone: the exit code still says whether lines were refused
        drop(sys.stdout)
    for sentence in taken.delayed.sentences():
        say(sentence)
    files = list(filter(os.path.isfile, args.ids))
    for name in files[:MAX_NAMED]:
        again = f"reaper add --from {sanitize(shlex.quote(name))}"
        say(f"{sanitize(name)} is a file, not a session ID; to add the IDs in it: {again}", logging.WARNING)
    if len(files) > MAX_NAMED:
        say(f"… and {len(files) - MAX_NAMED} more files", logging.WARNING)
    return Exit.DEAD if taken.total.invalid else Exit.OK


def _arguments(words: Sequence[str], due_at: float | None) -> Batch:
    """Return the IDs named on the command line as a batch; the n-th argument counts as line n."""
    items: list[NewItem] = []
    invalid: list[InvalidLine] = []
    for number, word in enumerate(map(str.strip, words), 1):
        if number == 1 < len(words) and word.lower() in TITLES:
            say(f"the first argument, {word}, is a column title and was skipped")
            continue
        try:
            items.append(NewItem(check_id(word), due_at))
        except ValueError as error:
            invalid.append(InvalidLine(number, str(error), printable(word.encode("utf-8", "surrogateescape"))))
    return Batch(SOURCE, items, invalid)


async def _known(queue: LedgerReader, ids: Sequence[SessionId]) -> list[Item]:
    return [item for session_id in ids if (item := await queue.show(session_id)) is not None]


def _change(item: Item, after_s: float | None, at: float | None) -> str | None:
    """Return the command that would have a known ID stopped at the time that was asked for.

    None: no command changes that, because it is in flight, or due now as was asked for.
    """
    if item.state is State.IN_FLIGHT or (item.state is State.READY and at is None and not after_s):
        return None
    when = f" --at {format_time(at)}" if at is not None else "" if after_s is None else f" --after {_length(after_s)}"
    if item.state is State.SETTLED:
        return f"reaper add {item.session_id} --again{when}"
    return f"reaper postpone {item.session_id}{when or ' --after 0'}"


def _length(seconds: float) -> str:
    """Return a length of time as an option takes it: `30m`."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and not seconds % size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}"


def _report(taken: Taken, duplicates: list[tuple[Item, str | None]], now: float, *, as_json: bool) -> None:
    total = taken.total
    if as_json:
        emit_json(
            {
                "accepted": total.accepted,
                "duplicate": total.duplicate,
                "postponed": total.postponed,
                "invalid": total.invalid,
                "duplicates": [_duplicate_json(item, change) for item, change in duplicates],
                "invalid_lines": [
                    {"source": source, "line": line.line, "reason": line.reason, "text": line.text}
                    for source, line in taken.invalid
                ],
            }
        )
        return
    for item, change in duplicates:
        known = f"{item.session_id}: known already: {describe_state(item, now)}"
        emit(f"{known}; to change that: {change}" if change else known)
    if total.duplicate > len(duplicates):
        emit(f"… and {total.duplicate - len(duplicates)} more that are known already")
    flush()
    for source, line in taken.invalid:
        say(f"{line_place(source, line.line)}: {line.text or 'empty'}: {line.reason}")
    if total.invalid > len(taken.invalid):
        say(f"… and {total.invalid - len(taken.invalid)} more invalid lines")
    postponed = f"{total.postponed} postponed, " if total.postponed else ""
    emit(f"{total.accepted} accepted, {postponed}{total.duplicate} duplicate, {total.invalid} invalid")


def _duplicate_json(item: Item, change: str | None) -> dict[str, object]:
    return {
        "session_id": item.session_id,
        "state": item.state.value,
        "outcome": item.outcome.value if item.outcome else None,
        "due_at": format_time(item.due_at),
        "change": change,
    }

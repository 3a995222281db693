"""`reaper add`: queue session IDs, from arguments and from files; durable when it returns."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from reaper.app.operator_input import operator_name
from reaper.cli.arguments import duration
from reaper.cli.context import loaded, open_writing, run_async
from reaper.cli.output import describe_state, emit, emit_json, say
from reaper.cli.terminal.progress import progress_mode, show_intake
from reaper.core.errors import Exit, UsageError
from reaper.core.ids import check_id
from reaper.core.model import Item, SessionId
from reaper.core.text import printable, sanitize
from reaper.core.times import format_time, parse_time
from reaper.intake.events import NOTHING, add_up
from reaper.intake.inputs import open_inputs, take_in_file
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
    when.add_argument("--at", type=_instant, metavar="TIME", help="stop them at this time, as 2030-01-31T12:00:00Z")
    parser.add_argument("--again", action="store_true", help="stop them again if they are settled already")
    parser.epilog = "A line's own due time overrides --after and --at. An ID that is known already stays as it is."


def _instant(text: str) -> float:
    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace) -> int:
    if not args.ids and not args.inputs:
        raise UsageError("add: name session IDs, or a file with --from (- is stdin)")
    return run_async(_add, args, loaded(args))


@dataclass(slots=True)
class Taken:
    """The result of the arguments and inputs so far."""

    total: Added = NOTHING
    invalid: list[tuple[str, InvalidLine]] = field(default_factory=list)
    """The first invalid lines, each with its source."""

    def batch(self, source: str, added: Added, lines: Sequence[InvalidLine]) -> None:
        self.total = add_up(self.total, added)
        self.refuse(source, lines)

    def refuse(self, source: str, lines: Sequence[InvalidLine]) -> None:
        self.invalid += [(source, line) for line in lines][: MAX_NAMED - len(self.invalid)]


async def _add(args: argparse.Namespace, settings: Loaded) -> int:
    taken = Taken()
    with ExitStack() as opened:
        # Inputs before the queue: when one cannot be read, nothing of the command has been done.
        inputs = opened.enter_context(open_inputs(args.inputs))
        async with open_writing(settings) as queue:
            after_s = args.after or 0.0 if args.at is None else max(0.0, args.at - queue.now())
            if args.ids:
                batch = _arguments(args.ids, args.at)
                taken.refuse("argument", batch.invalid)
                taken.total = await queue.add(batch, again=args.again, by=operator_name(), default_after_s=after_s)
            mode = progress_mode(settings, quiet=args.quiet)
            async with show_intake(mode, inputs, lambda: taken.total):
                for one in inputs:
                    await take_in_file(
                        queue,
                        one,
                        again=args.again,
                        by=operator_name(),
                        default_after_s=after_s,
                        on_batch=partial(taken.batch, one.source),
                    )
            duplicates = await _known(queue, taken.total.duplicates[:MAX_NAMED])
            now = queue.now()
    _report(taken, duplicates, now, as_json=args.json)
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
    for number, word in enumerate(words, 1):
        try:
            items.append(NewItem(check_id(word), due_at))
        except ValueError as error:
            invalid.append(InvalidLine(number, str(error), printable(word.encode("utf-8", "surrogateescape"))))
    return Batch(SOURCE, items, invalid)


async def _known(queue: LedgerReader, ids: Sequence[SessionId]) -> list[Item]:
    return [item for session_id in ids if (item := await queue.show(session_id)) is not None]


def _report(taken: Taken, duplicates: list[Item], now: float, *, as_json: bool) -> None:
    total = taken.total
    if as_json:
        emit_json(
            {
                "accepted": total.accepted,
                "duplicate": total.duplicate,
                "invalid": total.invalid,
                "duplicates": [_duplicate_json(item) for item in duplicates],
                "invalid_lines": [
                    {"source": source, "line": line.line, "reason": line.reason, "text": line.text}
                    for source, line in taken.invalid
                ],
            }
        )
        return
    for item in duplicates:
        emit(f"{item.session_id}: known already: {describe_state(item, now)}")
    if total.duplicate > len(duplicates):
        emit(f"… and {total.duplicate - len(duplicates)} more that are known already")
    sys.stdout.flush()
    for source, line in taken.invalid:
        say(f"{source} {line.line}: {line.text or 'empty'}: {line.reason}")
    if total.invalid > len(taken.invalid):
        say(f"… and {total.invalid - len(taken.invalid)} more invalid lines")
    emit(f"{total.accepted} accepted, {total.duplicate} duplicate, {total.invalid} invalid")


def _duplicate_json(item: Item) -> dict[str, object]:
    return {
        "session_id": item.session_id,
        "state": item.state.value,
        "outcome": item.outcome.value if item.outcome else None,
        "due_at": format_time(item.due_at),
    }

"""`reaper list`: the IDs in the queue, one line each, and the lines that were refused. Changes nothing."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict

from reaper.cli.arguments import at_least_one, duration
from reaper.cli.columns import Column, Columns, Stacked, fits
from reaper.cli.commands.show import send_json
from reaper.cli.context import open_reading
from reaper.cli.output import emit, emit_json, say
from reaper.cli.rows import Layout, Rows
from reaper.cli.wrap import columns
from reaper.core.errors import Exit, UsageError
from reaper.core.model import DEAD, Item, Outcome, State
from reaper.core.text import pluralize, sanitize
from reaper.core.times import format_time
from reaper.core.words import DEAD_LETTERS, due_words, last_answer, line_place, state_word
from reaper.queues.base import LedgerReader
from reaper.queues.selection import OPEN_STATES, Selection
from reaper.queues.values import KeptInvalidLine
from reaper.settings.load import Loaded

IN_ORDER = (State.IN_FLIGHT, State.READY, State.SCHEDULED, State.RETRYING)
NOTHING = "nothing is in the queue, and nothing is dead; to queue IDs: reaper add; what was settled: reaper outcomes"
NOTHING_FITS = "nothing in the queue fits; reaper list shows everything in it"
STATES = (State.READY, State.SCHEDULED, State.RETRYING, State.IN_FLIGHT, DEAD_LETTERS)
COLUMNS = (
    Column("session", 0),
    Column("state", 1),
    Column("due", 2),
    Column("sends", 4, to_right=True),
    Column("last answer", 3, least=11),
    Column("source", 5, least=12, keeps_end=True),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the IDs in the queue: those in flight, then by due time, then the dead ones. A ready ID is due now; "
        "a scheduled one is due later and was not sent in this round; a retrying one was, and waits to be sent again."
    )
    parser.add_argument(
        "--state",
        action="append",
        metavar="STATE",
        choices=[str(state) for state in STATES],
        help=f"only these; may be repeated: {', '.join(STATES)}",
    )
    parser.add_argument("--source", default="", metavar="TEXT", help="only those whose source contains TEXT")
    parser.add_argument(
        "--due-within", type=duration, metavar="TIME", help="only those that are due, or fall due within TIME, as 10m"
    )
    parser.add_argument("--limit", type=at_least_one, metavar="N", help="the first N of them")
    parser.add_argument("--invalid", action="store_true", help="the lines that were refused: file, line and reason")


async def run(args: argparse.Namespace, settings: Loaded) -> int:
    if args.invalid and (args.state or args.due_within is not None):
        raise UsageError("list --invalid: a refused line has no state and is never due")
    async with open_reading(settings) as queue:
        if args.invalid:
            await print_invalid(args, queue)
        else:
            await print_ids(args, queue, selection(args.state, args.source, args.due_within))
    return Exit.OK


def selection(states: list[str] | None, source: str, due_within_s: float | None) -> Selection:
    """Return the rows that the options name. Raises UsageError where they contradict each other."""
    if states == [DEAD_LETTERS] and due_within_s is not None:
        raise UsageError("a dead letter is not due any more: leave out --due-within or --state dead")
    named = set(states or (STATES if due_within_s is None else OPEN_STATES))
    outcomes = DEAD if DEAD_LETTERS in named else frozenset[Outcome]()
    return Selection(frozenset(State(name) for name in named - {DEAD_LETTERS}), outcomes, source, due_within_s)


async def print_ids(args: argparse.Namespace, queue: LedgerReader, chosen: Selection) -> None:
    """Print the IDs of a selection, and below them how many there are and what one may want to do next."""
    now, shown = queue.now(), 0
    width = columns(sys.stdout)
    rows = None if args.json else Rows(lambda first: layout(first, width))
    counts: Counter[State | Outcome] = Counter()
    async with aclosing(queue.select(chosen)) as items:  # type: ignore[type-var]
        async for item in items:
            shown += 1
            counts[item.outcome or item.state] += 1
            if rows is None:
                emit_json(listed_json(item))
            else:
                rows.add(row(item, now))
            if shown == args.limit:
                break
    if rows is None:
        return
    rows.end()
    whole = await queue.count(chosen) if shown == args.limit else counts
    if not shown:
        emit(NOTHING if chosen == selection(None, "", None) else NOTHING_FITS)
    elif not args.quiet:
        if rows.note:
            say(rows.note)
        say(summary(shown, whole))
        if sys.stdout.isatty():
            say(advice(whole, is_worked_on=bool(await queue.live_workers())))


def layout(first: Sequence[Sequence[str]], width: int | None) -> Layout:
    """Return the layout of the rows. A narrow terminal has what is known of an ID below it: no ID is cut."""
    if width is None or fits(COLUMNS[:3], first, width):
        return Columns(COLUMNS, first, width)
    return Stacked(COLUMNS[:1], first, width, _facts)


def _facts(row: Sequence[str]) -> str:
    _, state, due, sends, last, source = row
    parts = [state if due == "-" else f"{state}, due {due}", pluralize(int(sends), "send", "sends")]
    return "; ".join([*parts, *([] if last == "-" else [last]), source])


def row(item: Item, now: float) -> tuple[str, ...]:
    """Return the cells of an ID's row."""
    last, due = last_answer(item, now), due_words(item, now)
    return item.session_id, state_word(item), due, str(item.sends), last, sanitize(item.source)


def listed_json(item: Item) -> dict[str, object]:
    """Return the JSON line of an ID."""
    is_open = item.state is not State.SETTLED
    return {
        "session_id": item.session_id,
        "state": item.state.value,
        "outcome": item.outcome.value if item.outcome else None,
        "due_at": format_time(item.due_at) if is_open else None,
        "source": item.source,
        "added_at": format_time(item.added_at),
        "round": item.round,
        "sends": item.sends,
        "last_answer": send_json(item.history[-1]) if item.history else None,
        "settled_at": None if item.settled_at is None else format_time(item.settled_at),
    }


def summary(shown: int, counts: Mapping[State | Outcome, int]) -> str:
    """Return how many IDs there are in each state, and how many of them were shown."""
    states = [(state.value.replace("_", " "), counts.get(state, 0)) for state in IN_ORDER]
    states.append((DEAD_LETTERS, sum(counts.get(outcome, 0) for outcome in DEAD)))
    whole = sum(counts.values())
    first = f"the first {shown:,} of {whole:,} IDs" if shown < whole else pluralize(shown, "ID", "IDs")
    return f"{first}: " + ", ".join(f"{number:,} {name}" for name, number in states if number)


def advice(counts: Mapping[State | Outcome, int], *, is_worked_on: bool) -> str:
    """Return what one may want to do next."""
    waits = any(counts.get(state) for state in (State.READY, State.SCHEDULED, State.RETRYING))
    parts = ["the history of one: reaper show ID"]
    if waits:
        parts.append("to move or take out: reaper postpone, reaper cancel")
    if any(counts.get(outcome) for outcome in DEAD):
        parts.append("to try the dead again: reaper dead retry")
    if waits and not is_worked_on:
        parts.append("no reaper is working on this queue: reaper run, or reaper once")
    return "; ".join(parts)


async def print_invalid(args: argparse.Namespace, queue: LedgerReader) -> None:
    """Print the lines that were refused, in the order they came."""
    lines = once_each(line for line in await queue.invalid_lines() if args.source in line.source)
    for line in lines[: args.limit]:
        if args.json:
            emit_json({**asdict(line), "at": None if line.at is None else format_time(line.at)})
        else:
            text = f"{sanitize(line.text)}: " if line.text else ""
            emit(f"{line_place(sanitize(line.source), line.line)}: {text}{line.reason}")
    if args.json:
        return
    if not lines:
        emit("no line was refused" + (" from such a source" if args.source else ""))
    elif not args.quiet:
        first = f"the first {args.limit:,} of " if args.limit and args.limit < len(lines) else ""
        counted = pluralize((await queue.stats()).invalid, "refusal was", "refusals were")
        say(f"{first}{pluralize(len(lines), 'line', 'lines')}, each once; {counted} counted in all")
        say("correct them at their source, and add them again: reaper add --from FILE")


def once_each(lines: Iterable[KeptInvalidLine]) -> list[KeptInvalidLine]:
    """Return the lines without those that were read again later: a file is refused at each reading."""
    newest = {(line.source, line.line, line.reason, line.text): line for line in lines}
    return list(newest.values())

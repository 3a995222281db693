"""`reaper dead list|retry|purge`: the IDs that could not be stopped, kept until someone decides."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial

from reaper.app.operator_input import operator_name, session_ids
from reaper.cli.arguments import add_action, at_least_one, duration
from reaper.cli.columns import Column, Columns, Stacked, fits
from reaper.cli.commands.bulk import Choice, Select, carry_out, choose
from reaper.cli.commands.ledger import first, say_missing, settled_json, shown
from reaper.cli.context import loaded, open_reading, run_async
from reaper.cli.output import emit, emit_json, emit_row, flush, say
from reaper.cli.question import DRY_RUN, add_question_options, confirm
from reaper.cli.rows import Layout, Rows
from reaper.cli.wrap import columns
from reaper.core.error_body import readable_detail
from reaper.core.errors import Exit, UsageError
from reaper.core.model import DEAD, Item, Outcome, SessionId
from reaper.core.text import sanitize
from reaper.core.words import OUTCOME_WORDS, clock_time
from reaper.queues.base import Queue
from reaper.queues.selection import Selection
from reaper.settings.load import Loaded

COLUMNS = (
    Column("session", 0),
    Column("outcome", 1),
    Column("status", 2, to_right=True),
    Column("sends", 3, to_right=True),
    Column("settled", 4),
    Column("message", 5),
)
TOTALS = (Column("count", 0, to_right=True), Column("outcome", 1), Column("status", 2, to_right=True))
MISSING = "not among these dead letters"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="list|retry|purge", required=True)
    for name, text in (
        ("list", "print one line for each dead letter, and the count of each kind"),
        ("retry", "start a new round for dead letters, due now"),
        ("purge", "delete dead letters; their counts stay in the books"),
    ):
        action = add_action(actions, "dead", name, text)
        action.add_argument("ids", nargs="*", metavar="ID", help="a dead session ID")
        action.add_argument(
            "--outcome",
            metavar="OUTCOME",
            choices=[outcome.value for outcome in Outcome if outcome in DEAD],
            help=f"only these: {', '.join(outcome for outcome in Outcome if outcome in DEAD)}",
        )
        action.add_argument("--source", default="", metavar="TEXT", help="only those whose source contains this text")
        action.add_argument("--since", type=duration, metavar="TIME", help="only those settled in the last TIME, as 1h")
        if name == "list":
            action.add_argument("--limit", type=at_least_one, metavar="N", help="show the first N; count all")
            continue
        action.add_argument("--all", action="store_true", help="all dead letters, or all that the other options choose")
        if name == "retry":
            action.add_argument("--reason", default="", metavar="TEXT", help="the reason; `show` prints it")
        add_question_options(action)


def run(args: argparse.Namespace) -> int:
    ids = session_ids(args.ids)
    if args.action == "list":
        return run_async(_list, args, loaded(args), ids)
    if ids and args.all:
        raise UsageError(f"dead {args.action}: name IDs or say --all, not both")
    if not ids and not args.all:
        raise UsageError(f"dead {args.action}: name IDs, or say --all for all that the other options choose")
    return _change(args, loaded(args), ids)


def _selection(args: argparse.Namespace, now: float) -> Selection:
    only = frozenset({Outcome(args.outcome)}) if args.outcome else DEAD
    since = None if args.since is None else now - args.since
    return Selection(frozenset(), only, source=args.source, settled_since=since)


# --- list ---------------------------------------------------------------------------------------------------------


async def _list(args: argparse.Namespace, settings: Loaded, ids: list[SessionId]) -> int:
    found: set[SessionId] = set()
    counts: Counter[tuple[Outcome | None, int | None]] = Counter()
    rows = Rows(partial(layout, width=columns(sys.stdout)))
    async with open_reading(settings) as queue:
        chosen = _selection(args, queue.now())
        items = shown(queue, ids, chosen) if ids else queue.select(chosen)
        async for item in first(args.limit if args.json else None, items):
            if ids:
                found.add(item.session_id)
            if args.json:
                emit_json(settled_json(item))
                continue
            counts[item.outcome, item.status] += 1
            if args.limit is None or counts.total() <= args.limit:
                rows.add(_row(item))
    rows.end()
    if counts:
        _print_totals(counts, args)
    elif not args.json and not ids:
        emit("there are no dead letters" + (" of this kind" if args.outcome or args.source or args.since else ""))
    return say_missing(ids, found, MISSING)


def layout(rows: Sequence[Sequence[str]], width: int | None) -> Layout:
    """Return the layout of dead letters: all in columns, or the message below the ID, or on a narrow terminal all."""
    if width is None or fits(COLUMNS, rows, width):
        return Columns(COLUMNS, rows, None)
    if fits(COLUMNS[:-1], rows, width):
        return Stacked(COLUMNS[:-1], rows, width, lambda row: _known(row[-1]))
    return Stacked(COLUMNS[:1], rows, width, lambda row: _known(" ".join(row[1:3]), row[-1]))


def _known(*facts: str) -> str:
    return ": ".join(fact for fact in facts if fact != "-")


def _row(item: Item) -> tuple[str, ...]:
    settled = clock_time(item.settled_at) if item.settled_at else "-"
    message = readable_detail(item.detail or "-")
    return item.session_id, _word(item.outcome), str(item.status or "-"), str(item.sends), settled, message


def _word(outcome: Outcome | None) -> str:
    return OUTCOME_WORDS[outcome] if outcome else "-"


def _print_totals(counts: Counter[tuple[Outcome | None, int | None]], args: argparse.Namespace) -> None:
    rows = [(f"{number:,}", _word(outcome), str(status or "-")) for (outcome, status), number in counts.most_common()]
    layout = Columns(TOTALS, rows, None)
    emit_row("\n".join(["", layout.head(), *map(layout.line, rows)]))
    flush()
    total, limit = counts.total(), args.limit
    some = f", of which the first {limit:,} are shown" if limit is not None and limit < total else ""
    say(f"{total:,} dead{some}; to try one again: reaper dead retry ID; all of these: reaper dead retry {_same(args)}")


def _same(args: argparse.Namespace) -> str:
    """Return the arguments under which another part of `dead` takes the same letters."""
    if args.ids:
        return " ".join(args.ids)
    words = ["--all", *(["--outcome", args.outcome] if args.outcome else [])]
    words += ["--source", shlex.quote(sanitize(args.source))] if args.source else []
    return " ".join([*words, *(["--since", f"{args.since:g}"] if args.since is not None else [])])


# --- retry and purge ----------------------------------------------------------------------------------------------


def _change(args: argparse.Namespace, settings: Loaded, ids: list[SessionId]) -> int:
    select = partial(_selection, args)
    if ids:
        choice = run_async(_choose_named, settings, select, ids)
    else:
        choice = run_async(partial(choose, settings, select, quiet=args.quiet))
    refused = [] if len(choice.ids) == len(ids) else sorted(set(ids).difference(*choice.ids.batches(len(ids) or 1)))
    changed, is_whole, has_worker = 0, True, False

    async def change(queue: Queue, batch: Sequence[SessionId]) -> None:
        nonlocal changed, has_worker
        has_worker = bool(await queue.live_workers())
        if args.action == "retry":
            changed += await queue.reopen(batch, reason=args.reason or "dead retry", by=operator_name())
        else:
            changed += await queue.purge(batch)

    if args.dry_run:
        changed = len(choice.ids)
    else:
        is_asked = args.action == "purge" and not ids
        confirm(f"{args.action} {choice.describe()}", len(choice.ids), yes=args.yes or not is_asked)
        is_whole = run_async(partial(carry_out, settings, choice.ids, change, quiet=args.quiet))
    _report(args, changed, refused, is_whole=is_whole, has_worker=has_worker)
    return say_missing(refused, (), MISSING) or (Exit.OK if is_whole else Exit.WORK_LEFT)


async def _choose_named(settings: Loaded, select: Select, ids: list[SessionId]) -> Choice:
    choice = Choice()
    async with open_reading(settings) as queue:
        choice.ids.add([item.session_id async for item in shown(queue, ids, select(queue.now()))])
    return choice


def _report(
    args: argparse.Namespace, changed: int, refused: list[SessionId], *, is_whole: bool, has_worker: bool
) -> None:
    planned = f"{DRY_RUN}{changed:,} would be" if args.dry_run else f"{changed:,}"
    if args.json:
        flags = {"dry_run": args.dry_run, "interrupted": not is_whole}
        emit_json({"retried" if args.action == "retry" else "purged": changed, "refused": refused, **flags})
    elif args.action == "retry":
        todo = "; a reaper at work takes them" if has_worker else "; to send them: reaper run, or reaper once"
        hint = todo if changed and not args.dry_run else ""
        emit(f"{planned} due now, in a new round{hint}")
    else:
        emit(f"{planned} deleted; their counts stay")
    flush()
    if not is_whole:
        say("interrupted: the others stay as they were; it is safe to run it again")

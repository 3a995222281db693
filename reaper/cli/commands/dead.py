"""`reaper dead list|retry|purge`: the IDs that could not be stopped, kept until someone decides."""

from __future__ import annotations

import argparse
import sys

from reaper.app.operator_input import operator_name, session_ids
from reaper.cli.arguments import add_action
from reaper.cli.commands.ledger import settled_json
from reaper.cli.context import loaded, open_reading, open_writing, run_async
from reaper.cli.output import OUTCOME_WORDS, clock_time, emit, emit_json, say, table
from reaper.cli.wrap import columns, truncate
from reaper.core.errors import Exit, UsageError
from reaper.core.model import DEAD, Item, Outcome, SessionId
from reaper.core.text import sanitize
from reaper.queues.base import LedgerReader
from reaper.settings.load import Loaded

BATCH_SIZE = 500
"""IDs that one step of `--all` changes."""


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="list|retry|purge", required=True)
    for name, text in (
        ("list", "one line for each dead letter"),
        ("retry", "start a new round for them, due now"),
        ("purge", "delete them; their counts stay"),
    ):
        action = add_action(actions, "dead", name, text)
        action.add_argument("ids", nargs="*", metavar="ID", help="a dead session ID")
        action.add_argument(
            "--outcome",
            metavar="OUTCOME",
            choices=[outcome.value for outcome in Outcome if outcome in DEAD],
            help=f"only these: {', '.join(outcome for outcome in Outcome if outcome in DEAD)}",
        )
        if name != "list":
            action.add_argument("--all", action="store_true", help="all of them (with --outcome: all of that outcome)")
            action.add_argument("--reason", default="", metavar="TEXT", help="the reason; `show` prints it")


def run(args: argparse.Namespace) -> int:
    ids = session_ids(args.ids)
    if args.action == "list":
        return run_async(_list, args, loaded(args), ids)
    if bool(ids) == args.all:
        raise UsageError(f"dead {args.action}: name IDs or use --all, not both")
    return run_async(_change, args, loaded(args), ids)


def _only(args: argparse.Namespace) -> frozenset[Outcome]:
    return frozenset({Outcome(args.outcome)}) if args.outcome else DEAD


async def _list(args: argparse.Namespace, settings: Loaded, ids: list[SessionId]) -> int:
    named = set(ids)
    found: set[SessionId] = set()
    rows: list[tuple[object, ...]] = []
    async with open_reading(settings) as queue:
        async for item in queue.outcomes(only=_only(args)):
            if named and item.session_id not in named:
                continue
            found.add(item.session_id)
            if args.json:
                emit_json(settled_json(item))
            else:
                rows.append(_row(item))
    if rows:
        emit(listing(rows, columns(sys.stdout)))
        say(f"{len(rows)} dead; to try them again: reaper dead retry ID… (or --all)")
    elif not args.json and not named:
        emit("there are no dead letters")
    return _missing(named - found)


def listing(rows: list[tuple[object, ...]], width: int | None) -> str:
    """Return the rows as a table. Where it is wider than `width`, each detail is on a line of its own."""
    head = ("SESSION", "OUTCOME", "STATUS", "SENDS", "SETTLED", "DETAIL")
    whole = table(head, rows)
    if width is None or max(map(len, whole.splitlines())) <= width:
        return whole
    first, *lines = table(head[:-1], [row[:-1] for row in rows]).splitlines()
    pairs = zip(lines, (truncate(f"  {row[-1]}", width) for row in rows), strict=True)
    return "\n".join([first, *(line for pair in pairs for line in pair)])


def _row(item: Item) -> tuple[object, ...]:
    outcome = OUTCOME_WORDS[item.outcome] if item.outcome else "-"
    settled = clock_time(item.settled_at) if item.settled_at else "-"
    return item.session_id, outcome, item.status or "-", item.sends, settled, sanitize(item.detail or "-")


async def _change(args: argparse.Namespace, settings: Loaded, ids: list[SessionId]) -> int:
    only = _only(args)
    refused: set[SessionId] = set()
    async with open_writing(settings, create=False) as queue:
        if args.all:
            chosen = [item.session_id async for item in queue.outcomes(only=only)]
        else:
            chosen = [session_id for session_id in ids if await _is_dead(queue, session_id, only)]
            refused = set(ids) - set(chosen)
        count = 0
        for start in range(0, len(chosen), BATCH_SIZE):
            batch = chosen[start : start + BATCH_SIZE]
            if args.action == "retry":
                count += await queue.reopen(batch, reason=args.reason or "dead retry", by=operator_name())
            else:
                count += await queue.purge(batch)
    if args.json:
        emit_json({"retried" if args.action == "retry" else "purged": count, "refused": sorted(refused)})
    elif args.action == "retry":
        emit(f"{count} due now, in a new round" + ("; `reaper run` or `reaper once` sends them" if count else ""))
    else:
        emit(f"{count} deleted; their counts stay")
    return _missing(refused)


async def _is_dead(queue: LedgerReader, session_id: SessionId, only: frozenset[Outcome]) -> bool:
    item = await queue.show(session_id)
    return item is not None and item.outcome in only


def _missing(ids: set[SessionId]) -> int:
    for session_id in sorted(ids):
        say(f"{session_id} is not among these dead letters; see: reaper show {session_id}")
    return Exit.DEAD if ids else Exit.OK

"""`outcomes` and `audit`: reports from the ledger. Neither changes or creates anything."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import AsyncIterator, Collection, Iterable, Sequence

from reaper.app.operator_input import session_ids
from reaper.cli.arguments import at_least_one, duration
from reaper.cli.columns import Column, Columns
from reaper.cli.context import open_reading
from reaper.cli.output import emit, emit_json, emit_row, flush, say
from reaper.cli.wrap import columns
from reaper.core.error_body import readable_detail
from reaper.core.errors import Exit, UsageError
from reaper.core.model import Audit, Item, Outcome, SessionId, Stats
from reaper.core.text import pluralize
from reaper.core.times import format_time
from reaper.core.words import OUTCOME_WORDS, clock_time
from reaper.queues.base import LedgerReader
from reaper.queues.selection import Selection, settled
from reaper.settings.load import Loaded
from reaper.telemetry import logs
from reaper.telemetry.event_log import log_failure

# --- outcomes -----------------------------------------------------------------------------------------------------


CSV_COLUMNS = ("session_id", "outcome", "status", "attempts", "source", "settled_at", "detail")
MAX_NAMED = 20
"""Unknown IDs that an error names; its list has all of them."""
FORMULA = ("=", "+", "-", "@", "\t")
"""A spreadsheet runs a cell that begins so."""


def configure_outcomes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these session IDs")
    parser.add_argument("--since", type=duration, metavar="TIME", help="only those settled in the last TIME, as 1h")
    parser.add_argument(
        "--outcome",
        action="append",
        metavar="OUTCOME",
        choices=[outcome.value for outcome in Outcome],
        help=f"only these; may be repeated: {', '.join(Outcome)}",
    )
    parser.add_argument("--limit", type=at_least_one, metavar="N", help="the first N of them, oldest first")
    parser.add_argument("--csv", action="store_true", help="print CSV, with a line of titles")


async def run_outcomes(args: argparse.Namespace, settings: Loaded) -> int:
    if args.csv and args.json:
        raise UsageError("--csv and --json exclude each other")
    ids = session_ids(args.ids)[: args.limit]
    found: set[SessionId] = set()
    if args.csv:
        emit_row(_csv_line(CSV_COLUMNS))
    async with open_reading(settings) as queue:
        since = None if args.since is None else queue.now() - args.since
        chosen = settled(since, frozenset(map(Outcome, args.outcome)) if args.outcome else None)
        items = shown(queue, ids, chosen) if ids else queue.select(chosen)
        async for item in first(args.limit, items):
            if ids:
                found.add(item.session_id)
            if args.json:
                emit_json(settled_json(item))
            elif args.csv:
                emit_row(_csv_line(map(settled_json(item).get, CSV_COLUMNS)))
            else:
                emit(_settled_line(item))
    return say_missing(ids, found, "not among these outcomes")


async def first(limit: int | None, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """Yield the first so many of some items, all without a limit."""
    left = limit
    async for item in items:
        if left is not None and left <= 0:
            return
        left = None if left is None else left - 1
        yield item


async def shown(queue: LedgerReader, ids: Iterable[SessionId], chosen: Selection) -> AsyncIterator[Item]:
    """Yield those of some named IDs that are in a selection."""
    for session_id in ids:
        item = await queue.show(session_id)
        if item is not None and chosen.fits(item, queue.now()):
            yield item


def say_missing(ids: Iterable[SessionId], found: Collection[SessionId], why: str) -> int:
    """Say which of the named IDs were not found; return the exit code."""
    missing = [session_id for session_id in ids if session_id not in found]
    for session_id in missing:
        say(f"{session_id} is {why}; see: reaper show {session_id}")
    return end_with_unknown(missing, why)


def end_with_unknown(unknown: Sequence[SessionId], why: str) -> int:
    """Return the exit code of a command whose named IDs were not all found; log its error where logs are JSON."""
    if not unknown:
        return Exit.OK
    if logs.writes_json():
        some = ", ".join(unknown[:MAX_NAMED]) + (f" and {len(unknown) - MAX_NAMED:,} more" * (len(unknown) > MAX_NAMED))
        verb = "is" if len(unknown) == 1 else "are"
        log_failure(Exit.DEAD, f"{some} {verb} {why}", facts={"unknown": list(unknown)})
    return Exit.DEAD


def _csv_line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    texts = ("" if cell is None else str(cell) for cell in cells)
    csv.writer(line, lineterminator="").writerow(f"'{text}" if text.startswith(FORMULA) else text for text in texts)
    return line.getvalue()


def settled_json(item: Item) -> dict[str, object]:
    data: dict[str, object] = {
        "session_id": item.session_id,
        "outcome": item.outcome.value if item.outcome else None,
        "status": item.status,
        "attempts": item.attempts,
        "source": item.source,
        "settled_at": format_time(item.settled_at) if item.settled_at is not None else None,
    }
    return data | ({"detail": readable_detail(item.detail)} if item.detail else {})


def _settled_line(item: Item) -> str:
    """Return the line of one item. It is printed as it is read, not in a table: there can be millions."""
    word = OUTCOME_WORDS[item.outcome] if item.outcome else "-"
    at = clock_time(item.settled_at) if item.settled_at is not None else "-"
    detail = f"  {readable_detail(item.detail)}" if item.detail else ""
    return f"{at}  {word:<12}  {item.status or '-':<4} {item.session_id}{detail}"


AUDIT_COLUMNS = (
    Column("", rank=0),
    Column("equation", rank=3),
    Column("counted", rank=1, to_right=True),
    Column("found", rank=2, to_right=True),
)
WHAT_TO_DO = (
    "keep the evidence first: reaper queue backup FILE; a running reaper may go on",
    "to find a lost ID, add the original list once more: reaper add --from FILE; known IDs are duplicates",
    "then report this output: either the ledger was altered from outside, or reaper has a fault",
)

# --- audit --------------------------------------------------------------------------------------------------------


def configure_audit(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Compares figures that were counted independently: as IDs came in and ended (counted), and from the rows and "
        "the recorded answers (found). Prints the verdict; all figures with -v, and whenever two differ. Then exit 1."
    )


async def run_audit(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue:
        audit = await queue.audit()
    stats = audit.stats
    if args.json:
        emit_json(
            {
                "balanced": audit.balanced,
                "accepted": stats.accepted,
                "settled": {outcome.value: stats.settled.get(outcome, 0) for outcome in Outcome},
                "waiting": stats.ready + stats.delayed,
                "in_flight": stats.in_flight,
                "duplicate": stats.duplicate,
                "invalid": stats.invalid,
                "lines": [
                    {"name": x.name, "left": x.left, "right": x.right, "balanced": x.balanced} for x in audit.lines
                ],
            }
        )
    else:
        print_audit(audit, args.verbose)
    if audit.balanced:
        return Exit.OK
    flush()
    for sentence in WHAT_TO_DO:
        say(sentence)
    return Exit.INTERNAL


def print_audit(audit: Audit, verbose: bool) -> None:
    """Print the verdict and each fault; all equations where one does not hold or `verbose` asks for them."""
    stats, lines = audit.stats, audit.lines
    if audit.balanced:
        figures = {OUTCOME_WORDS[outcome]: stats.settled.get(outcome, 0) for outcome in Outcome}
        figures |= {"waiting": stats.ready + stats.delayed, "in flight": stats.in_flight}
        parts = " + ".join(f"{count:,} {word}" for word, count in figures.items() if count)
        sum_up = f"{stats.accepted:,} accepted = {parts}" if parts else "nothing was accepted yet"
        emit(f"the books balance: {sum_up}{_never_accepted(stats)}")
    else:
        faults = sum(not line.balanced for line in lines)
        differ = pluralize(faults, "figure differs", "figures differ")
        emit(f"THE BOOKS DO NOT BALANCE: {differ} of {len(lines)}{_never_accepted(stats)}")
    for line in lines:
        if not line.balanced:
            emit(f"  {line.name}: counted {line.left:,}, found {line.right:,}", "    ")
    if audit.balanced and not verbose:
        return
    emit("")
    rows = [("ok" if x.balanced else "FAULT", x.name, f"{x.left:,}", f"{x.right:,}") for x in lines]
    layout, width = Columns(AUDIT_COLUMNS, rows, None), columns(sys.stdout)
    if width is None or max(len(layout.line(row)) for row in rows) <= width:
        emit_row("\n".join([layout.head(), *map(layout.line, rows)]))
        return
    for verdict, name, counted, found in rows:
        emit(f"{verdict:<5}  {name}: counted {counted}, found {found}", " " * 7)


def _never_accepted(stats: Stats) -> str:
    """Return the counts of what came in and is in no sum, if any."""
    if not stats.duplicate and not stats.invalid:
        return ""
    duplicate = pluralize(stats.duplicate, "duplicate", "duplicates")
    return f"; beside them {duplicate} and {pluralize(stats.invalid, 'invalid line', 'invalid lines')}, never accepted"


COMMANDS = {
    "outcomes": (configure_outcomes, run_outcomes),
    "audit": (configure_audit, run_audit),
}

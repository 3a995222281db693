"""`outcomes` and `audit`: reports from the ledger. Neither changes or creates anything."""

from __future__ import annotations

import argparse

from reaper.cli.arguments import duration
from reaper.cli.context import open_reading
from reaper.cli.output import OUTCOME_WORDS, clock_time, emit, emit_json, say, table
from reaper.core.errors import Exit
from reaper.core.model import Item, Outcome
from reaper.core.text import sanitize
from reaper.core.times import format_time
from reaper.settings.load import Loaded

# --- outcomes -----------------------------------------------------------------------------------------------------


def configure_outcomes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=duration, metavar="TIME", help="only those settled in the last TIME, as 1h")
    parser.add_argument(
        "--outcome",
        action="append",
        metavar="OUTCOME",
        choices=[outcome.value for outcome in Outcome],
        help=f"only these; may be repeated: {', '.join(Outcome)}",
    )


async def run_outcomes(args: argparse.Namespace, settings: Loaded) -> int:
    only = frozenset(map(Outcome, args.outcome)) if args.outcome else None
    async with open_reading(settings) as queue:
        since = None if args.since is None else queue.now() - args.since
        async for item in queue.outcomes(since=since, only=only):
            if args.json:
                emit_json(settled_json(item))
            else:
                emit(_settled_line(item))
    return Exit.OK


def settled_json(item: Item) -> dict[str, object]:
    data: dict[str, object] = {
        "session_id": item.session_id,
        "outcome": item.outcome.value if item.outcome else None,
        "status": item.status,
        "attempts": item.attempts,
        "source": item.source,
        "settled_at": format_time(item.settled_at) if item.settled_at is not None else None,
    }
    return data | ({"detail": item.detail} if item.detail else {})


def _settled_line(item: Item) -> str:
    """Return the line of one item. It is printed as it is read, not in a table: there can be millions."""
    word = OUTCOME_WORDS[item.outcome] if item.outcome else "-"
    at = clock_time(item.settled_at) if item.settled_at is not None else "-"
    detail = f"  {sanitize(item.detail)}" if item.detail else ""
    return f"{at}  {word:<12}  {item.status or '-':<4} {item.session_id}{detail}"


# --- audit --------------------------------------------------------------------------------------------------------


def configure_audit(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Compares figures that were counted independently; exit 1 when any two differ."


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
        rows = [("ok" if line.balanced else "FAULT", line.left, line.right, line.name) for line in audit.lines]
        emit(table(("", "COUNTED", "FOUND", "EQUATION"), rows))
        verdict = "the books balance" if audit.balanced else "THE BOOKS DO NOT BALANCE"
        emit(f"{verdict}; {stats.duplicate} duplicate and {stats.invalid} invalid lines were never accepted")
    if audit.balanced:
        return Exit.OK
    say("the books do not balance: keep the ledger (reaper queue backup FILE) and report it")
    return Exit.INTERNAL


COMMANDS = {
    "outcomes": (configure_outcomes, run_outcomes),
    "audit": (configure_audit, run_audit),
}

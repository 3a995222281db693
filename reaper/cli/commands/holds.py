"""`holds`, `approve`, `discard`: the sweeps that a guard holds, and the operator's decision about them."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from functools import partial

from reaper.app.operator_input import clean_reason, operator_name
from reaper.app.operator_orders import Decide, decide_hold
from reaper.cli.columns import Column, Columns
from reaper.cli.context import open_reading, open_writing
from reaper.cli.output import emit, emit_json, emit_row
from reaper.cli.wrap import columns
from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.holds import Hold, HoldState, open_holds
from reaper.core.discovery.policy import Rule
from reaper.core.errors import Exit, RefusedError
from reaper.core.text import format_duration, pluralize, sanitize
from reaper.core.times import format_time
from reaper.core.words import clock_time
from reaper.intake.discovery.held_sweeps import holds_of
from reaper.settings.load import Loaded

MAX_SESSIONS_SHOWN = 10
"""Sessions of a hold that are printed unless it is named."""
COLUMNS = (Column("session", rank=0), Column("rule", rank=1))
INDENT = "  "


def configure_holds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("holds", nargs="*", metavar="HOLD", help="only these, each with all of its sessions")
    parser.epilog = (
        "A guard holds a sweep as a whole, with the sessions that it would have stopped. `reaper approve` stops all of "
        "them, `reaper discard` none; without a decision a hold expires after a day, and the next sweep judges anew. "
        "Exit 4 while a hold is open."
    )


async def run_holds(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue:
        now, holds = queue.now(), await holds_of(queue)
    if unknown := [one for one in args.holds if one not in {hold.id for hold in holds}]:
        raise RefusedError(f"there is no hold {unknown[0]}; see: reaper holds")
    shown = [hold for hold in holds if hold.id in args.holds or not args.holds]
    for hold in shown:
        if args.json:
            emit_json(_hold_json(hold))
        else:
            print_hold(hold, now, whole=bool(args.holds))
    if not shown and not args.json:
        emit("no sweep is held")
    return Exit.HELD if open_holds(tuple(shown), now) else Exit.OK


def _hold_json(hold: Hold) -> dict[str, object]:
    return {
        "hold": hold.id,
        "fate": hold.fate.value,
        "created_at": format_time(hold.created_at),
        "expires_at": format_time(hold.expires_at),
        "guards": [guard.value for guard in hold.guards],
        "reason": hold.reason,
        "sessions": {session_id: rule.value for session_id, rule in hold.sessions.items()},
        "by": hold.by,
        "why": hold.why,
    }


def print_hold(hold: Hold, now: float, *, whole: bool) -> None:
    """Print a hold, its sessions, and what to do; `whole`: all of its sessions."""
    is_open = hold.fate is HoldState.OPEN
    count = pluralize(len(hold.sessions), "session", "sessions")
    state = f"open for {format_duration(hold.expires_at - now)} more" if is_open else hold.fate.value
    by = f" by {hold.by}" if hold.by else ""
    head, rest, width = f"{hold.id}  {clock_time(hold.created_at)}", f"  {count}  {state}{by}", columns(sys.stdout)
    emit(head + rest if width is None or len(head + rest) <= width else f"{head}\n{rest}", "    ")
    emit(f"  held because: {hold.reason}", "    ")
    if hold.why:
        emit(f"  {hold.fate.value} because: {sanitize(hold.why)}", "    ")
    if is_open or whole:
        _print_sessions(hold, None if whole else MAX_SESSIONS_SHOWN)
    if is_open:
        emit(f"  to stop them all: reaper approve {hold.id}", "    ")
        emit(f"  to stop none of them: reaper discard {hold.id}", "    ")


def _print_sessions(hold: Hold, limit: int | None) -> None:
    """Print the sessions of a hold, by rule, and how many more there are."""
    rows = sorted(((session_id, rule.value) for session_id, rule in hold.sessions.items()), key=lambda row: row[::-1])
    width = columns(sys.stdout)
    layout = Columns(COLUMNS, rows[:limit], None if width is None else width - len(INDENT))
    for row in rows[:limit]:
        emit_row(INDENT + layout.line(row))
    if limit is not None and len(rows) > limit:
        counts = Counter(hold.sessions.values())
        by_rule = ", ".join(f"{counts[rule]:,} {rule.value}" for rule in Rule if counts[rule])
        emit(f"  … {len(rows):,} in all: {by_rule}; to see all: reaper holds {hold.id}", "    ")


def configure_approve(parser: argparse.ArgumentParser) -> None:
    configure_decision(parser)
    parser.epilog = (
        "A running reaper, or the next `reaper once`, stops them. Each is read again just before its DELETE, and "
        "spared if it was renewed."
    )


def configure_discard(parser: argparse.ArgumentParser) -> None:
    configure_decision(parser)
    parser.epilog = "A sweep of the same sessions makes no new hold for a day, unless it has grown."


def configure_decision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hold", metavar="HOLD", help="the ID of an open hold, as `reaper holds` shows it")
    parser.add_argument("--reason", metavar="TEXT", help="the reason; kept with the hold and shown by `reaper holds`")


async def run_decision(decide: Decide, args: argparse.Namespace, settings: Loaded) -> int:
    """Carry out `decide`, `core_holds.approve` or `core_holds.discard`."""
    why = None if args.reason is None else clean_reason(args.reason)
    async with open_writing(settings, create=False) as queue:
        hold, added, is_repeated = await decide_hold(queue, decide, args.hold, by=operator_name(), why=why)
    if args.json:
        emit_json({**_hold_json(hold), **({"accepted": added.accepted} if added else {})})
    elif is_repeated and not (added and added.accepted):
        emit(f"hold {hold.id} was {hold.fate.value} already by {hold.by}; nothing was changed")
    elif added:
        queued = pluralize(added.accepted, "session is queued and is", "sessions are queued and are")
        before = "" if added.accepted else "; the queue had all of them before"
        emit(f"approved: {queued} checked again before they are stopped{before}; to stop them now: reaper once")
    else:
        kept = pluralize(len(hold.sessions), "session is", "sessions are")
        until = clock_time(hold.expires_at)
        emit(f"discarded: {kept} not stopped; until {until} no sweep of the same sessions asks again")
    return Exit.OK


COMMANDS = {
    "holds": (configure_holds, run_holds),
    "approve": (configure_approve, partial(run_decision, core_holds.approve)),
    "discard": (configure_discard, partial(run_decision, core_holds.discard)),
}

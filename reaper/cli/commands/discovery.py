"""`sessions`, `holds`, `approve`, `discard`: the verdicts of discovery, and the sweeps that its guards hold."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial

from reaper.app.operator_input import clean_reason, operator_name
from reaper.app.startup import credentials_of
from reaper.cli.commands.sweep_report import exit_of_unfit, observe
from reaper.cli.context import open_reading, open_reading_or_empty, open_writing
from reaper.cli.output import clock_time, emit, emit_json, say, table
from reaper.cli.wrap import truncate
from reaper.core.discovery import holds as core_holds
from reaper.core.discovery.holds import Hold, Holds, HoldState, Refused, open_holds
from reaper.core.discovery.policy import Action, Judged
from reaper.core.errors import Exit, QueueError, RefusedError
from reaper.core.text import format_duration, sanitize
from reaper.core.times import format_time
from reaper.intake.discovery.held_sweeps import REOPENED, add_chosen, change_holds, reset_baseline
from reaper.intake.discovery.sweep import Observation, UnfitListing
from reaper.settings.load import Loaded

MAX_SESSIONS_SHOWN = 10
"""Sessions of a hold that are printed without --json."""
UNBOUNDED_COLUMNS = 1_000


def configure_sessions(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Reads the API's list; prints each session's verdict by discovery.* and protect.*; stops nothing."


async def run_sessions(args: argparse.Namespace, settings: Loaded) -> int:
    credentials = credentials_of(settings.settings)
    async with open_reading_or_empty(settings) as queue:
        _, seen = await observe(settings, queue, credentials)
    if isinstance(seen, UnfitListing):
        say(seen.reason if seen.verdict is None else f"{seen.reason}; see: reaper check")
        return exit_of_unfit(seen.verdict)
    for fault in seen.listing.faults:
        say(f"warning: {fault}; a sweep of this list would stop")
    if args.json:
        for judged in seen.judged:
            emit_json(_judged_json(judged, seen))
    else:
        _table(seen)
    return Exit.OK


def _judged_json(judged: Judged, seen: Observation) -> dict[str, object]:
    session, verdict = judged.session, judged.verdict
    queued = _queued(judged, seen)
    return {
        "session_id": session.session_id,
        "status": session.status,
        "created_at": None if session.created_at is None else format_time(session.created_at),
        "expires_at": None if session.expires_at is None else format_time(session.expires_at),
        "owner": session.batch_id,
        "verdict": verdict.action.value,
        "rule": verdict.rule.value,
        "reason": verdict.reason,
        "queued": queued,
    }


def _queued(judged: Judged, seen: Observation) -> str | None:
    """Return the session's outcome in the queue, `open` without one, None where the queue does not know it."""
    if judged.session.session_id not in seen.outcomes:
        return None
    outcome = seen.outcomes[judged.session.session_id]
    return "open" if outcome is None else outcome.value


def _known(judged: Judged, seen: Observation) -> bool:
    """Return whether the queue has it already, so that no sweep chooses it. A skipped session may be chosen again."""
    session_id = judged.session.session_id
    return session_id in seen.outcomes and seen.outcomes[session_id] not in REOPENED


def _table(seen: Observation) -> None:
    now = seen.server_now
    rows = [
        (
            str(each.session.session_id),
            each.session.status or "?",
            _span_to(now, each.session.created_at),
            _span_to(each.session.expires_at, now),
            sanitize(each.session.batch_id or "-"),
            each.verdict.action.value,
            f"{each.verdict.rule.value}: {each.verdict.reason}" + (f" [queue: {queued}]" if queued else ""),
        )
        for each in seen.judged
        for queued in (_queued(each, seen),)
    ]
    head = ("session", "status", "age", "left", "owner", "verdict", "reason")
    width = shutil.get_terminal_size((UNBOUNDED_COLUMNS, 24)).columns if sys.stdout.isatty() else UNBOUNDED_COLUMNS
    for line in table(head, rows).split("\n"):
        emit(truncate(line, width))
    counts = Counter(each.verdict.action for each in seen.judged)
    known = sum(each.verdict.action is Action.REAP and _known(each, seen) for each in seen.judged)
    left_out = f" ({known} of them are in the queue already: a sweep adds none of them)" if known else ""
    sys.stdout.flush()
    say(
        f"{len(rows)} sessions: {counts[Action.REAP]} to reap{left_out}, {counts[Action.KEEP]} to keep; "
        "nothing was stopped"
    )


def _span_to(later: float | None, earlier: float | None) -> str:
    if later is None or earlier is None:
        return "?"
    return format_duration(later - earlier) if later >= earlier else f"-{format_duration(earlier - later)}"


def configure_holds(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A guard holds a whole sweep: approve stops it all, discard stops none of it, after a day it expires."
    )


async def run_holds(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue:
        now = queue.now()
        holds = core_holds.expire(_read(await queue.read_value(core_holds.KEY)), now)
    for hold in holds:
        if args.json:
            emit_json(_hold_json(hold))
        else:
            _print_hold(hold, now)
    if not holds and not args.json:
        emit("no sweep is held")
    return Exit.HELD if open_holds(holds, now) else Exit.OK


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


def _print_hold(hold: Hold, now: float) -> None:
    state = (
        f"open for {format_duration(hold.expires_at - now)} more" if hold.fate is HoldState.OPEN else hold.fate.value
    )
    by = f" by {hold.by}" if hold.by else ""
    emit(f"{hold.id}  {clock_time(hold.created_at)}  {len(hold.sessions)} sessions  {state}{by}")
    emit(f"  {hold.reason}" + (f"; {sanitize(hold.why)}" if hold.why else ""))
    for session_id, rule in list(hold.sessions.items())[:MAX_SESSIONS_SHOWN]:
        emit(f"  {session_id}  {rule.value}")
    if len(hold.sessions) > MAX_SESSIONS_SHOWN:
        emit(f"  … and {len(hold.sessions) - MAX_SESSIONS_SHOWN} more (--json names all)")


def configure_decision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hold", metavar="HOLD", help="its name in `reaper holds`")
    parser.add_argument("--reason", metavar="TEXT", help="the reason; kept with the hold")


async def run_decision(
    decide: Callable[..., tuple[Holds, Hold] | Refused], args: argparse.Namespace, settings: Loaded
) -> int:
    """Carry out `decide`, `core_holds.approve` or `core_holds.discard`."""
    why = None if args.reason is None else clean_reason(args.reason)
    decided: list[Hold] = []

    def change(holds: Holds) -> Holds:
        result = decide(holds, args.hold, by=operator_name(), why=why, now=now)
        if isinstance(result, Refused):
            raise RefusedError(f"{result.reason}; see: reaper holds")
        decided.append(result[1])
        return result[0]

    async with open_writing(settings, create=False) as queue:
        now = queue.now()
        try:
            await change_holds(queue, change)
        except ValueError as error:
            raise QueueError(str(error)) from error
        hold = decided[-1]
        await reset_baseline(queue, hold)
        # The decision is stored first: after a crash here approve is run again, and the queue takes each ID once.
        added = await add_chosen(queue, hold.sessions, by=operator_name()) if decide is core_holds.approve else None
    if args.json:
        emit_json({**_hold_json(hold), **({"accepted": added.accepted} if added else {})})
    elif added:
        emit(f"approved: {added.accepted} sessions are queued; each is checked again before it is stopped")
    else:
        emit(f"discarded: this sweep stops none of its {len(hold.sessions)} sessions")
    return Exit.OK


def _read(text: str | None) -> Holds:
    try:
        return core_holds.read_holds(text)
    except ValueError as error:
        raise QueueError(str(error)) from error


COMMANDS = {
    "sessions": (configure_sessions, run_sessions),
    "holds": (configure_holds, run_holds),
    "approve": (configure_decision, partial(run_decision, core_holds.approve)),
    "discard": (configure_decision, partial(run_decision, core_holds.discard)),
}

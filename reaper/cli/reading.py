"""`status`, `show`, `outcomes`, `audit`: what the ledger tells. None of them changes or creates anything."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass

import anyio

from reaper.cli.common import (
    OUTCOME_WORDS,
    clock_time,
    duration,
    emit,
    emit_json,
    instant,
    loaded,
    open_reading,
    run_async,
    say,
    session_ids,
    shown,
    span,
    standing,
    table,
)
from reaper.core import holds as core_holds
from reaper.core.model import Item, Outcome, Pause, PauseReason, Reaper, Send, SessionId, Stats
from reaper.errors import Exit
from reaper.intake.discovery import left_for_people
from reaper.queues.base import Queue
from reaper.settings_load import Loaded

WATCH_S = 2.0


# --- status -------------------------------------------------------------------------------------------------------


def configure_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help=f"again every {WATCH_S:g} s, until Ctrl-C")


def run_status(args: argparse.Namespace) -> int:
    return run_async(_status, args, loaded(args))


async def _status(args: argparse.Namespace, settings: Loaded) -> int:
    async with open_reading(settings) as queue:
        while True:
            stats, reapers = await queue.stats(), await queue.reapers()
            pauses = _pauses(reapers, await queue.paused())
            found = Found(**await left_for_people(queue))
            if args.watch and not args.json and sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            if args.json:
                emit_json(status_json(stats, reapers, pauses) | found.as_json())
            else:
                emit(status_text(stats, reapers, pauses, queue.now(), found))
            if not args.watch:
                return Exit.OK
            sys.stdout.flush()
            await anyio.sleep(WATCH_S)


@dataclass(frozen=True, slots=True)
class Found:
    """What discovery left for the operator: open holds, and sessions that live on."""

    holds: int = 0
    ghosts: int = 0

    def as_json(self) -> dict[str, int]:
        """Return what there is of it, so that the shape of `status --json` is SPEC 3's where there is nothing."""
        return {name: count for name, count in asdict(self).items() if count}


def _pauses(reapers: list[Reaper], operator: Pause | None) -> list[Pause]:
    """Return what holds anywhere, one for each reason.

    The operator's pause comes from the queue: what a reaper last told of it can be out of date.
    """
    told = {pause.reason: pause for reaper in reapers for pause in reaper.pauses}
    told.pop(PauseReason.OPERATOR, None)
    return [*([operator] if operator else []), *told.values()]


def status_json(stats: Stats, reapers: list[Reaper], pauses: list[Pause]) -> dict[str, object]:
    return {
        "ready": stats.ready,
        "delayed": stats.delayed,
        "in_flight": stats.in_flight,
        "dead": stats.dead,
        "settled": {outcome.value: stats.settled.get(outcome, 0) for outcome in Outcome},
        "oldest_due_s": round(stats.oldest_due_s, 3),
        "pauses": [{"reason": p.reason.value, "since": instant(p.since), "detail": p.detail} for p in pauses],
        "limit": sum(reaper.limit for reaper in reapers) if reapers else None,
        "imbalance": stats.imbalance,
    }


def status_text(stats: Stats, reapers: list[Reaper], pauses: list[Pause], now: float, found: Found) -> str:
    oldest = f"   oldest due for {span(stats.oldest_due_s)}" if stats.ready else ""
    lines = [
        f"ready          {stats.ready:>9}{oldest}",
        f"delayed        {stats.delayed:>9}",
        f"in flight      {stats.in_flight:>9}" + (f"   limit {sum(r.limit for r in reapers)}" if reapers else ""),
        f"rounds settled {sum(stats.settled.values()):>9}",
        *(f"  {OUTCOME_WORDS[o]:<13}{stats.settled[o]:>9}" for o in Outcome if stats.settled.get(o)),
    ]
    if stats.dead:
        lines.append(f"dead           {stats.dead:>9}   see: reaper dead list")
    for pause in pauses:
        end = f", ends in {span(pause.until - now)}" if pause.until else ""
        lines.append(f"PAUSED: {pause.reason.value}, for {span(now - pause.since)}{end}: {shown(pause.detail)}")
    if not reapers:
        waits = stats.ready + stats.delayed
        lines.append("no reaper is working on this queue" + ("; start one: reaper run, or reaper once" * bool(waits)))
    lines += [f"reaper {r.pid}: running for {span(now - r.started_at)}, limit {r.limit}" for r in reapers]
    if found.holds:
        lines.append(f"HELD: {found.holds} sweeps wait for you; see: reaper holds")
    if found.ghosts:
        lines.append(
            f"GHOSTS: {found.ghosts} sessions live on though the API said they were gone; see: reaper sessions"
        )
    if stats.imbalance:
        lines.append(f"IMBALANCE: {stats.imbalance} accepted and not accounted for; see: reaper audit")
    return "\n".join(lines)


# --- show ---------------------------------------------------------------------------------------------------------


def configure_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a session ID")


def run_show(args: argparse.Namespace) -> int:
    return run_async(_show, args, loaded(args), session_ids([args.id])[0])


async def _show(args: argparse.Namespace, settings: Loaded, session_id: SessionId) -> int:
    async with open_reading(settings) as queue:
        item, now = await queue.show(session_id), queue.now()
        held = await _held(queue, session_id) if item is None else None
    if item is None:
        say(f"{session_id} is unknown here: it was never added, or was pruned or purged")
        if held is not None:
            say(f"a guard holds the sweep that chose it as {held}; see: reaper holds")
        else:
            say("what discovery says of a session that is listed: reaper sessions")
        return Exit.DEAD
    if args.json:
        emit_json(item_json(item))
    else:
        emit(item_text(item, now))
    return Exit.OK


async def _held(queue: Queue, session_id: SessionId) -> str | None:
    """Return the rule and the hold of a session that waits in one, in words."""
    with suppress(ValueError):
        for hold in core_holds.open_holds(core_holds.read_holds(await queue.note(core_holds.NOTE)), queue.now()):
            if session_id in hold.sessions:
                return f"{hold.sessions[session_id].value} (hold {hold.id})"
    return None


def item_json(item: Item) -> dict[str, object]:
    data: dict[str, object] = {
        "session_id": item.session_id,
        "state": item.state.value,
        "outcome": item.outcome.value if item.outcome else None,
        "source": item.source,
        "added_at": instant(item.added_at),
        "due_at": instant(item.due_at),
        "round": item.round,
        "sends": [_send_json(send) for send in item.history],
    }
    told = {"detail": item.detail, "by": item.by, "reason": item.reason}
    if item.settled_at is not None:
        data["settled_at"] = instant(item.settled_at)
    return data | {name: value for name, value in told.items() if value is not None}


def _send_json(send: Send) -> dict[str, object]:
    return {
        "at": instant(send.at),
        "status": send.status,
        "error": send.error,
        "duration_s": round(send.duration_s, 4),
        "request_id": send.request_id,
    }


def item_text(item: Item, now: float) -> str:
    sends = f"{item.sends}, {item.attempts} charged" + (f", {item.unanswered} unanswered" if item.unanswered else "")
    facts = [
        ("state", standing(item, now)),
        ("detail", shown(item.detail) if item.detail else None),
        ("source", item.source),
        ("added", clock_time(item.added_at)),
        ("due", None if item.settled_at else clock_time(item.due_at)),
        ("settled", clock_time(item.settled_at) if item.settled_at else None),
        ("round", str(item.round)),
        ("by", item.by),
        ("reason", item.reason),
        ("sends", sends),
    ]
    lines = [str(item.session_id), *(f"  {name:<8} {value}" for name, value in facts if value)]
    if item.history:
        rows = [
            (
                clock_time(s.at),
                s.status or "-",
                f"{s.duration_s:.3f} s",
                shown(s.request_id or "-"),
                shown(s.error or "-"),
            )
            for s in item.history
        ]
        lines += ["", table(("SENT", "STATUS", "TOOK", "REQUEST", "ERROR"), rows)]
    return "\n".join(lines)


# --- outcomes -----------------------------------------------------------------------------------------------------


def configure_outcomes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=duration, metavar="TIME", help="settled in the last TIME, as 1h")
    parser.add_argument(
        "--outcome", action="append", choices=[outcome.value for outcome in Outcome], help="only these; may be repeated"
    )


def run_outcomes(args: argparse.Namespace) -> int:
    return run_async(_outcomes, args, loaded(args))


async def _outcomes(args: argparse.Namespace, settings: Loaded) -> int:
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
        "settled_at": instant(item.settled_at) if item.settled_at is not None else None,
    }
    return data | ({"detail": item.detail} if item.detail else {})


def _settled_line(item: Item) -> str:
    """One line as it is read, not a table: there can be millions."""
    word = OUTCOME_WORDS[item.outcome] if item.outcome else "-"
    at = clock_time(item.settled_at) if item.settled_at is not None else "-"
    detail = f"  {shown(item.detail)}" if item.detail else ""
    return f"{at}  {word:<12}  {item.status or '-':<4} {item.session_id}{detail}"


# --- audit --------------------------------------------------------------------------------------------------------


def configure_audit(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Compares figures that were counted independently; exit 1 when any two differ."


def run_audit(args: argparse.Namespace) -> int:
    return run_async(_audit, args, loaded(args))


async def _audit(args: argparse.Namespace, settings: Loaded) -> int:
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
        emit(f"beside the books: {stats.duplicate} duplicate and {stats.invalid} invalid lines, never accepted")
    if audit.balanced:
        return Exit.OK
    say("the books do not balance: keep the ledger (reaper queue backup FILE) and report it")
    return Exit.INTERNAL


FAMILY = {
    "status": (configure_status, run_status),
    "show": (configure_show, run_show),
    "outcomes": (configure_outcomes, run_outcomes),
    "audit": (configure_audit, run_audit),
}

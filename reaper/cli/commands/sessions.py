"""`reaper sessions`: the account's sessions and the policy's verdict on each; never stops anything."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from reaper.app.startup import credentials_of
from reaper.cli.columns import Column, Columns
from reaper.cli.commands.sweep_report import SweepReport, counts_by_action, exit_of_unfit, lines_by_rule, observe
from reaper.cli.context import open_reading_or_empty
from reaper.cli.output import emit, emit_json, emit_row, flush, say
from reaper.cli.rows import NO_ROOM
from reaper.cli.wrap import columns
from reaper.core.discovery.policy import Action, Judged, Rule
from reaper.core.errors import Exit
from reaper.core.text import format_duration, pluralize, sanitize
from reaper.core.times import format_time
from reaper.core.words import OUTCOME_WORDS
from reaper.intake.discovery.sweep import Observation, UnfitListing
from reaper.settings.load import Loaded

COLUMNS = (
    Column("session", rank=0),
    Column("rule", rank=1),
    Column("reason", rank=2, least=24),
    Column("queue", rank=4),
    Column("owner", rank=3, least=8),
    Column("left", rank=5),
    Column("status", rank=6),
    Column("age", rank=7),
)
ORDER = {rule: number for number, rule in enumerate(Rule)}


def configure(parser: argparse.ArgumentParser) -> None:
    rules = [rule.value for rule in Rule]
    parser.add_argument(
        "--rule",
        action="append",
        metavar="RULE",
        choices=rules,
        help=f"only what this rule decided about; may be repeated: {', '.join(rules)}",
    )
    parser.add_argument(
        "--owner", action="append", metavar="BATCH", help="only the sessions of this batch; may be repeated"
    )
    parser.add_argument(
        "--would-stop", action="store_true", help="only those that a sweep would queue now, if no guard holds it"
    )
    parser.epilog = (
        "Reads the API's list once and judges each session by discovery.* and protect.*: first the counts by rule, "
        "then a line for each session, those to stop first. Changes nothing and stops nothing."
    )


async def run(args: argparse.Namespace, settings: Loaded) -> int:
    credentials = credentials_of(settings.settings)
    async with open_reading_or_empty(settings) as queue:
        discovery, seen = await observe(settings, queue, credentials)
        if isinstance(seen, UnfitListing):
            say(seen.reason if seen.verdict is None else f"{seen.reason}; see: reaper check")
            return exit_of_unfit(seen.verdict)
        swept = await discovery.simulate(seen)
    shown = _Filter(args).of(seen)
    if args.json:
        for judged in shown:
            emit_json(_judged_json(judged, seen))
        return Exit.OK
    _print(shown, seen, args)
    flush()
    for fault in seen.listing.faults:
        say(f"warning: {fault}; a sweep of this list would stop")
    for note in SweepReport(swept, enforce=discovery.options.enforce, dry=True, has_reasons=True).notes():
        say(note)
    return Exit.OK


@dataclass(slots=True)
class _Filter:
    """The sessions that the options ask for, those to stop first, and the earliest expiry first."""

    args: argparse.Namespace

    def of(self, seen: Observation) -> list[Judged]:
        rules = frozenset(map(Rule, self.args.rule or Rule))
        owners = frozenset(self.args.owner or ())
        found = [
            each
            for each in seen.judged
            if each.verdict.rule in rules
            and (not owners or each.session.batch_id in owners)
            and (not self.args.would_stop or _would_stop(each, seen))
        ]
        found.sort(key=lambda one: (ORDER[one.verdict.rule], one.session.expires_at or 0.0, one.session.session_id))
        return found

    def __str__(self) -> str:
        words = [f"--rule {one}" for one in self.args.rule or ()] + [f"--owner {one}" for one in self.args.owner or ()]
        return " ".join([*words, *(["--would-stop"] if self.args.would_stop else [])])


def _would_stop(judged: Judged, seen: Observation) -> bool:
    return judged.verdict.action is Action.REAP and judged.session.session_id not in seen.known


def _judged_json(judged: Judged, seen: Observation) -> dict[str, object]:
    session, verdict = judged.session, judged.verdict
    return {
        "session_id": session.session_id,
        "status": session.status,
        "created_at": None if session.created_at is None else format_time(session.created_at),
        "expires_at": None if session.expires_at is None else format_time(session.expires_at),
        "owner": session.batch_id,
        "verdict": verdict.action.value,
        "rule": verdict.rule.value,
        "reason": verdict.reason,
        "queued": _queued(judged, seen),
        "would_stop": _would_stop(judged, seen),
    }


def _queued(judged: Judged, seen: Observation) -> str | None:
    """Return the session's outcome in the queue, `open` without one, None where the queue does not know it."""
    if judged.session.session_id not in seen.outcomes:
        return None
    outcome = seen.outcomes[judged.session.session_id]
    return "open" if outcome is None else outcome.value


def _print(shown: Sequence[Judged], seen: Observation, args: argparse.Namespace) -> None:
    findings = seen.findings
    listed = pluralize(findings.listed, "session", "sessions")
    emit(f"{listed}: {counts_by_action(findings)}; this command stops nothing")
    for line in lines_by_rule(findings):
        emit(f"  {line}", "    ")
    if options := str(_Filter(args)):
        emit(f"{len(shown):,} of them are shown: {options}")
    if not shown:
        return
    emit("")
    layout = Columns(COLUMNS, (_cells(each, seen) for each in shown), columns(sys.stdout))
    emit_row(layout.head())
    for each in shown:
        emit_row(layout.line(_cells(each, seen)))
    if layout.left_out and not args.quiet:
        flush()
        say(NO_ROOM.format(layout.left_out))


def _cells(judged: Judged, seen: Observation) -> tuple[str, ...]:
    session, verdict, now = judged.session, judged.verdict, seen.server_now
    queued = seen.outcomes.get(session.session_id)
    return (
        session.session_id,
        verdict.rule.value,
        verdict.reason,
        OUTCOME_WORDS[queued] if queued else "waiting" if session.session_id in seen.outcomes else "-",
        sanitize(session.batch_id or "-"),
        _span_to(session.expires_at, now),
        session.status or "?",
        _span_to(now, session.created_at),
    )


def _span_to(later: float | None, earlier: float | None) -> str:
    if later is None or earlier is None:
        return "?"
    return format_duration(later - earlier) if later >= earlier else f"-{format_duration(earlier - later)}"

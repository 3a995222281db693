"""`reaper once --dry-run`: prints what a run would send; opens the ledger read-only, writes and sends nothing."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import anyio

from reaper.app.startup import credentials_of, protector_of
from reaper.cli.commands.sweep_report import SweepReport, observe
from reaper.cli.context import open_reading_or_empty
from reaper.cli.output import emit_json, emit_row, flush, say
from reaper.core.discovery.guard import Pass, UnusableListing
from reaper.core.errors import PRECEDENCE, Exit
from reaper.core.model import SessionId
from reaper.core.text import pluralize
from reaper.intake.discovery.sweep import SweepResult, UnfitListing
from reaper.intake.inputs import open_inputs
from reaper.intake.line_reader import Reader
from reaper.queues.base import Queue
from reaper.settings.load import Loaded
from reaper.telemetry.intake_log import RefusedLines


async def dry_run(
    settings: Loaded,
    files: Sequence[str],
    limit: int | None,
    as_json: bool,
    discovered: bool,
    budget_s: float | None = None,
) -> int:
    """Print the IDs that a run would send now; return the run's code for invalid lines and for a sweep that stops.

    `budget_s` bounds the reading of the files. An ID counts as protected only by itself: its batch is not asked for.
    """
    protection = protector_of(settings.settings).now()
    stop_at = math.inf if budget_s is None else anyio.current_time() + budget_s
    code = Exit.OK
    send: dict[SessionId, None] = {}
    seen: set[SessionId] = set()
    refused = RefusedLines()
    duplicate = delayed = invalid = 0
    async with open_reading_or_empty(settings) as queue:
        # In the order of a run: the IDs that are due in the queue come first.
        due = queue.new_set()
        await due.include_due(limit)
        async for session_id in due.ids():
            send[session_id] = None
        beyond = 0 if limit is None else await _open_now(queue) - len(send)
        with open_inputs(files) as inputs:
            for one in inputs:
                reader = Reader(one.fd, one.source, stop_at)
                while (parsed := await reader.next()) is not None:
                    invalid += len(parsed.invalid)
                    refused.log(one.source, parsed.invalid)
                    for note in parsed.notes:
                        say(f"{one.source}: {note}")
                    for item in parsed.items:
                        if item.session_id in seen or await queue.show(item.session_id):
                            duplicate += 1
                        elif item.due_at is not None and item.due_at > queue.now():
                            delayed += 1
                        else:
                            send[item.session_id] = None
                        seen.add(item.session_id)
                refused.log_count(one.source)
                if reader.was_cut:
                    say(f"{one.source} was not read to its end within --for", logging.WARNING)
                    code = Exit.WORK_LEFT
        report = await _discover(settings, queue, send) if discovered else None
    chosen = list(send)[:limit]
    left = max(0, beyond) + len(send) - len(chosen)
    protected = [each for each in chosen if protection.of_id(each)]
    spared = frozenset(protected)
    ids = [each for each in chosen if each not in spared]
    if as_json:
        counts = {"would_send": len(ids), "duplicate": duplicate, "delayed": delayed, "invalid": invalid}
        counts["left_by_limit"] = left
        sweep = report.as_json() if report else None
        emit_json({**counts, "session_ids": ids, "protected": protected, "discovery": sweep})
    else:
        for session_id in ids:
            emit_row(session_id)
        flush()
        kept = f"; {len(protected)} protected, as {protected[0]}" if protected else ""
        counted = f"{len(ids)} would be stopped, {delayed} due later; {duplicate} duplicate, {invalid} invalid"
        more = f"; {pluralize(left, 'more is', 'more are')} due, left by --limit {limit}" if left else ""
        say(f"dry run: {counted}{kept}{more}")
    found = report.exit if report else Exit.OK
    return min(Exit.DEAD if invalid else Exit.OK, found, code, key=PRECEDENCE.index)


async def _open_now(queue: Queue) -> int:
    """Return how many IDs of the queue are due or in flight."""
    stats = await queue.stats()
    return stats.ready + stats.in_flight


async def _discover(settings: Loaded, queue: Queue, send: dict[SessionId, None]) -> SweepReport:
    """Judge the API's list and add to `send` what a sweep would queue; return the report on that sweep, printed."""
    discovery, seen = await observe(settings, queue, credentials_of(settings.settings))
    enforce = discovery.options.enforce
    if isinstance(seen, UnfitListing):
        swept = SweepResult(UnusableListing(seen.reason), unread=seen.verdict)
    else:
        swept = await discovery.simulate(seen)
        if isinstance(swept.ruling, Pass) and enforce:
            send.update(dict.fromkeys(swept.ruling.sessions))
    report = SweepReport(swept, enforce=enforce, dry=True)
    report.say()
    return report

"""`reaper once --dry-run`: prints what a run would send; opens the ledger read-only, writes and sends nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from reaper.app.startup import credentials_of
from reaper.cli.commands.sweep_report import observe, report_sweep
from reaper.cli.context import open_reading_or_empty
from reaper.cli.output import emit, emit_json, say
from reaper.core.discovery.guard import Pass, UnusableListing
from reaper.core.errors import PRECEDENCE, Exit
from reaper.core.model import SessionId
from reaper.intake.discovery.sweep import SweepResult, UnfitListing
from reaper.intake.inputs import open_inputs
from reaper.intake.line_reader import Reader
from reaper.queues.base import Queue
from reaper.settings.load import Loaded
from reaper.telemetry.event_log import log_invalid_line


async def dry_run(settings: Loaded, files: Sequence[str], limit: int | None, as_json: bool, discovered: bool) -> int:
    """Print the IDs that a run would send now; return the run's code for invalid lines and for a sweep that stops."""
    send: dict[SessionId, None] = {}
    seen: set[SessionId] = set()
    duplicate = delayed = invalid = 0
    async with open_reading_or_empty(settings) as queue:
        # In the order of a run: the IDs that are due in the queue come first.
        due = queue.new_set()
        await due.include_due(limit)
        async for session_id in due.ids():
            send[session_id] = None
        with open_inputs(files) as inputs:
            for one in inputs:
                reader = Reader(one.fd, one.source)
                while (parsed := await reader.next()) is not None:
                    invalid += len(parsed.invalid)
                    for line in parsed.invalid:
                        log_invalid_line(one.source, line)
                    for item in parsed.items:
                        if item.session_id in seen or await queue.show(item.session_id):
                            duplicate += 1
                        elif item.due_at is not None and item.due_at > queue.now():
                            delayed += 1
                        else:
                            send[item.session_id] = None
                        seen.add(item.session_id)
        found = await _discover(settings, queue, send) if discovered else Exit.OK
    ids = list(send)[:limit]
    if as_json:
        counts = {"would_send": len(ids), "duplicate": duplicate, "delayed": delayed, "invalid": invalid}
        emit_json({**counts, "session_ids": ids})
    else:
        for session_id in ids:
            emit(session_id)
        sys.stdout.flush()
        say(f"dry run: {len(ids)} would be stopped, {delayed} are due later; {duplicate} duplicate, {invalid} invalid")
    return min(Exit.DEAD if invalid else Exit.OK, found, key=PRECEDENCE.index)


async def _discover(settings: Loaded, queue: Queue, send: dict[SessionId, None]) -> Exit:
    """Judge the API's list and add to `send` what a sweep would queue; return the exit code of that sweep."""
    discovery, seen = await observe(settings, queue, credentials_of(settings.settings))
    enforce = discovery.options.enforce
    if isinstance(seen, UnfitListing):
        return report_sweep(SweepResult(UnusableListing(seen.reason), unread=seen.verdict), enforce=enforce, dry=True)
    ruling = discovery.apply_guards(seen)[1]
    if isinstance(ruling, Pass) and enforce:
        send.update(dict.fromkeys(ruling.sessions))
    return report_sweep(SweepResult(ruling, seen.judged), enforce=enforce, dry=True)

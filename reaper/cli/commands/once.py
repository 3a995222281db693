"""`reaper once`: take in files or stdin, stop the set, print a summary."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from reaper.api.credentials import Credentials
from reaper.app.notify_at_end import Nobody, notifier_of, report_failure
from reaper.app.once import RETRY_WAIT_S, Once, Waits, Watch, run_once
from reaper.app.run_parts import RunParts
from reaper.app.run_summary import summarize
from reaper.app.signals import ENDING, Signals, cancel_by, deliver_blocked
from reaper.app.startup import credentials_of, protector_of
from reaper.cli.arguments import at_least_one, duration
from reaper.cli.commands.once_intake import Intake, reading_ends, take_in
from reaper.cli.context import leaving_with, loaded, open_writing, run_async, use_descriptors
from reaper.cli.failure import drop
from reaper.cli.output import emit_json, flush, say
from reaper.cli.terminal.progress import (
    ProgressMode,
    RunProgress,
    log_each_session,
    progress_mode,
    show_progress,
)
from reaper.cli.terminal.progress_stats import LiveCounts
from reaper.cli.terminal.summary import begins, print_summary
from reaper.core.errors import PRECEDENCE, Exit, ReaperError
from reaper.core.text import pluralize
from reaper.intake.events import add_up
from reaper.intake.inputs import open_inputs, unread_input
from reaper.queues.base import Queue
from reaper.queues.values import SetView
from reaper.settings.load import Loaded
from reaper.settings.schema import Settings
from reaper.telemetry import logs
from reaper.telemetry.event_log import log_exit

if TYPE_CHECKING:
    from reaper.app.metrics_file import MetricsFile
    from reaper.app.notifier import Notifier
    from reaper.telemetry.metrics import Metrics
    from reaper.worker.worker import Worker


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a file of session IDs; - is stdin. Without one, only what is due in the queue",
    )
    parser.add_argument(
        "--for",
        dest="budget_s",
        type=duration,
        metavar="TIME",
        help="end within this time, as 10m; what is in flight by then is finished within it",
    )
    parser.add_argument(
        "--wait",
        type=duration,
        default=RETRY_WAIT_S,
        metavar="TIME",
        help="leave a retry that is due later than this to the next run (default: 60s)",
    )
    parser.add_argument(
        "--no-wait", dest="wait", action="store_const", const=0.0, help="wait for no retry: the same as --wait 0"
    )
    parser.add_argument(
        "--limit",
        type=at_least_one,
        metavar="N",
        help="stop at most N IDs, for a careful first run; exit 75 when more is due",
    )
    parser.add_argument(
        "--discover",
        action="store_true",
        help="also read the API's list once, and queue what discovery would stop; only report it unless "
        "discovery.enforce",
    )
    parser.add_argument(
        "--metrics-file",
        metavar="FILE",
        help="write the metrics of the run to FILE, also when it fails; for the node exporter's textfile collector, "
        "which reads *.prom",
    )
    parser.add_argument("--dry-run", action="store_true", help="send and write nothing; print what would be sent")
    parser.epilog = (
        "Stops the IDs of the files, and whatever else is due in the queue. Ctrl-C sends nothing new, waits for what "
        "is in flight and leaves the rest queued. Exit 0 when all of them are settled; 3 when some could not be "
        "stopped; 75 when work is left: run it again. All exit codes: reaper --help."
    )


def run(args: argparse.Namespace) -> int:
    if args.dry_run:
        deliver_blocked()
        from reaper.cli.commands.dry_run import dry_run

        code = run_async(dry_run, loaded(args), args.files, args.limit, args.json, args.discover, args.budget_s)
    else:
        signals = Signals(*ENDING)
        settings = loaded(args)
        use_descriptors(settings)
        with leaving_with(signals):
            protector_of(settings.settings)  # before the intake: without a readable protection file nothing may start
            credentials = credentials_of(settings.settings)
            code = run_async(partial(stop_set, signals=signals), args, settings, credentials, args.files, fast=True)
    if not args.files and unread_input():
        say("standard input was not read; to read it: reaper once -", logging.WARNING)
    return code


async def stop_set(
    args: argparse.Namespace,
    settings: Loaded,
    credentials: Credentials,
    files: Sequence[str],
    *,
    signals: Signals,
    ephemeral_ledger: bool = False,
) -> int:
    """Take in the files, stop the set, print the summary; return the exit code.

    `ephemeral_ledger`: the ledger is deleted after this run.
    """
    logs.configure(settings.settings.telemetry, secrets=credentials.secrets)
    file = _metrics_file(args)
    if file is None:
        return await _stop_and_notify(args, settings, credentials, files, signals, ephemeral_ledger, None)
    code: int = Exit.INTERNAL
    try:
        code = await _stop_and_notify(args, settings, credentials, files, signals, ephemeral_ledger, file)
    except ReaperError as error:
        code = error.exit_code
        raise
    finally:
        if why := file.write(code):
            say(f"{why}; the run itself is not affected", logging.ERROR)
    return code


def _metrics_file(args: argparse.Namespace) -> MetricsFile | None:
    path = getattr(args, "metrics_file", None)
    if path is None:
        return None
    from reaper.app.metrics_file import MetricsFile

    return MetricsFile(path)


def _metrics_of(file: MetricsFile | None) -> Metrics | None:
    return None if file is None else file.metrics


async def _count(file: MetricsFile | None, queue: Queue, settings: Settings) -> None:
    if file is not None:
        await file.count(queue, settings)


async def _stop_and_notify(
    args: argparse.Namespace,
    settings: Loaded,
    credentials: Credentials,
    files: Sequence[str],
    signals: Signals,
    ephemeral_ledger: bool,
    file: MetricsFile | None,
) -> int:
    notifier = notifier_of(settings.settings, silent=ephemeral_ledger)
    with anyio.CancelScope() as start, signals.obeyed(cancel_by(start)):
        async with report_failure(notifier):
            return await _stop_set(args, settings, credentials, files, signals, notifier, ephemeral_ledger, file)
    say("a signal ended it before the queue was open; nothing was taken in", logging.WARNING)
    log_end(Exit.WORK_LEFT)
    return Exit.WORK_LEFT


async def _stop_set(
    args: argparse.Namespace,
    settings: Loaded,
    credentials: Credentials,
    files: Sequence[str],
    signals: Signals,
    notifier: Notifier | Nobody,
    ephemeral_ledger: bool,
    file: MetricsFile | None,
) -> int:
    mode = progress_mode(settings, quiet=args.quiet)
    begun, budget_s = anyio.current_time(), getattr(args, "budget_s", None)
    async with AsyncExitStack() as opened:
        inputs = opened.enter_context(open_inputs(files))
        queue = await opened.enter_async_context(open_writing(settings, worker=True, announce=not ephemeral_ledger))
        members, begun_at = queue.new_set(), queue.now()
        limit = getattr(args, "limit", None)
        metrics = _metrics_of(file)
        taken = Intake(metrics=metrics)
        opened.push_async_callback(_count, file, queue, settings.settings)
        notifier.use_queue(queue)
        opened.callback(notifier.use_queue, None)
        parts = RunParts(settings.settings, queue, credentials, opened, sweeps_printed=not logs.writes_json())
        found, report = Exit.OK, None
        with anyio.CancelScope() as intake, signals.obeyed(cancel_by(intake)):
            await take_in(queue, inputs, taken, members, mode, reading_ends(begun, budget_s))
            if getattr(args, "discover", False):
                from reaper.cli.commands.sweep_report import discover

                report, listed = await discover(parts, members)
                if not logs.writes_json():  # the events have it
                    report.say(quiet=args.quiet)
                found = report.exit
                taken.added = add_up(taken.added, listed)
        added = taken.added
        before = await members.view()
        others = await members.include_due() - before.open - sum(before.settled.values())
        if others and args.files and not limit and not args.quiet:
            more = pluralize(others, "ID more was due in the queue and is", "IDs more were due in the queue and are")
            say(f"{more} part of this run")
        if intake.cancel_called:
            why = "asked to stop during the intake: the rest of the input was not read; run it again"
            summary = replace(
                await summarize(members, added, now=queue.now()),
                exit=Exit.WORK_LEFT,
                why=why,
                earlier=await members.settled_before(begun_at),
            )
        else:
            within = members
            if limit:
                within = queue.new_set()
                await within.include_due(limit)
            waits = Waits.of(
                settings.settings,
                retry_s=getattr(args, "wait", RETRY_WAIT_S),
                budget_s=budget_s,
                spent_s=anyio.current_time() - begun,
            )
            counts = LiveCounts()

            def show(worker: Worker, once: Once, view: SetView) -> AbstractAsyncContextManager[object]:
                counts.refresh(view)
                before = sum(view.settled.values())
                if mode is ProgressMode.LINES and not logs.writes_json():
                    say(begins(view, settings.settings.worker.concurrency))
                progress = show_progress(mode, RunProgress(worker, within, counts, once.time_until_exit_s, before))
                return notifier.watching(worker, progress)

            watch = Watch(counts, metrics, log_each_session(settings), show)
            summary = await run_once(
                parts, members, added, waits, within=within, begun_at=begun_at, watch=watch, signals=signals
            )
            if limit and summary.exit is Exit.WORK_LEFT and not summary.why:
                summary = replace(summary, why=f"--limit {limit} is reached")
        if taken.cut:
            # What came was stopped, but who knows what would have come.
            summary = replace(
                summary, why=summary.why or f"--for ended the reading of {taken.cut}: its rest was not read"
            )
            found = min(found, Exit.WORK_LEFT, key=PRECEDENCE.index)
        summary = replace(
            summary,
            exit=min(summary.exit, found, key=PRECEDENCE.index),
            discovery=report.as_json() if report else None,
        )
        with anyio.CancelScope() as end, signals.obeyed(cancel_by(end)):
            await notifier.finish_run(summary.exit, summary.why or "")
    signals.leave_with(summary.exit)
    try:
        if args.json:
            emit_json(summary.as_json())
        else:
            as_table = mode is ProgressMode.LIVE
            print_summary(summary, as_table=as_table, quiet=args.quiet, ephemeral_ledger=ephemeral_ledger)
        for sentence in () if args.quiet else taken.delayed.sentences():
            say(sentence)
        flush()
    except BrokenPipeError:  # its reader is gone: the exit code still says how the run ended
        drop(sys.stdout)
    if not ephemeral_ledger:
        log_end(summary.exit, summary.why or "", {"sends": summary.sends, "waiting": summary.view.open})
    return summary.exit


def log_end(code: int, why: str = "", facts: Mapping[str, object] = {}) -> None:
    """Log the end where logs are JSON; a person reads the summary."""
    if logs.writes_json():
        log_exit(code, why, facts=facts)

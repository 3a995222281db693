"""`reaper once`: take in files or stdin, stop the set, print a summary."""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from reaper.api.credentials import Credentials
from reaper.app.once import RETRY_WAIT_S, Once, Waits, Watch, run_once, summarize
from reaper.app.run_parts import RunParts
from reaper.app.startup import credentials_of, protector_of
from reaper.cli.arguments import duration
from reaper.cli.context import call_on_signal, loaded, open_writing, run_async
from reaper.cli.output import emit_json, say
from reaper.cli.terminal.progress import (
    ProgressMode,
    RunProgress,
    log_each_session,
    progress_mode,
    show_intake,
    show_progress,
)
from reaper.cli.terminal.progress_stats import LiveCounts
from reaper.cli.terminal.summary import print_summary
from reaper.core.errors import PRECEDENCE, Exit
from reaper.core.text import pluralize
from reaper.intake.events import NOTHING, add_up
from reaper.intake.inputs import Input, open_inputs, take_in_file, unread_input
from reaper.queues.base import IntakePort, RunSet
from reaper.queues.values import Added, InvalidLine, SetView
from reaper.settings.load import Loaded
from reaper.telemetry import logs
from reaper.telemetry.event_log import log_invalid_line

if TYPE_CHECKING:
    from reaper.worker.worker import Worker


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("expected a whole number of at least 1")
    return int(text)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="files of session IDs, - is stdin; IDs that are due in the queue are stopped too",
    )
    parser.add_argument(
        "--for", dest="budget_s", type=duration, metavar="TIME", help="time budget, drain included: 10m"
    )
    parser.add_argument(
        "--wait",
        type=duration,
        default=RETRY_WAIT_S,
        metavar="TIME",
        help="do not wait for a retry due later than this (60s)",
    )
    parser.add_argument("--no-wait", dest="wait", action="store_const", const=0.0, help="wait for no retry")
    parser.add_argument("--limit", type=_count, metavar="N", help="stop at most N IDs, for a careful first run")
    parser.add_argument(
        "--discover", action="store_true", help="also read the API's list once and judge each session by discovery.*"
    )
    parser.add_argument("--dry-run", action="store_true", help="send and write nothing; print what would be sent")


def run(args: argparse.Namespace) -> int:
    settings = loaded(args)
    if args.dry_run:
        from reaper.cli.commands.dry_run import dry_run

        code = run_async(dry_run, settings, args.files, args.limit, args.json, args.discover)
    else:
        protector_of(settings.settings)  # before the intake: without a readable protection file nothing may start
        code = run_async(stop_set, args, settings, credentials_of(settings.settings), args.files, fast=True)
    if not args.files and unread_input():
        say("standard input was not read; to read it: reaper once -", logging.WARNING)
    return code


async def stop_set(
    args: argparse.Namespace,
    settings: Loaded,
    credentials: Credentials,
    files: Sequence[str],
    *,
    ephemeral_ledger: bool = False,
) -> int:
    """Take in the files, stop the set, print the summary; return the exit code.

    `ephemeral_ledger`: the ledger is deleted after this run.
    """
    logs.configure(settings.settings.telemetry, secrets=credentials.secrets)
    mode = progress_mode(settings, quiet=args.quiet)
    async with AsyncExitStack() as opened:
        inputs = opened.enter_context(open_inputs(files))
        queue = await opened.enter_async_context(open_writing(settings, worker=True))
        members = queue.new_set()
        limit = getattr(args, "limit", None)
        taken = await _take_in(queue, inputs, None if limit else members, mode)
        added = taken.added
        parts = RunParts(settings.settings, queue, credentials, opened)
        found = Exit.OK
        if getattr(args, "discover", False) and not taken.interrupted:
            from reaper.cli.commands.sweep_report import discover

            found, listed = await discover(await parts.discovery(), None if limit else members)
            added = add_up(added, listed)
        before = await members.view()
        others = await members.include_due(limit) - before.open - sum(before.settled.values())
        if others and args.files and not limit and not args.quiet:
            more = pluralize(others, "ID more was due in the queue and is", "IDs more were due in the queue and are")
            say(f"{more} part of this run")
        if taken.interrupted:
            why = "asked to stop during the intake: the rest of the input was not read; run it again"
            summary = replace(await summarize(members, added), exit=Exit.WORK_LEFT, why=why)
        else:
            waits = Waits.of(
                settings.settings,
                retry_s=getattr(args, "wait", RETRY_WAIT_S),
                budget_s=getattr(args, "budget_s", None),
            )
            counts = LiveCounts()

            def show(worker: Worker, once: Once, view: SetView) -> AbstractAsyncContextManager[None]:
                counts.refresh(view)
                return show_progress(mode, RunProgress(worker, members, counts, once.time_until_exit_s))

            watch = Watch(counts, log_each_session(settings, mode), show)
            summary = await run_once(parts, members, added, waits, watch=watch)
        summary = replace(summary, exit=min(summary.exit, found, key=PRECEDENCE.index))
    if args.json:
        emit_json(summary.as_json())
    else:
        print_summary(summary, as_table=mode is ProgressMode.LIVE, quiet=args.quiet, ephemeral_ledger=ephemeral_ledger)
    return summary.exit


@dataclass(slots=True)
class _Intake:
    """The result of the intake, and whether a signal ended it early; whole batches are kept either way."""

    added: Added = NOTHING
    interrupted: bool = False

    def batch(self, source: str, added: Added, lines: Sequence[InvalidLine]) -> None:
        self.added = add_up(self.added, added)
        for line in lines:
            log_invalid_line(source, line)


async def _take_in(queue: IntakePort, inputs: Sequence[Input], into: RunSet | None, mode: ProgressMode) -> _Intake:
    taken = _Intake()
    async with anyio.create_task_group() as around:

        def interrupt() -> None:
            taken.interrupted = True
            around.cancel_scope.cancel()

        await around.start(call_on_signal, interrupt, signal.SIGTERM, signal.SIGINT)
        async with show_intake(mode, inputs, lambda: taken.added):
            for one in inputs:
                await take_in_file(queue, one, into=into, on_batch=partial(taken.batch, one.source))
        around.cancel_scope.cancel()
    return taken

"""`reaper run`: the daemon."""

from __future__ import annotations

import argparse
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from reaper.app.signals import Signals, cancel_by
from reaper.cli.context import leaving_with, loaded, open_writing, run_async, use_descriptors
from reaper.core.errors import Exit, UsageError
from reaper.queues.base import Queue
from reaper.queues.open import is_shared
from reaper.settings.load import Loaded, load
from reaper.telemetry.event_log import log_exit


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on-term",
        choices=("drain", "reap"),
        default="drain",
        help="on SIGTERM or SIGINT: finish what is in flight (drain, the default), or first make every waiting ID due "
        "and stop them all within worker.drain_timeout_s (reap; exit 75 if time runs out; refused on a shared queue)",
    )
    parser.epilog = (
        "Takes in intake.files and intake.spool_dir, sweeps the API's list if discovery.enabled, stops what is due. "
        "SIGTERM or SIGINT ends it as --on-term says, a second one leaves at once; SIGHUP reads settings and token "
        "again. Exit 0 whatever still waits: it stays queued."
    )


def run(args: argparse.Namespace) -> int:
    signals = Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    settings = loaded(args)
    use_descriptors(settings)
    with leaving_with(signals):
        code = run_async(_run, args, settings, signals, fast=True)
    signals.leave_with(code)
    return code


async def _run(args: argparse.Namespace, loaded_settings: Loaded, signals: Signals) -> int:
    """Start and run the daemon; a signal ends the start, too."""
    with anyio.CancelScope() as start, signals.obeyed(cancel_by(start)):
        return await _start_and_run(args, loaded_settings, signals)
    code = Exit.WORK_LEFT if args.on_term == "reap" else Exit.OK
    log_exit(code, "a signal ended it before it was ready")
    return code


async def _start_and_run(args: argparse.Namespace, loaded_settings: Loaded, signals: Signals) -> int:
    from reaper.app.start import start_and_run
    from reaper.app.startup import credentials_of
    from reaper.telemetry import logs

    settings = loaded_settings.settings
    if args.on_term == "reap" and is_shared(settings.queue.url):
        raise UsageError(
            "--on-term reap: queue.url names a shared queue, whose IDs belong to other reapers too; "
            "use --on-term drain, or a SQLite ledger of its own"
        )
    credentials = credentials_of(settings)
    logs.configure(settings.telemetry, secrets=credentials.secrets, daemon=True)
    return await start_and_run(
        loaded_settings,
        credentials,
        signals,
        open_writing=lambda: _opened(loaded_settings, quiet=args.quiet),
        load=lambda: load(args.config, args.flags, profile=args.profile),
        reap=args.on_term == "reap",
    )


@asynccontextmanager
async def _opened(settings: Loaded, *, quiet: bool) -> AsyncIterator[Queue]:
    """Open the queue; on a terminal show its board while it is open."""
    from reaper.cli.terminal.run_board import shown_board, wants_board

    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(open_writing(settings, worker=True, warn=True))
        if wants_board(quiet=quiet):
            await stack.enter_async_context(shown_board(settings, queue))
        yield queue

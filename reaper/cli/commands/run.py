"""`reaper run`: the daemon."""

from __future__ import annotations

import argparse

from reaper.cli.context import loaded, open_writing, run_async
from reaper.core.errors import UsageError
from reaper.queues.open import is_shared
from reaper.settings.load import Loaded, load


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on-term",
        choices=("drain", "reap"),
        default="drain",
        help="on SIGTERM or SIGINT: finish what is in flight (drain), or first make every waiting ID due and stop them "
        "all within worker.drain_timeout_s (reap; exit 75 if time runs out)",
    )


def run(args: argparse.Namespace) -> int:
    return run_async(_run, args, loaded(args), fast=True)


async def _run(args: argparse.Namespace, loaded_settings: Loaded) -> int:
    from reaper.app.daemon import Daemon
    from reaper.app.startup import credentials_of
    from reaper.telemetry import logs

    settings = loaded_settings.settings
    if args.on_term == "reap" and is_shared(settings.queue.url):
        raise UsageError(
            "--on-term reap: queue.url names a shared queue, whose IDs belong to other reapers too; "
            "use --on-term drain, or a SQLite ledger of its own"
        )
    credentials = credentials_of(settings)
    logs.configure(settings.telemetry, secrets=credentials.secrets)
    async with open_writing(loaded_settings, worker=True, warn=True) as queue:
        return await Daemon(
            loaded_settings,
            queue,
            credentials,
            load=lambda: load(args.config, args.flags),
            reap=args.on_term == "reap",
        ).run()

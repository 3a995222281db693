"""`reaper sandbox`: a local stand-in for the API, for rehearsals."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import anyio

from reaper.app.signals import call_on_signal
from reaper.cli.commands.temporary_folder import remove_abandoned, temporary_folder
from reaper.cli.context import run_async
from reaper.cli.output import emit, emit_json, emit_row, say
from reaper.core.errors import Exit, UsageError
from reaper.core.urls import sqlite_url
from reaper.sandbox.server import DEFAULT_TOKEN, Sandbox


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port on this machine (default: any free one)")
    parser.add_argument("--token", metavar="TEXT", help="the token it accepts (default: one of its own)")
    parser.add_argument(
        "--latency", default="0", metavar="TIME", help="time it takes to answer, as 50ms or p50=60ms,p99=1s"
    )
    parser.add_argument(
        "--fail", default="", metavar="WHAT:SHARE", help="faults and their shares of all DELETEs, as 502:0.2,reset:0.1"
    )
    parser.add_argument(
        "--sessions", type=int, default=100, metavar="N", help="live sessions at the start (default: 100)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same sessions and failures (default: 0)"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="write a JSON line for each DELETE")
    parser.epilog = (
        "Faults: a status, as 502 or, with Retry-After, 429:3; reset (cut off, the session lives); lost (stopped, then "
        "cut off); hang (no answer); drip (the answer a byte a second); garbage (no HTTP); gateway (a 404 of a gateway "
        "without routes); slow:2 (2 s later). The lines that it prints name a ledger of its own, so that yours never "
        "records its sessions and its address. Ends with Ctrl-C and keeps nothing, that ledger included."
    )


def run(args: argparse.Namespace) -> int:
    try:
        sandbox = Sandbox(
            args.sessions,
            port=args.port,
            token=DEFAULT_TOKEN if args.token is None else args.token,
            latency=args.latency,
            fail=args.fail,
            seed=args.seed,
            log_path=args.log,
            remember=False,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    for folder in remove_abandoned("sandbox"):
        say(f"removed {folder}, which a sandbox that was killed had left")
    with temporary_folder("sandbox") as folder:
        return run_async(_serve, args, sandbox, sqlite_url(folder / "reaper.db"))


async def _serve(args: argparse.Namespace, sandbox: Sandbox, queue: str) -> int:
    """Serve until a signal comes; `queue` is the ledger for those who try reaper here: theirs pins no other address."""

    def announce() -> None:
        if args.json:
            emit_json({"url": sandbox.url, "queue": queue, "sessions": args.sessions})
        else:
            emit(f"a stand-in for the API listens on {sandbox.url} with {args.sessions} sessions; Ctrl-C ends it")
            emit("to try reaper with it, in another terminal, with a ledger that goes with it too:\n")
            token = DEFAULT_TOKEN if args.token is None else "…  # the token you gave"
            # Lines to copy, which a terminal must not wrap.
            emit_row(f"  export REAPER_API__BASE_URL={sandbox.url}")
            emit_row(f"  export REAPER_QUEUE__URL={queue}")
            emit_row(f"  export ARCHAL_TOKEN={token}")
        sys.stdout.flush()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(call_on_signal, group.cancel_scope.cancel, signal.SIGINT, signal.SIGTERM)
            async with sandbox:
                announce()
                await anyio.sleep_forever()
    except BaseExceptionGroup as group_error:
        cannot = [error for error in group_error.exceptions if isinstance(error, OSError)]
        if not cannot or isinstance(cannot[0], BrokenPipeError):
            raise
        say(f"the sandbox cannot start: {cannot[0].strerror or cannot[0]}")
        return Exit.USAGE
    return Exit.OK

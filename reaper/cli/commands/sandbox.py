"""`reaper sandbox`: a local stand-in for the API, for rehearsals."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import anyio

from reaper.app.signals import call_on_signal
from reaper.cli.context import run_async
from reaper.cli.output import emit, emit_json, say
from reaper.core.errors import Exit, UsageError
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
        "without routes); slow:2 (2 s later). Ends with Ctrl-C and keeps nothing."
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
    return run_async(_serve, args, sandbox)


async def _serve(args: argparse.Namespace, sandbox: Sandbox) -> int:
    def announce() -> None:
        if args.json:
            emit_json({"url": sandbox.url, "sessions": args.sessions})
        else:
            emit(f"a stand-in for the API listens on {sandbox.url} with {args.sessions} sessions; Ctrl-C ends it")
            token = DEFAULT_TOKEN if args.token is None else "…  # the token you gave"
            emit(f"\n  export REAPER_API__BASE_URL={sandbox.url} ARCHAL_TOKEN={token}")
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

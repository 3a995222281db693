"""`reaper demo`: a stand-in API that fails now and then, a generated backlog, and `once` over it. Needs no account."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from reaper.app.signals import ENDING, Signals, cancel_by
from reaper.cli.arguments import at_least_one
from reaper.cli.commands.temporary_folder import remove_abandoned, temporary_folder
from reaper.cli.context import open_reading, run_async
from reaper.cli.output import say
from reaper.cli.terminal.progress import ProgressMode, progress_mode
from reaper.core.errors import Exit
from reaper.core.model import Outcome
from reaper.core.text import pluralize
from reaper.core.urls import sqlite_url
from reaper.settings.load import Loaded
from reaper.telemetry import logs

if TYPE_CHECKING:
    from reaper.sandbox.server import Sandbox
    from reaper.sandbox.sessions import Session

SESSIONS = 500
FAULTS = "502:0.15,429:1:0.004,reset:0.02,lost:0.02"
LATENCY = "p50=60ms,p99=250ms"
FAILS = (
    "it fails on purpose: of 100 DELETEs about 15 get a 502, 2 are cut off before the session is stopped and "
    "2 after it; a few get a 429 (wait a second); half of the answers take more than 60 ms"
)
"""`FAULTS` and `LATENCY` in words."""
UNKNOWN, FOREIGN = 15, 5
"""IDs of the backlog that have no session, and IDs that belong to another account."""
SAID_EVERY_S = 1.5
"""The set-up is never silent for longer than two seconds."""
RUN_SAID_EVERY_S = 10.0
STEP = 500
"""Sessions that are made before other tasks, as the reaction to a signal, get their turn."""
NEXT = "next, with your own account: export ARCHAL_TOKEN=…; reaper check; reaper once --dry-run FILE"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sessions",
        type=at_least_one,
        default=SESSIONS,
        metavar="N",
        help=f"sessions of the stand-in (default: {SESSIONS})",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="same seed, same sessions and faults (default: 1)"
    )
    parser.epilog = (
        "Starts a stand-in for the API inside this process, fills a backlog with its sessions and stops them as "
        "`reaper once` does; then explains the numbers. Reads neither your settings nor your token, sends nothing to "
        "your account, and deletes at its end what it made."
    )


def run(args: argparse.Namespace) -> int:
    signals = Signals(*ENDING)
    for folder in remove_abandoned("demo"):
        say(f"removed {folder}, which a demo that was killed had left")
    with temporary_folder("demo") as folder:
        return run_async(_demo, args, folder, signals)


@dataclass(frozen=True, slots=True)
class _Backlog:
    """The sessions of the stand-in, and the IDs that reaper gets."""

    sessions: list[Session]
    foreign: int
    ids: list[str]


async def _demo(args: argparse.Namespace, folder: Path, signals: Signals) -> int:
    from reaper.api.credentials import Credentials
    from reaper.cli.commands.once import log_end, stop_set
    from reaper.sandbox.server import Sandbox

    say_unless_quiet = _say if not args.quiet else lambda *_: None
    say_unless_quiet(
        f"demo: {pluralize(args.sessions, 'session', 'sessions')} at a stand-in for the API, on this machine only",
    )
    backlog = None
    with anyio.CancelScope() as setup, signals.obeyed(cancel_by(setup)):
        backlog = await _make(args.sessions, args.seed, say_unless_quiet)
        path = folder / "backlog.txt"
        path.write_text("".join(f"{one}\n" for one in backlog.ids))
    if backlog is None:
        say("the demo ended before it began; nothing is left of it")
        log_end(Exit.WORK_LEFT)
        return Exit.WORK_LEFT
    async with Sandbox(backlog.sessions, seed=args.seed, latency=LATENCY, fail=FAULTS) as sandbox:
        say_unless_quiet(
            f"the stand-in listens on {sandbox.url}; {FAILS}",
            f"the backlog has {len(backlog.ids):,} IDs: the {args.sessions:,} sessions, {backlog.foreign} of them of "
            f"another account, and {UNKNOWN} IDs without a session",
        )
        # A person reads the explanation at the end, and no line for each session.
        usual = "info" if logs.writes_json() else "warning"
        settings = _settings(folder, sandbox.url, log_level=args.flags.get("telemetry.log_level", usual))
        quiet = progress_mode(settings, quiet=args.quiet) is not ProgressMode.LINES
        async with _progress_lines(sandbox, len(backlog.ids), quiet=quiet):
            code = await stop_set(
                args, settings, Credentials(None, sandbox.token), [str(path)], signals=signals, ephemeral_ledger=True
            )
        alive = len(set(sandbox.sessions.active))
    if code != Exit.DEAD or alive:
        ran = pluralize(alive, "session of the stand-in was", "sessions of the stand-in were")
        say(f"the demo ended early: {ran} not stopped; nothing is left of the demo, the stand-in ended with it")
        log_end(code)
        return code
    say_unless_quiet(*await _explained(settings, sandbox, backlog), NEXT)
    log_end(Exit.OK)
    return Exit.OK


def _say(*sentences: str) -> None:
    for sentence in sentences:
        say(sentence)


async def _make(count: int, seed: int, report: Callable[..., object]) -> _Backlog:
    """Make the sessions and the IDs; other tasks get their turn, and a long wait is reported."""
    from reaper.sandbox.sessions import generate

    sessions: list[Session] = []
    said = time.monotonic()
    for session in generate(count, seed):
        sessions.append(session)
        if len(sessions) % STEP == 0:
            await checkpoint()
            if time.monotonic() - said >= SAID_EVERY_S:
                said = time.monotonic()
                report(f"{len(sessions):,} of {count:,} sessions are made")
    foreign = [replace(session, foreign=True) for session in sessions[:FOREIGN]]
    ids = [session.session_id for session in sessions] + [f"env_gone_{n}" for n in range(UNKNOWN)]
    return _Backlog([*foreign, *sessions[FOREIGN:]], len(foreign), ids)


def _settings(folder: Path, url: str, *, log_level: str) -> Loaded:
    """Return the settings of the demo: neither settings nor a token of the user's environment may get into it."""
    from reaper.settings.load import load

    flags = {
        "api.base_url": url,
        "queue.url": sqlite_url(folder / "reaper.db"),
        "retry.base_s": 0.2,
        "telemetry.log_level": log_level,
        "telemetry.log_format": "json" if logs.writes_json() else "console",
    }
    (folder / "reaper.toml").touch(0o600)
    return load(folder / "reaper.toml", flags, {})


@asynccontextmanager
async def _progress_lines(sandbox: Sandbox, ids: int, *, quiet: bool) -> AsyncIterator[None]:
    """Print a line now and then while the body runs, for those who see no progress on a terminal."""

    async def report() -> None:
        while not sandbox.counters.deletes:
            await anyio.sleep(SAID_EVERY_S)
            if not sandbox.counters.deletes:
                say(f"taking in {ids:,} IDs")
        while True:
            await anyio.sleep(RUN_SAID_EVERY_S)
            say(f"{sandbox.counters.executed:,} sessions are stopped, with {sandbox.counters.deletes:,} sends")

    async with anyio.create_task_group() as tasks:
        if not quiet:
            tasks.start_soon(report)
        yield
        tasks.cancel_scope.cancel()


async def _explained(settings: Loaded, sandbox: Sandbox, backlog: _Backlog) -> list[str]:
    """Return what each number of the summary means, from the ledger and the stand-in."""
    listed = frozenset(session.session_id for session in backlog.sessions)
    async with open_reading(settings) as queue:
        stats = (await queue.audit()).stats
        gone = [item.session_id async for item in queue.outcomes(since=None, only=frozenset({Outcome.ALREADY_GONE}))]
    lost = sum(one in listed for one in gone)
    sends, ids = sandbox.counters.deletes, len(backlog.ids)
    cut = (
        f", and {pluralize(lost, 'session', 'sessions')} that the stand-in had stopped when the connection was cut "
        "off: the next DELETE found them gone"
    )
    return [
        "what the numbers mean:",
        f"  stopped {stats.settled[Outcome.STOPPED]:,}: of this account no session is left at the stand-in",
        f"  already gone {len(gone):,}: the {len(gone) - lost} IDs without a session{cut if lost else ''}",
        f"  forbidden {stats.settled[Outcome.FORBIDDEN]:,}: the sessions of another account; reaper keeps them as dead "
        f"letters, so `reaper once` would exit with {int(Exit.DEAD)}",
        f"  {sends:,} sends for {ids:,} IDs: {sends - ids:,} times reaper tried again after a fault; at most "
        f"{sandbox.counters.peak_in_flight} sends were in flight at once",
        "the stand-in and the ledger of the demo are deleted",
    ]

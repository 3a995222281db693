"""What is replaced below reaper: threads, connections, the ledger's thread, the stream of the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, TextIO, cast

import anyio
import sniffio
from anyio import to_thread
from anyio._backends._asyncio import CancelScope

from reaper.api.http import connect
from reaper.app import notifier
from reaper.app.bounded import Bounded
from reaper.core import ids, times
from reaper.core.discovery import listing
from reaper.queues.sqlite import open as sqlite_open
from reaper.telemetry import logs
from reaper.telemetry.sink import Sink
from tests.support.simulation.loop import PROCESS
from tests.support.simulation.queues import InlineThread
from tests.support.simulation.reapers import Reapers
from tests.support.simulation.world import World

NEVER_S = 1e9


class _Lines:
    """The stream that all reapers log to: each line is checked and kept."""

    def __init__(self, world: World) -> None:
        self._world = world

    def write(self, text: str) -> int:
        process = PROCESS.get()
        name = process.name if process is not None else "world"
        for line in text.splitlines():
            if line.strip():
                self._world.history.add(name, f"log {line}", "log lines")
            if '"event": "api.paused"' in line and '"reason": "operator"' not in line:
                self._world.on_pause(name, json.loads(line)["reason"])
            if '"event": "session.settled"' in line:
                if '"outcome": "already_gone"' in line:
                    self._world.on_gone(name, json.loads(line)["session_id"])
                elif '"outcome": "exhausted"' in line:
                    self._world.on_exhausted(name, json.loads(line)["session_id"])
            if "archal_ws_secret" in line:
                self._world.breaks(f"a token in a log line: {line}")
            if "internal error" in line or "Traceback" in line:
                self._world.breaks(f"an error that nobody foresaw: {line}")
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


class _InOrder(dict[Any, None]):
    """A set that is walked in the order of insertion, where addresses would decide otherwise."""

    def add(self, one: Any) -> None:
        self[one] = None

    def remove(self, one: Any) -> None:
        del self[one]


def install(world: World, reapers: Reapers) -> None:
    """Replace what lies below reaper for this world."""

    async def inline(call: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return call(*args)

    sniffio.thread_local.name = "asyncio"  # signals arrive outside of every task
    lines = _Lines(world)
    make_scope, configure = CancelScope.__init__, logs.configure

    def scope_in_order(self: Any, *args: Any, **more: Any) -> None:
        make_scope(self, *args, **more)
        self._child_scopes = _InOrder()

    def configure_lines(settings: Any, stream: Any = None, **more: Any) -> None:
        configure(settings, cast(TextIO, lines), **more)

    replaced: tuple[tuple[Any, str, Any], ...] = (
        (to_thread, "run_sync", inline),
        (Bounded, "__call__", lambda self, call: call()),
        (connect, "connect_first", world.network.reach),
        (sqlite_open, "LedgerThread", InlineThread),
        (InlineThread, "crash", staticmethod(reapers.crash)),
        # At once: what waits for the loop's next turn would be written by whichever process comes first.
        (Sink, "write", lambda self, line, level: lines.write(f"{line}\n")),
        (CancelScope, "__init__", scope_in_order),
        # Nobody deletes or replaces a ledger here, or is notified of anything: see docs/simulation.md.
        (sqlite_open.Ledger, "finding", lambda self: None),
        (notifier, "TICK_S", NEVER_S),
        # The same sessions are listed again and again.
        (listing, "parse_time", cache(times.parse_time)),
        (listing, "check_id", cache(ids.check_id)),
        (logs, "configure", configure_lines),
    )
    for owner, name, value in replaced:
        setattr(owner, name, value)
    configure_lines(reapers.settings().telemetry, secrets=tuple)

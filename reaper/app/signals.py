"""Signals, and what a process does about them."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio

from reaper.telemetry import events
from reaper.telemetry.logs import get
from reaper.worker.worker import Worker


async def obey_signals(
    worker: Worker,
    *,
    started: anyio.Event,
    end: Callable[[], None] | None = None,
    reload: Callable[[], object] | None = None,
) -> None:
    """End on the first SIGTERM or SIGINT, leave at once on the second; SIGHUP calls `reload`. Runs until cancelled.

    `started` is set once signals are caught. `end` None drains the worker. Neither callback may wait: the next signal
    must be heard.
    """
    watched = [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if reload else [])]
    with anyio.open_signal_receiver(*watched) as signals:
        started.set()
        async for number in signals:
            if number == signal.SIGHUP and reload is not None:
                reload()
            elif worker.draining:
                worker.leave()
            else:
                get().info(
                    events.REAPER_DRAINING,
                    signal=signal.Signals(number).name,
                    in_flight=worker.gate.in_flight,
                    within_s=worker.rules.drain_timeout_s,
                )
                (end or worker.drain)()

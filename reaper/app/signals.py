"""Signals: SIGTERM and SIGINT end the process, SIGHUP reloads its configuration."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from reaper.telemetry import events
from reaper.telemetry.logs import get

if TYPE_CHECKING:
    from reaper.worker.worker import Worker


async def obey_signals(
    worker: Worker,
    *,
    started: anyio.Event,
    end: Callable[[], None] | None = None,
    reload: Callable[[], object] | None = None,
) -> None:
    """Drain on the first SIGTERM or SIGINT, abort on the second; call `reload` on SIGHUP. Runs until cancelled.

    Args:
        worker: drained or aborted.
        started: set once signals are caught.
        end: called instead of `worker.drain`. Like `reload` it must not wait: the next signal has to be caught.
        reload: None leaves SIGHUP alone.
    """
    watched = [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if reload else [])]
    with anyio.open_signal_receiver(*watched) as signals:
        started.set()
        async for number in signals:
            if number == signal.SIGHUP and reload is not None:
                reload()
            elif worker.is_draining:
                worker.abort()
            else:
                get().info(
                    events.REAPER_DRAINING,
                    signal=signal.Signals(number).name,
                    in_flight=worker.gate.in_flight,
                    within_s=worker.options.drain_timeout_s,
                )
                (end or worker.drain)()

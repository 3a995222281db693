"""Tells systemd that the service is ready, how it stands, and, while the work moves, that it is alive."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from reaper.core.errors import QueueUnavailableError
from reaper.core.text import format_duration
from reaper.queues.base import Queue
from reaper.telemetry.page.snapshot import STALLED_S
from reaper.telemetry.sd_notify import Notifier
from reaper.worker.worker import Worker

SERVICE_HEARTBEAT_S = 5.0
"""How often systemd gets the state, at most; three times per watchdog period where that is more often."""


@dataclass(slots=True)
class ServiceHeartbeat:
    """Sends READY=1 once, then STATUS and WATCHDOG until cancelled. Does nothing without `$NOTIFY_SOCKET`."""

    notifier: Notifier
    worker: Worker
    queue: Queue

    async def run(self) -> None:
        self.notifier.notify(READY="1")
        if self.notifier.address is None:
            return
        watchdog_s = self.notifier.watchdog_s
        rest_s = min(SERVICE_HEARTBEAT_S, watchdog_s / 3) if watchdog_s else SERVICE_HEARTBEAT_S
        sends = self.worker.sends
        while True:
            await anyio.sleep(rest_s)
            fields = {"STOPPING": "1"} if self.worker.is_draining else {}
            if watchdog_s and self.worker.stalled_s < STALLED_S:
                fields["WATCHDOG"] = "1"
            rate, sends = (self.worker.sends - sends) / rest_s, self.worker.sends
            self.notifier.notify(**fields, STATUS=await self.state(rate))

    async def state(self, rate: float) -> str:
        """Return how the service stands, in one line. `rate`: sends in a second."""
        health = self.worker.queue_health
        if health.unavailable_s:  # a full disk is still read
            return f"queue unavailable for {format_duration(health.unavailable_s)}: {health.why}"
        try:
            stats = await self.queue.stats()
            status = f"{stats.ready} ready, {stats.delayed} due later, {stats.dead} dead, {rate:.1f} sends/s"
        except QueueUnavailableError as error:
            status = f"queue unavailable: {error}"
        held = ", ".join(f"paused: {pause.reason.value}" for pause in self.worker.pauses())
        return f"{status}; {held}" if held else status

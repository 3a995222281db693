"""The state that systemd shows of the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from reaper.app.heartbeat import ServiceHeartbeat
from reaper.telemetry.sd_notify import Notifier
from reaper.worker.worker import Worker
from tests.support.queues.memory import MemoryQueue

pytestmark = pytest.mark.anyio


@dataclass
class Health:
    unavailable_s: float = 0.0
    why: str = "the disk of the ledger is full"


@dataclass
class AtWork:
    queue_health: Health = field(default_factory=Health)

    def pauses(self) -> list[object]:
        return []


async def test_a_queue_that_can_be_read_alone_is_unavailable_and_the_state_says_why() -> None:
    worker = AtWork()
    heartbeat = ServiceHeartbeat(Notifier(None), cast(Worker, worker), MemoryQueue())
    assert await heartbeat.state(0.0) == "0 ready, 0 due later, 0 dead, 0.0 sends/s"
    worker.queue_health.unavailable_s = 12.0
    assert await heartbeat.state(0.0) == "queue unavailable for 12 s: the disk of the ledger is full"

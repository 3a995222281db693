"""What goes on beside the work: the reads that the gate wants, the token, the operator's switch, tending the queue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from reaper.core.classify import classify_read

if TYPE_CHECKING:
    from reaper.worker import Worker

TICK_S = 0.5
TEND_S = 2.0
TELL_S = 5.0


async def read_when_due(worker: Worker) -> None:
    """Make the reads that the gate asks for."""
    while True:
        due = worker.gate.read_due()
        now = worker.now()
        if due is None or due > now or not worker.claims:
            await anyio.sleep(min(TICK_S, max(due - now, 0.001)) if due is not None and due > now else TICK_S)
            continue
        verdict = classify_read(await worker.api.list_sessions())
        worker.gate.observe_read(worker.now(), verdict, jitter=worker.jitter())
        worker.wake()


async def watch(worker: Worker) -> None:
    """Keep an eye on the token, the operator's switch and the pauses; tend the queue."""
    tend_at = tell_at = -math.inf
    limit = 0
    while True:
        now = worker.now()
        if worker.token.refresh():
            worker.gate.target_changed(now, worker.token.generation)
        worker.gate.set_operator(await worker.queue.paused())
        changed = worker.report_pauses() or limit != worker.gate.limit
        limit = worker.gate.limit
        if now >= tend_at:
            if await worker.queue.tend(worker.rules.keep_settled_s):
                worker.wake()
            tend_at = now + TEND_S
        if changed or now >= tell_at:
            await worker.queue.tell(limit, worker.pauses())
            tell_at = now + TELL_S
        if not worker.draining and worker.enough(worker.pauses()):
            worker.drain()
        await anyio.sleep(TICK_S)

"""What goes on beside the work: the reads that the gate wants, the token, the operator's switch, tending the queue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from reaper.core.errors import QueueUnavailableError

if TYPE_CHECKING:
    from reaper.worker.worker import Worker

TICK_S = 0.5
MAINTENANCE_S = 2.0
HEARTBEAT_S = 5.0
QUEUE_TIMEOUT_S = 10.0
"""How long one look at the queue may take: the token must be looked after in the meantime."""


async def run_identity_reads(worker: Worker) -> None:
    """Make the reads that the gate asks for."""
    while True:
        due = worker.gate.read_due()
        now = worker.now()
        if due is None or due > now or not worker.claims:
            await anyio.sleep(min(TICK_S, max(due - now, 0.001)) if due is not None and due > now else TICK_S)
            continue
        try:
            verdict = await worker.identify()
        except QueueUnavailableError as error:
            worker.queue_health.mark_unavailable(error)
            await anyio.sleep(worker.queue_health.wait_s)
            continue
        worker.gate.observe_read(worker.now(), verdict, jitter=worker.jitter())
        worker.wake()


async def supervise(worker: Worker) -> None:
    """Keep an eye on the token, the operator's switch and the pauses; tend the queue."""
    at_queue = _QueuePoller(worker)
    while True:
        if worker.token.refresh():
            worker.gate.target_changed(worker.now(), worker.token.generation)
        try:
            with anyio.fail_after(QUEUE_TIMEOUT_S):
                await at_queue.look()
        except QueueUnavailableError as error:
            worker.queue_health.mark_unavailable(error)
        except TimeoutError:
            worker.queue_health.mark_unavailable(
                QueueUnavailableError(f"the queue did not answer within {QUEUE_TIMEOUT_S:g} s")
            )
        else:
            if worker.queue_health.unavailable_s:
                worker.queue_health.mark_available()
                worker.wake()
        report_pauses(worker)
        if not worker.draining and worker.should_stop(worker.pauses(), worker.queue_health.unavailable_s):
            worker.drain()
        await anyio.sleep(TICK_S)


def report_pauses(worker: Worker) -> None:
    """Say each beginning and end of a pause once."""
    held = {pause.reason: pause for pause in worker.pauses()}
    if held.keys() == worker.reported_pauses.keys():
        return
    for reason in held.keys() - worker.reported_pauses.keys():
        worker.journal.paused(held[reason])
    for reason in worker.reported_pauses.keys() - held.keys():
        worker.journal.resumed(reason, worker.clock() - worker.reported_pauses[reason].since, last=not held)
    worker.reported_pauses = held
    worker.wake()


class _QueuePoller:
    """What is looked at in the queue every tick, and tended and told from time to time."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._tend_at = self._tell_at = -math.inf
        self._told: tuple[int, frozenset[str]] | None = None

    async def look(self) -> None:
        """Look once. Raises QueueError."""
        worker, now = self._worker, self._worker.now()
        worker.gate.set_operator(await worker.queue.paused())
        if now >= self._tend_at:
            if await worker.queue.maintain(worker.rules.keep_settled_s):
                worker.wake()
            self._tend_at = now + MAINTENANCE_S
        standing = worker.gate.limit, frozenset(pause.reason for pause in worker.pauses())
        if standing != self._told or now >= self._tell_at:
            await worker.queue.heartbeat(worker.gate.limit, worker.pauses())
            self._told, self._tell_at = standing, now + HEARTBEAT_S

"""What goes on beside the work: the reads that the gate wants, the token, the operator's switch, tending the queue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from reaper.core.errors import QueueUnavailableError

if TYPE_CHECKING:
    from reaper.worker.worker import Worker

TICK_S = 0.5
TEND_S = 2.0
TELL_S = 5.0
ANSWER_S = 10.0
"""How long one look at the queue may take: the token must be looked after in the meantime."""


async def read_when_due(worker: Worker) -> None:
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
            worker.reach.lost(error)
            await anyio.sleep(worker.reach.wait_s)
            continue
        worker.gate.observe_read(worker.now(), verdict, jitter=worker.jitter())
        worker.wake()


async def watch(worker: Worker) -> None:
    """Keep an eye on the token, the operator's switch and the pauses; tend the queue."""
    at_queue = _AtQueue(worker)
    while True:
        if worker.token.refresh():
            worker.gate.target_changed(worker.now(), worker.token.generation)
        try:
            with anyio.fail_after(ANSWER_S):
                await at_queue.look()
        except QueueUnavailableError as error:
            worker.reach.lost(error)
        except TimeoutError:
            worker.reach.lost(QueueUnavailableError(f"the queue did not answer within {ANSWER_S:g} s"))
        else:
            if worker.reach.away_s:
                worker.reach.found()
                worker.wake()
        report_pauses(worker)
        if not worker.draining and worker.enough(worker.pauses(), worker.reach.away_s):
            worker.drain()
        await anyio.sleep(TICK_S)


def report_pauses(worker: Worker) -> None:
    """Say each beginning and end of a pause once."""
    held = {pause.reason: pause for pause in worker.pauses()}
    if held.keys() == worker.told.keys():
        return
    for reason in held.keys() - worker.told.keys():
        worker.journal.paused(held[reason])
    for reason in worker.told.keys() - held.keys():
        worker.journal.resumed(reason, worker.clock() - worker.told[reason].since, last=not held)
    worker.told = held
    worker.wake()


class _AtQueue:
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
            if await worker.queue.tend(worker.rules.keep_settled_s):
                worker.wake()
            self._tend_at = now + TEND_S
        standing = worker.gate.limit, frozenset(pause.reason for pause in worker.pauses())
        if standing != self._told or now >= self._tell_at:
            await worker.queue.tell(worker.gate.limit, worker.pauses())
            self._told, self._tell_at = standing, now + TELL_S

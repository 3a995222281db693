"""The ledger of an installed command, opened beside it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from reaper.core.model import Outcome, Send, Settle
from reaper.queues.base import Queue
from reaper.queues.open import open_queue
from tests.support.processes.command import Command
from tests.support.queues.harness import ended


@asynccontextmanager
async def ledger(command: Command) -> AsyncIterator[Queue]:
    opened = await open_queue(f"sqlite://{command.ledger}", create=False, read_only=False, worker=True)
    try:
        yield opened.queue
    finally:
        await opened.queue.close()


def settle(command: Command, outcome: Outcome, status: int) -> None:
    """Play the worker for all that is due: one send each, with this answer."""

    async def work() -> None:
        async with ledger(command) as queue:
            for lease in await queue.claim(100, lease_s=60):
                send = Send(at=time.time(), duration_s=0.25, status=status, request_id="req-7")
                assert await ended(queue, lease, Settle(outcome, "code: nope"), send)

    anyio.run(work)

"""A ledger under any name, opened as a worker does."""

from __future__ import annotations

from pathlib import Path

from reaper.queues.base import Queue
from reaper.queues.sqlite.open import open_ledger
from tests.support.queues.harness import LEASE_S, names


async def open_as(name: Path) -> Queue:
    return (await open_ledger(str(name), create=True, read_only=False, worker=True))[0]


async def held(path: Path) -> set[str]:
    """Open the ledger anew, as after a restart; return the open IDs that it holds."""
    queue = await open_as(path)
    found = set(names(await queue.claim(9, lease_s=LEASE_S)))
    assert (await queue.audit()).balanced
    await queue.close()
    return found

"""The queue in memory can play an engine that is away: every part of it then says so, as the real ones do."""

from __future__ import annotations

import pytest

from reaper.core.errors import QueueUnavailableError
from tests.support.queues.memory import MemoryQueue

pytestmark = pytest.mark.anyio


async def test_a_run_set_is_away_with_its_queue() -> None:
    queue = MemoryQueue()
    mine = queue.new_set()
    queue.store.away = True
    for asked in (queue.stats(), mine.view(), mine.include_due()):
        with pytest.raises(QueueUnavailableError):
            await asked
    queue.store.away = False
    assert (await mine.view()).open == 0

"""A worker whose queue is far away, in virtual time: a simulation of many IDs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
import trio.testing

from reaper.core.errors import Exit
from reaper.core.model import (
    Lease,
    LeaseResult,
    Reply,
    SessionId,
)
from reaper.queues.base import MAX_RESULTS, RunSet
from tests.support.worker import STOPPED, world

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Virtual time, as in the unit tests."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_a_queue_far_away_takes_larger_batches_and_is_not_given_up() -> None:
    """Claims go beside applies, applies one after the other, as on Redis; answers come at all times."""
    rng, one_by_one, far_s = random.Random(1), anyio.Lock(), 0.05

    async def answer(_: SessionId, __: int) -> Reply:
        await anyio.sleep(rng.expovariate(10.0))
        return STOPPED

    w = await world(15_000, answer, bound=64, latency_s=0.0)
    claim, apply, most_untold = w.queue.claim, w.queue.apply, 0

    async def claim_there(limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        await anyio.sleep(far_s)
        return await claim(limit, lease_s=lease_s, within=within)

    async def apply_there(results: Sequence[LeaseResult]) -> list[bool]:
        nonlocal most_untold
        most_untold = max(most_untold, sum(w.api.sent.values()) - len(w.journal.outcomes))
        async with one_by_one:
            await anyio.sleep(far_s)
            return await apply(results)

    w.queue.claim, w.queue.apply = claim_there, apply_there  # type: ignore[method-assign]
    summary = await w.run()
    assert summary.exit is Exit.OK
    assert len(w.journal.outcomes) == 15_000
    assert most_untold < 64 + 2 * MAX_RESULTS

"""A queue that answers late, or not for a while: what was claimed meanwhile, and what the API is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from reaper.core.model import Lease, Outcome, Reply, SessionId
from tests.support.worker import GONE, well, world

pytestmark = pytest.mark.anyio


async def test_a_lease_whose_claim_was_answered_late_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It began when the queue gave it: a send that begins now could outlive it, beside that of the next holder."""
    w = await world(1, well, latency_s=19.0)
    w.worker.reconfigure(w.api, replace(w.worker.options, lease_s=30.0), None)
    claim = w.queue.claim
    ends_at: list[float] = []

    async def late(*args: Any, **more: Any) -> list[Lease]:
        leases = await claim(*args, **more)
        ends_at.extend(lease.expires_at for lease in leases)
        await anyio.sleep(15.0 if len(ends_at) == 1 else 5.0)
        return leases

    monkeypatch.setattr(w.queue, "claim", late)
    assert (await w.run()).view.settled == {Outcome.STOPPED: 1}
    assert len(ends_at) == 2, "the first one was too late, the second one was not"
    assert [at + 19.0 <= ends_at[-1] for at in w.api.at] == [True]


async def test_no_list_is_read_while_the_engine_is_away() -> None:
    """It would be compared with nothing: the API gets no read every few seconds because of another outage."""

    async def gone(_: SessionId, __: int) -> Reply:
        return GONE

    w = await world(40, gone, latency_s=1.0, gives_up=False)
    async with anyio.create_task_group() as group:
        group.start_soon(w.run)
        await anyio.sleep(1.5)
        w.queue.store.away = True
        await anyio.sleep(20)
        reads = len(w.api.reads)
        await anyio.sleep(580)
        assert len(w.api.reads) == reads
        assert w.worker.queue_health.unavailable_s > 590
        w.queue.store.away = False
    assert {outcome for _, outcome in w.journal.outcomes} == {Outcome.ALREADY_GONE}
    assert len(w.journal.outcomes) == 40

"""Promises 3 and 4 where they are easily lost: settles that come together, and maintenance in between."""

import pytest

from reaper.core.model import Decision, LeaseResult, Outcome, Release, Retry, Send
from reaper.queues.base import Queue
from tests.support.queues.harness import LEASE_S, NOW, STOPPED, Harness, ended, ids, names, sent

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("handed_back", [True, False])
async def test_late_settles_that_come_together_are_refused_too(
    harness: Harness, queue: Queue, other: Queue, handed_back: bool
) -> None:
    """Results that come together may be written by one statement, which has to compare each receipt, too."""
    await queue.add(ids(*"abcdef"))
    late = await queue.claim(6, lease_s=LEASE_S)
    harness.advance(LEASE_S)
    held = await other.claim(6, lease_s=LEASE_S)
    for lease in held if handed_back else ():
        assert await ended(other, lease, NOW, None)
    assert await queue.apply([LeaseResult(lease, STOPPED, sent()) for lease in late]) == [False] * 6
    assert (await queue.stats()).settled[Outcome.STOPPED] == 0
    assert (await queue.audit()).balanced


async def test_a_lease_ends_by_time_alone_whatever_maintains_the_queue(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    await queue.add(ids("a"))
    await queue.claim(1, lease_s=LEASE_S)
    for _ in range(3):
        harness.advance(LEASE_S / 3)
        for process in (queue, other):
            await process.maintain(1e9)
    assert names(await other.claim(1, lease_s=LEASE_S)) == ["a"]


async def test_decisions_of_all_kinds_that_come_together_are_each_carried_out(queue: Queue) -> None:
    await queue.add(ids(*(f"s{number:02}" for number in range(30))))
    leases = await queue.claim(30, lease_s=LEASE_S)
    kinds: list[tuple[Decision, Send | None]] = [
        (STOPPED, sent()),
        (Retry(60.0), sent(502)),
        (Release(60.0), None),
    ]
    assert all(await queue.apply([LeaseResult(lease, *kinds[number % 3]) for number, lease in enumerate(leases)]))
    stats = await queue.stats()
    assert (stats.settled[Outcome.STOPPED], stats.delayed, stats.in_flight) == (10, 20, 0)
    assert (await queue.audit()).balanced

"""Promise 10: a cancelled call has happened wholly or not at all, and the queue stays usable."""

import anyio
import pytest

from reaper.core.errors import QueueError
from reaper.core.model import Lease
from reaper.queues.base import Queue
from tests.support.eventually import eventually_async
from tests.support.queues.harness import LEASE_S, STOPPED, Harness, claim_one, ended, ids, names, sent

pytestmark = pytest.mark.anyio


async def test_a_cancelled_add_is_whole_or_nothing(queue: Queue) -> None:
    for number in range(30):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(queue.add, ids(f"a{number}", f"b{number}"))
                for _ in range(number % 6):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
    claimed = set(names(await queue.claim(100, lease_s=LEASE_S)))
    for number in range(30):
        assert (f"a{number}" in claimed) == (f"b{number}" in claimed)
    assert (await queue.audit()).balanced


async def test_a_cancelled_claim_keeps_nothing(queue: Queue) -> None:
    await queue.add(ids(*(f"s{number}" for number in range(40))))
    held: list[Lease] = []

    async def claim() -> None:
        held.extend(await queue.claim(4, lease_s=LEASE_S))

    for turn in range(30):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(claim)
                for _ in range(turn % 6):
                    await anyio.lowlevel.checkpoint()
                if turn % 2:
                    await anyio.sleep(0.001)
                scope.cancel()
    # Leases that no caller received are released, unsent: with a deadline, as that happens behind the caller's back.

    async def rest_is_released() -> bool:
        return (await queue.stats()).in_flight == len(held)

    await eventually_async(rest_is_released)
    rest = await queue.claim(100, lease_s=LEASE_S)
    assert sorted(names(held + rest)) == sorted(f"s{number}" for number in range(40))
    assert {lease.sends for lease in rest} <= {1}
    assert (await queue.audit()).balanced


async def test_a_cancelled_apply_is_whole_or_nothing(queue: Queue) -> None:
    await queue.add(ids(*(f"s{number}" for number in range(30))))
    leases = await queue.claim(30, lease_s=LEASE_S)
    for number, lease in enumerate(leases):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(ended, queue, lease, STOPPED, sent())
                for _ in range(number % 6):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
    for lease in leases:
        item = await queue.show(lease.session_id)
        assert item is not None
        done = item.outcome is not None
        assert len(item.history) == (1 if done else 0)
        assert await ended(queue, lease, STOPPED, sent()) is not done
    assert (await queue.audit()).balanced


async def test_many_calls_at_once_are_all_carried_out(queue: Queue) -> None:
    async with anyio.create_task_group() as group:
        for number in range(300):
            group.start_soon(queue.add, ids(f"s{number}"))
    leases: list[Lease] = []

    async def claim() -> None:
        leases.extend(await queue.claim(3, lease_s=LEASE_S))

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(claim)
    assert len(set(names(leases))) == 300
    async with anyio.create_task_group() as group:
        for lease in leases:
            group.start_soon(ended, queue, lease, STOPPED, sent())
    assert (await queue.audit()).balanced
    assert await queue.next_at() is None


async def test_a_closed_queue_says_so(harness: Harness, queue: Queue, other: Queue) -> None:
    await queue.add(ids("a"))
    await queue.close()
    await queue.close()
    with pytest.raises(QueueError, match="closed"):
        await queue.add(ids("b"))
    with pytest.raises(QueueError, match="closed"):
        await queue.claim(1, lease_s=LEASE_S)
    assert (await claim_one(other)).session_id == "a"

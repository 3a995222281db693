"""Run sets: what one `once` is responsible for."""

import pytest

from reaper.core.model import Outcome, Retry, SessionId
from reaper.queues.base import Queue
from reaper.queues.values import SetView
from tests.support.queues.harness import LEASE_S, NOW, STOPPED, Harness, claim_one, due, ended, ids, names, sent

pytestmark = pytest.mark.anyio


async def test_a_set_takes_the_ids_of_its_batches_known_or_new(queue: Queue) -> None:
    await queue.add(ids("a", "b"))
    mine = queue.new_set()
    await queue.add(ids("b", "c", "b"), into=mine)
    assert (await mine.view()).open == 2
    assert names(await queue.claim(5, lease_s=LEASE_S, within=mine)) == ["b", "c"]
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["a"]


async def test_a_set_takes_in_what_is_due_and_in_flight(harness: Harness, queue: Queue, other: Queue) -> None:
    await queue.add(ids("a", "b"))
    await queue.add(due(later=harness.now() + 60))
    lease = await claim_one(other)
    mine = queue.new_set()
    assert await mine.include_due() == 2
    assert await mine.view() == SetView(ready=1, scheduled=0, retrying=0, in_flight=1)
    await ended(other, lease, STOPPED, sent())
    assert await mine.view() == SetView(1, 0, 0, 0, {Outcome.STOPPED: 1})


async def test_a_limit_counts_what_the_set_has_already_and_takes_the_oldest(harness: Harness, queue: Queue) -> None:
    start = harness.now()
    await queue.add(due(c=start + 3, a=start + 1, b=start + 2))
    harness.advance(5)
    mine = queue.new_set()
    await queue.add(ids("x"), into=mine)
    assert await mine.include_due(3) == 3
    assert await mine.include_due(2) == 3
    assert names(await queue.claim(5, lease_s=LEASE_S, within=mine)) == ["a", "b", "x"]


async def test_what_was_settled_before_an_instant_is_counted_apart(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a", "b", "c"))
    await ended(queue, await claim_one(queue), STOPPED, sent())
    harness.advance(10)
    begun = queue.now()
    mine = queue.new_set()
    await queue.add(ids("a", "b", "c"), into=mine)
    harness.advance(10)
    await ended(queue, await claim_one(queue), STOPPED, sent())
    assert await mine.settled_before(begun) == {Outcome.STOPPED: 1}
    assert await mine.settled_before(begun - 60) == {}
    assert await mine.settled_before(queue.now() + 60) == {Outcome.STOPPED: 2}
    assert (await mine.view()).settled == {Outcome.STOPPED: 2}


async def test_a_set_is_viewed_by_state(harness: Harness, queue: Queue) -> None:
    mine = queue.new_set()
    await queue.add(ids("a", "b", "c", "d"), into=mine)
    await queue.add(due(e=harness.now() + 60, f=harness.now() + 60), into=mine)
    stopped, retried, handed_back, _ = await queue.claim(4, lease_s=LEASE_S, within=mine)
    await ended(queue, stopped, STOPPED, sent())
    await ended(queue, retried, Retry(30), sent(502))
    await ended(queue, handed_back, NOW, None)
    view, start = await mine.view(), harness.now()
    assert view == SetView(
        ready=1, scheduled=2, retrying=1, in_flight=1, settled={Outcome.STOPPED: 1},
        next_scheduled_at=start + 60, next_retry_at=start + 30,
    )  # fmt: skip
    assert (view.open, view.delayed, view.to_do) == (5, 3, 3)


async def test_the_next_of_a_set_leaves_delayed_ids_aside(harness: Harness, queue: Queue) -> None:
    mine = queue.new_set()
    assert await mine.next_at() is None
    await queue.add(due(a=harness.now() + 10), into=mine)
    await queue.add(ids("other"))
    assert await mine.next_at() is None
    harness.advance(10)
    assert await mine.next_at() == harness.now()
    (lease,) = await queue.claim(5, lease_s=LEASE_S, within=mine)
    assert await mine.next_at() == lease.expires_at
    await ended(queue, lease, Retry(5), sent(502))
    assert await mine.next_at() == harness.now() + 5
    harness.advance(5)
    (lease,) = await queue.claim(5, lease_s=LEASE_S, within=mine)
    await ended(queue, lease, STOPPED, sent())
    assert await mine.next_at() is None


async def test_a_re_opened_id_is_still_of_the_set(queue: Queue) -> None:
    mine = queue.new_set()
    await queue.add(ids("a"), into=mine)
    (lease,) = await queue.claim(1, lease_s=LEASE_S, within=mine)
    await ended(queue, lease, STOPPED, sent())
    await queue.add(ids("a"), again=True)
    assert names(await queue.claim(1, lease_s=LEASE_S, within=mine)) == ["a"]


async def test_every_fourth_claim_of_a_set_is_a_retry_too(harness: Harness, queue: Queue) -> None:
    mine = queue.new_set()
    await queue.add(ids("r"), into=mine)
    await ended(queue, await claim_one(queue), Retry(0.0), sent(502))
    harness.advance(1)
    await queue.add(ids("a", "b", "c", "d"), into=mine)
    claimed = names(await queue.claim(5, lease_s=LEASE_S, within=mine))
    assert claimed[:3] == ["a", "b", "r"], "one claim came before these"


async def test_a_set_names_its_ids_in_the_order_they_were_accepted(harness: Harness, queue: Queue) -> None:
    every = [f"s{number:04}" for number in range(1_300)]
    await queue.add(ids(*every))
    mine = queue.new_set()
    assert [name async for name in mine.ids()] == []
    await queue.add(due(later=harness.now() + 9), into=mine)
    await mine.include_due()
    assert [name async for name in mine.ids()] == [*every, "later"]


async def test_two_sets_do_not_meet(queue: Queue) -> None:
    one, two = queue.new_set(), queue.new_set()
    await queue.add(ids("a"), into=one)
    await queue.add(ids("b"), into=two)
    assert names(await queue.claim(5, lease_s=LEASE_S, within=two)) == ["b"]
    assert (await one.view()).ready == 1


async def test_a_set_belongs_to_its_queue(queue: Queue, other: Queue) -> None:
    theirs = other.new_set()
    with pytest.raises(TypeError, match="belongs to the queue"):
        await queue.claim(1, lease_s=LEASE_S, within=theirs)
    with pytest.raises(TypeError, match="belongs to the queue"):
        await queue.add(ids("a"), into=theirs)
    assert await queue.show(SessionId("a")) is None


async def test_a_large_set_is_claimed_in_order(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("before"))
    harness.advance(1)
    every = [f"s{number:05}" for number in range(5_200)]
    mine = queue.new_set()
    await queue.add(ids(*every), into=mine)
    leases = await queue.claim(3, lease_s=LEASE_S, within=mine)
    assert names(leases) == every[:3]
    assert await mine.next_at() == harness.now()
    await ended(queue, leases[0], Retry(0.0), sent(502))
    assert (await mine.view()).ready == 5_198
    assert names(await queue.claim(1, lease_s=LEASE_S, within=mine)) == [every[0]], "the fourth is a retry"


async def test_a_set_takes_the_named_ids_that_are_known_and_counts_none_of_them_anew(queue: Queue) -> None:
    await queue.add(ids("a", "b", "c"))
    before = await queue.stats()
    mine = queue.new_set()
    await mine.include([SessionId("b"), SessionId("unknown"), SessionId("c")])
    await mine.include([SessionId("c")])
    assert (await mine.view()).open == 2
    assert names(await queue.claim(5, lease_s=LEASE_S, within=mine)) == ["b", "c"]
    assert (await queue.stats()).duplicate == before.duplicate == 0
    assert await mine.include_due(2) == 2, "it is full"

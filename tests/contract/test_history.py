"""The history: what was settled, by outcome and latency, as every process of the queue sees it."""

import pytest

from reaper.core.model import Decision, LeaseResult, Outcome, Release, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.history import BUCKETS_S, KEPT_S, SLOT_S, HistorySlot, slot_of
from tests.support.queues.harness import (
    LEASE_S,
    STOPPED,
    Harness,
    cancel_one,
    claim_one,
    due,
    end_one,
    ended,
    fail_one,
    ids,
    postpone_one,
    sent,
    stop_one,
)

pytestmark = pytest.mark.anyio


async def only_slot(queue: Queue) -> HistorySlot:
    (slot,) = await queue.history(0.0)
    return slot


def latencies(**counts: int) -> tuple[int, ...]:
    """Return the numbers by bucket, named by its bound: `below_5=2`."""
    bounds = [f"below_{bound:g}" for bound in BUCKETS_S]
    return tuple(counts.get(bound.replace(".", "_"), 0) for bound in [*bounds, "more"])


async def test_it_counts_outcomes_and_every_process_sees_them(queue: Queue, other: Queue) -> None:
    assert await queue.history(0.0) == []
    await queue.add(ids("a", "b", "c", "d"))
    await stop_one(queue)
    await stop_one(other)
    await end_one(queue, Outcome.FORBIDDEN, 403)
    await cancel_one(other, SessionId("d"), reason="why", by="who")
    slot = await only_slot(other)
    assert slot.settled == {Outcome.STOPPED: 2, Outcome.FORBIDDEN: 1, Outcome.CANCELLED: 1}
    assert sum(slot.latencies) == 3, "a cancelled ID has no latency"
    assert await queue.history(0.0) == [slot]


async def test_each_outcome_of_the_history_is_one_of_the_ledger(queue: Queue) -> None:
    await queue.add(ids(*(f"s{number}" for number in range(60))))
    leases = await queue.claim(60, lease_s=LEASE_S)
    some: list[Decision] = [STOPPED, Settle(Outcome.ALREADY_GONE), Settle(Outcome.PROTECTED), Release(0.0)]
    for number, lease in enumerate(leases):
        decision = some[number % 4]
        send = {0: sent(204), 1: sent(404)}.get(number % 4)
        assert await ended(queue, lease, decision, send)
    stats, slot = await queue.stats(), await only_slot(queue)
    assert slot.settled == {outcome: number for outcome, number in stats.settled.items() if number}
    assert (await queue.audit()).balanced


async def test_a_batch_is_counted_as_one_and_a_stale_receipt_is_not(harness: Harness, queue: Queue) -> None:
    await queue.add(ids(*(f"s{number}" for number in range(40))))
    leases = await queue.claim(40, lease_s=LEASE_S)
    harness.advance(2.0)
    results = [LeaseResult(lease, STOPPED, sent()) for lease in leases]
    assert await queue.apply(results) == [True] * 40
    assert await queue.apply([LeaseResult(leases[0], STOPPED, sent(404))]) == [False]
    slot = await only_slot(queue)
    assert slot.settled == {Outcome.STOPPED: 40}
    assert slot.latencies == latencies(below_5=40)


@pytest.mark.parametrize("number", range(len(BUCKETS_S) + 1))
async def test_a_latency_is_counted_below_its_bound(harness: Harness, queue: Queue, number: int) -> None:
    await queue.add(ids("a"))
    waited_s = [0.0, *BUCKETS_S][number]
    lease = await claim_one(queue)
    harness.advance(waited_s)
    assert await ended(queue, lease, STOPPED, sent())
    expected = [0] * (len(BUCKETS_S) + 1)
    expected[number] = 1
    assert (await only_slot(queue)).latencies == tuple(expected)


async def test_it_counts_from_the_first_due_time_whatever_the_back_off(harness: Harness, queue: Queue) -> None:
    start = harness.now()
    await queue.add(due(a=start + 50))
    assert await queue.claim(1, lease_s=LEASE_S) == []
    harness.advance(50)
    lease = await fail_one(queue, after_s=20.0)
    assert lease.due_at == start + 50
    harness.advance(20)
    lease = await fail_one(queue, after_s=70.0)
    assert lease.due_at == start + 50
    harness.advance(70)
    lease = await claim_one(queue)
    assert lease.due_at == start + 50
    assert await ended(queue, lease, STOPPED, sent())
    assert (await only_slot(queue)).latencies == latencies(below_120=1), "90 s since it was due"


async def test_an_order_and_a_new_round_begin_anew(harness: Harness, queue: Queue) -> None:
    start = harness.now()
    await queue.add(ids("a"))
    await fail_one(queue, after_s=10.0)
    await postpone_one(queue, SessionId("a"), 100.0)
    harness.advance(100)
    lease = await claim_one(queue)
    assert lease.due_at == start + 100
    assert await ended(queue, lease, Settle(Outcome.REJECTED), sent(400))
    harness.advance(1_000)
    assert await queue.reopen([SessionId("a")], reason="mended", by="ops") == 1
    assert (await claim_one(queue)).due_at == start + 1_100


async def test_an_added_postponement_begins_anew(harness: Harness, queue: Queue) -> None:
    start = harness.now()
    await queue.add(ids("a"))
    await fail_one(queue, after_s=10.0)
    await queue.add(due(a=start + 200), or_postpone=True)
    harness.advance(200)
    assert (await claim_one(queue)).due_at == start + 200


async def test_a_release_unsent_keeps_the_due_time(harness: Harness, queue: Queue) -> None:
    start = harness.now()
    await queue.add(ids("a", "b"))
    for after_s in (0.0, 5.0):
        assert await ended(queue, await claim_one(queue), Release(after_s), None)
    harness.advance(6)
    assert [lease.due_at for lease in await queue.claim(2, lease_s=LEASE_S)] == [start, start]


async def test_slots_are_told_apart_and_end_after_a_day(harness: Harness, queue: Queue) -> None:
    first = harness.now()
    for name in ("a", "b", "c"):
        await queue.add(ids(name))
        await stop_one(queue)
        harness.advance(SLOT_S)
    found = await queue.history(first)
    assert [slot.at for slot in found] == [slot_of(first) + n * SLOT_S for n in range(3)]
    assert await queue.history(first + 2 * SLOT_S) == found[2:]
    harness.advance(KEPT_S - 2 * SLOT_S)
    await queue.maintain(1e9)
    assert await queue.history(first + SLOT_S) == found[1:]
    harness.advance(KEPT_S)
    await queue.maintain(1e9)
    assert await queue.history(0.0) == []
    assert (await queue.audit()).balanced


async def test_a_cancellation_whose_holder_is_gone_is_counted_once(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a", "b"))
    assert len(await queue.claim(2, lease_s=LEASE_S)) == 2
    await queue.cancel([SessionId("a"), SessionId("b")], reason="why", by="who")
    harness.advance(LEASE_S + 1)
    await queue.maintain(1e9)
    assert (await only_slot(queue)).settled == {Outcome.CANCELLED: 2}


async def test_a_clock_that_was_set_back_shows_no_future(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    await stop_one(queue)
    before = harness.now()
    harness.jump(-2 * SLOT_S)
    await queue.add(ids("b"))
    await stop_one(queue)
    slot = await only_slot(queue)
    assert slot.at == slot_of(harness.now())
    was_set_back = harness.now() < before  # an engine with a clock of its own is not
    assert slot.settled == {Outcome.STOPPED: 1 if was_set_back else 2}

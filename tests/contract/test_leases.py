"""Promises 3, 4, 6 and 7: one holder, fenced, counted at claim, never early."""

from dataclasses import replace

import pytest

from reaper.core.model import Outcome, Release, Retry, SessionId, Settle, State
from reaper.core.owners import random_part
from reaper.queues.base import Queue
from reaper.queues.selection import Selection
from tests.support.queues.harness import (
    LEASE_S,
    NOW,
    START,
    STOPPED,
    Harness,
    claim_one,
    due,
    end_one,
    ended,
    fail_one,
    ids,
    names,
    sent,
    stop_one,
)

pytestmark = pytest.mark.anyio

A = SessionId("a")


async def test_a_claimed_id_is_claimable_by_nobody_else(queue: Queue, other: Queue) -> None:
    await queue.add(ids("a", "b"))
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]
    assert names(await other.claim(5, lease_s=LEASE_S)) == ["b"]
    assert await queue.claim(5, lease_s=LEASE_S) == []


async def test_a_lease_that_ran_out_is_claimable_and_the_first_holder_is_fenced_off(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    await queue.add(ids("a"))
    first = await claim_one(queue)
    harness.advance(LEASE_S - 0.001)
    assert await other.claim(1, lease_s=LEASE_S) == []
    harness.advance(0.001)
    second = await claim_one(other)
    assert (second.sends, second.unanswered) == (2, 1)
    before = await queue.show(A)
    assert not await ended(queue, first, STOPPED, sent())
    assert await queue.show(A) == before
    assert await ended(other, second, STOPPED, sent())
    assert not await ended(other, second, STOPPED, sent())
    assert (await queue.stats()).settled[Outcome.STOPPED] == 1


async def test_what_is_in_flight_names_its_process_and_is_not_in_flight_of_a_dead_one(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    await queue.add(ids("a", "b", "c"))
    await queue.claim(2, lease_s=LEASE_S)
    await claim_one(other)
    harness.advance(1)
    holders = {holder.owner: holder.in_flight for holder in await queue.lease_holders()}
    assert {random_part(owner): count for owner, count in holders.items()} == {
        random_part(queue.owner): 2, random_part(other.owner): 1,
    }  # fmt: skip
    await harness.die(queue)
    item, stats = await other.show(A), await other.stats()
    assert item is not None
    assert random_part(item.owner or "") == random_part(queue.owner)
    holders = {random_part(holder.owner): holder.in_flight for holder in await other.lease_holders()}
    assert (stats.imbalance, stats.delayed) == (0, 0)
    listed = [(row.session_id, row.state) async for row in other.select(Selection())]
    assert dict(listed) == {row: found.state for row in "abc" if (found := await other.show(SessionId(row)))}
    counted = await other.count(Selection())
    assert (counted.get(State.IN_FLIGHT, 0), counted.get(State.READY, 0)) == (stats.in_flight, stats.ready)
    if "death" in harness.cannot:
        assert (item.state, stats.in_flight, len(holders)) == (State.IN_FLIGHT, 3, 2)
        ends_in_s = [holder.until - harness.now() for holder in await other.lease_holders()]
        assert ends_in_s == pytest.approx([LEASE_S - 1] * 2)
        harness.advance(LEASE_S)
        assert await other.lease_holders() == []
    else:
        assert (item.state, item.due_at, item.unanswered) == (State.READY, START, 1)
        assert (stats.in_flight, stats.ready, stats.oldest_due_s) == (1, 2, 1.0)
        assert holders == {random_part(other.owner): 1}
        assert (await other.audit()).balanced
        await other.maintain(1e9)
        assert (await other.show(A)) == replace(item, owner=None)


async def test_a_late_apply_is_good_while_nobody_else_claimed(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    harness.advance(LEASE_S * 10)
    assert await queue.maintain(1e9) == 0
    assert await ended(queue, lease, STOPPED, sent())


async def test_receipts_are_never_used_twice(queue: Queue, other: Queue) -> None:
    await queue.add(ids("a", "b"))
    receipts = set()
    for _ in range(3):
        for process in (queue, other):
            lease = await claim_one(process)
            receipts.add(lease.receipt)
            await ended(process, lease, NOW, None)
    assert len(receipts) == 6


async def test_the_leases_of_the_dead_are_free_at_once_those_of_the_living_are_not(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    await queue.add(ids("a", "b", "c"))
    orphan = await claim_one(other)
    if "death" in harness.cannot:
        harness.advance(LEASE_S - 1)
    held = await claim_one(queue)
    await harness.die(other)
    if "death" in harness.cannot:
        assert await queue.maintain(1e9) == 0
        harness.advance(1)
    else:
        assert await queue.maintain(1e9) == 1
    lease, fresh = await queue.claim(5, lease_s=LEASE_S)
    assert {lease.session_id, fresh.session_id} == {"a", "c"}
    retried = lease if lease.session_id == "a" else fresh
    assert (retried.sends, retried.unanswered) == (2, 1)
    assert retried.receipt != orphan.receipt
    assert await ended(queue, held, STOPPED, sent())
    assert await queue.maintain(1e9) == 0


async def test_a_clean_close_frees_what_was_left_too(queue: Queue, other: Queue) -> None:
    await queue.add(ids("a"))
    await claim_one(other)
    await other.close()
    assert await queue.maintain(1e9) == 1
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]


async def test_a_lease_has_what_is_known_of_the_id(harness: Harness, queue: Queue) -> None:
    await queue.add(replace(ids("a"), source="file"))
    lease = await claim_one(queue)
    assert (lease.session_id, lease.source, lease.round) == ("a", "file", 1)
    assert (lease.attempts, lease.sends, lease.unanswered) == (0, 1, 0)
    assert not lease.ambiguous
    assert not lease.others_final
    assert lease.expires_at == harness.now() + LEASE_S
    item = await queue.show(A)
    assert item is not None
    assert (item.state, item.due_at, item.sends, item.unanswered) == (State.IN_FLIGHT, lease.expires_at, 1, 0)


async def test_a_send_is_counted_when_claimed(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    for earlier in range(3):
        lease = await claim_one(queue)
        assert (lease.sends, lease.unanswered, lease.attempts) == (earlier + 1, earlier, 0)
        harness.advance(LEASE_S)


@pytest.mark.parametrize("decision", [Release(0.0), Retry(0.0), Release(5.0)])
async def test_a_claim_handed_back_unsent_leaves_no_trace(
    harness: Harness, queue: Queue, decision: Retry | Release
) -> None:
    await queue.add(ids("a", "b"))
    lease = await claim_one(queue)
    assert await ended(queue, lease, decision, None)
    item = await queue.show(A)
    assert item is not None
    assert (item.sends, item.attempts, item.unanswered, item.history) == (0, 0, 0, ())
    assert item.due_at == harness.now() + decision.after_s
    harness.advance(decision.after_s)
    again = next(lease for lease in await queue.claim(2, lease_s=LEASE_S) if lease.session_id == "a")
    assert (again.sends, again.unanswered, again.others_final) == (1, 0, False)


async def test_handed_back_at_once_an_id_keeps_its_place(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    harness.advance(1)
    await queue.add(ids("b"))
    await ended(queue, await claim_one(queue), NOW, None)
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]


async def test_nothing_is_claimed_before_its_time(harness: Harness, queue: Queue) -> None:
    await queue.add(due(a=harness.now() + 10, b=harness.now() + 20))
    assert await queue.claim(5, lease_s=LEASE_S) == []
    assert await queue.next_at() == harness.now() + 10
    harness.advance(9.999)
    assert await queue.claim(5, lease_s=LEASE_S) == []
    harness.advance(0.001)
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["a"]


@pytest.mark.parametrize("decision", [Retry(7.0), Release(7.0)])
async def test_a_retry_is_not_claimed_before_its_time(
    harness: Harness, queue: Queue, decision: Retry | Release
) -> None:
    await queue.add(ids("a"))
    await ended(queue, await claim_one(queue), decision, sent(502))
    assert await queue.next_at() == harness.now() + 7
    harness.advance(6.999)
    assert await queue.claim(1, lease_s=LEASE_S) == []
    harness.advance(0.001)
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]


async def test_next_at_is_the_end_of_a_lease_when_that_is_all_there_is(harness: Harness, queue: Queue) -> None:
    assert await queue.next_at() is None
    await queue.add(ids("a"))
    assert await queue.next_at() == harness.now()
    lease = await claim_one(queue)
    assert await queue.next_at() == lease.expires_at
    await ended(queue, lease, STOPPED, sent())
    assert await queue.next_at() is None


async def test_every_fourth_claim_is_a_retry_while_both_wait(harness: Harness, queue: Queue) -> None:
    await queue.add(ids(*(f"r{number}" for number in range(4))))
    for lease in await queue.claim(4, lease_s=LEASE_S):
        await ended(queue, lease, Retry(0.0), sent(502))
    harness.advance(1)
    await queue.add(ids(*(f"f{number}" for number in range(9))))
    order = names(await queue.claim(5, lease_s=LEASE_S)) + [(await claim_one(queue)).session_id for _ in range(8)]
    # Three first sends, then a retry; each kind in its own order; what is left over when one kind has run out.
    assert order == ["f0", "f1", "f2", "r0", "f3", "f4", "f5", "r1", "f6", "f7", "f8", "r2", "r3"]


async def test_the_oldest_due_comes_first(harness: Harness, queue: Queue) -> None:
    start = harness.now()
    await queue.add(due(late=start + 3, early=start + 1, middle=start + 2))
    harness.advance(5)
    assert names(await queue.claim(3, lease_s=LEASE_S)) == ["early", "middle", "late"]


async def test_others_final_is_about_the_time_since_the_last_send_of_this_id(queue: Queue) -> None:
    await queue.add(ids("a", "b", "c"))
    lease = await fail_one(queue)
    assert (lease.session_id, lease.others_final) == ("a", False)
    await stop_one(queue)
    await stop_one(queue)
    lease = await claim_one(queue)
    assert (lease.session_id, lease.others_final) == ("a", True)
    # Handed back unsent, the claim does not count as a send, so the same is still to be seen.
    await ended(queue, lease, NOW, None)
    lease = await claim_one(queue)
    assert lease.others_final
    await ended(queue, lease, Retry(0.0), sent(502))
    assert not (await claim_one(queue)).others_final


@pytest.mark.parametrize(
    ("outcome", "status", "counts"),
    [
        (Outcome.ALREADY_GONE, 404, True),
        (Outcome.FORBIDDEN, 403, True),
        (Outcome.REJECTED, 400, True),
        (Outcome.EXHAUSTED, 502, False),
        (Outcome.PROTECTED, None, False),
    ],
)
async def test_only_an_answer_is_final_to_others(
    queue: Queue, outcome: Outcome, status: int | None, counts: bool
) -> None:
    await queue.add(ids("a", "b"))
    await fail_one(queue)
    await end_one(queue, outcome, status)
    assert (await claim_one(queue)).others_final is counts


async def test_settling_unsent_takes_the_send_back(queue: Queue) -> None:
    await queue.add(ids("a"))
    assert await ended(queue, await claim_one(queue), Settle(Outcome.PROTECTED, "by glob"), None)
    item = await queue.show(A)
    assert item is not None
    assert (item.outcome, item.detail, item.sends, item.attempts) == (Outcome.PROTECTED, "by glob", 0, 0)
    assert (await queue.audit()).balanced


async def test_to_claim_none_is_to_claim_nothing(queue: Queue) -> None:
    await queue.add(ids("a"))
    assert await queue.claim(0, lease_s=LEASE_S) == []
    lease = await claim_one(queue)
    assert lease.sends == 1, "nothing was counted before"


async def test_the_queues_time_is_the_one_of_its_leases(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    assert queue.now() == harness.now()
    harness.advance(90)
    lease = await claim_one(queue)
    assert lease.expires_at == queue.now() + LEASE_S

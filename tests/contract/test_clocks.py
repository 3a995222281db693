"""Clocks: what is due waits for no clock, no wait is longer than its length, and no jump ends a living holder's lease.

Where an engine goes by its server's clock, a jump of the machine's own clock must change nothing.
"""

import pytest

from reaper.core.model import Pause, PauseReason, Release, Retry, SessionId, State
from reaper.queues.accounting import SLACK_S
from reaper.queues.base import Queue
from reaper.queues.values import Batch, NewItem
from tests.support.queues.harness import (
    LEASE_S,
    NOW,
    STOPPED,
    Harness,
    claim_one,
    due,
    ended,
    fail_one,
    ids,
    names,
    postpone_one,
    sent,
)

pytestmark = pytest.mark.anyio

A = SessionId("a")
HOUR_S = 3600.0
YEAR_S = 365 * 86_400.0


@pytest.mark.parametrize("back_s", [1.0, HOUR_S, YEAR_S / 100])
async def test_what_is_due_now_waits_for_no_clock(harness: Harness, queue: Queue, other: Queue, back_s: float) -> None:
    await queue.add(ids("a", "b", "c"))
    harness.jump(-back_s)
    stats = await queue.stats()
    assert (stats.ready, stats.delayed) == (3, 0)
    assert stats.oldest_due_s >= 0
    assert await queue.next_at() <= harness.now()  # type: ignore[operator]
    run_set = other.new_set()
    assert await run_set.include_due() == 3
    assert (await run_set.view()).ready == 3
    assert await run_set.next_at() <= harness.now()  # type: ignore[operator]
    found = await queue.show(A)
    assert found is not None
    assert found.state is State.READY
    assert names(await other.claim(1, lease_s=LEASE_S, within=run_set)) == ["a"]
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["b", "c"]
    assert (await queue.audit()).balanced


async def test_an_id_released_unsent_is_still_due_after_the_clock_was_set_back(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    harness.jump(-HOUR_S)
    assert await ended(queue, lease, NOW, None)
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]


@pytest.mark.parametrize("decision", [Retry(30.0), Release(30.0)])
async def test_a_retry_waits_no_longer_than_its_length(
    harness: Harness, queue: Queue, other: Queue, decision: Retry | Release
) -> None:
    await queue.add(ids("a"))
    assert await ended(queue, await claim_one(queue), decision, sent(502))
    harness.jump(-HOUR_S)
    harness.advance(SLACK_S + 30.1)
    assert names(await other.claim(1, lease_s=LEASE_S)) == ["a"]


async def test_a_delay_waits_no_longer_than_its_length(harness: Harness, queue: Queue, other: Queue) -> None:
    await queue.add(ids("a", "b"), default_after_s=HOUR_S)
    harness.jump(-2 * HOUR_S)
    assert (await queue.stats()).ready in (0, 2)  # at once, or by a clock that did not jump
    harness.advance(HOUR_S + SLACK_S)
    stats = await queue.stats()
    assert (stats.ready, stats.delayed) == (2, 0)
    run_set = other.new_set()
    assert await run_set.include_due() == 2
    assert (await run_set.view()).ready == 2
    assert names(await other.claim(5, lease_s=LEASE_S, within=run_set)) == ["a", "b"]


async def test_a_postponement_waits_no_longer_than_its_length(harness: Harness, queue: Queue, other: Queue) -> None:
    await queue.add(ids("a"))
    await postpone_one(queue, A, 30.0)
    harness.jump(-HOUR_S)
    harness.advance(30.0 + SLACK_S)
    assert names(await other.claim(1, lease_s=LEASE_S)) == ["a"]


async def test_a_small_correction_shortens_no_wait(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    await fail_one(queue, after_s=30.0)
    harness.jump(-SLACK_S + 1)
    harness.advance(29.0)
    assert await queue.claim(1, lease_s=LEASE_S) == []


async def test_a_time_that_was_named_is_kept(harness: Harness, queue: Queue) -> None:
    await queue.add(due(a=harness.now() + HOUR_S))
    at = harness.now() + HOUR_S
    harness.jump(-2 * HOUR_S)
    await queue.maintain(1e9)
    assert await queue.claim(1, lease_s=LEASE_S) == []
    found = await queue.show(A)
    assert found is not None
    assert found.state is State.SCHEDULED
    assert found.due_at == pytest.approx(at)


async def test_an_id_scheduled_for_a_time_waits_behind_none_accepted_later(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("first"))
    await queue.add(due(scheduled=harness.now() + 10))
    harness.advance(20)
    await queue.add(ids("later", "last"))
    assert names(await queue.claim(9, lease_s=LEASE_S)) == ["first", "scheduled", "later", "last"]


@pytest.mark.parametrize("forward_s", [2 * LEASE_S, HOUR_S, YEAR_S])
async def test_a_jump_forward_ends_no_lease_of_a_living_process(
    harness: Harness, queue: Queue, other: Queue, forward_s: float
) -> None:
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    harness.jump(forward_s)
    for process in (queue, other):
        await process.maintain(1e9)
    assert await other.claim(1, lease_s=LEASE_S) == []
    stats = await other.stats()
    assert (stats.ready, stats.in_flight) == (0, 1)
    run_set = other.new_set()
    assert await run_set.include_due() == 1
    assert (await run_set.view()).in_flight == 1
    assert await other.claim(1, lease_s=LEASE_S, within=run_set) == []
    assert await ended(queue, lease, STOPPED, sent())


@pytest.mark.parametrize("jump_s", [-HOUR_S, HOUR_S])
async def test_a_lease_of_a_living_process_ends_by_its_length(
    harness: Harness, queue: Queue, other: Queue, jump_s: float
) -> None:
    """So an ID that a hanging process holds is sent again, whatever the wall clock did meanwhile."""
    await queue.add(ids("a"))
    await claim_one(queue)
    harness.jump(jump_s)
    harness.advance(LEASE_S - 1)
    assert await other.claim(1, lease_s=LEASE_S) == []
    next_at = await other.next_at()
    assert next_at is not None
    assert next_at - harness.now() == pytest.approx(1.0)
    harness.advance(1.1)
    assert names(await other.claim(1, lease_s=LEASE_S)) == ["a"]


async def test_a_pause_ends_no_later_than_its_length(harness: Harness, queue: Queue) -> None:
    now = harness.now()
    await queue.pause(Pause(PauseReason.OPERATOR, now, "a deploy", now + 30))
    assert await queue.paused() is not None
    harness.jump(-HOUR_S)
    harness.advance(30 + SLACK_S)
    assert await queue.paused() is None


async def test_no_age_is_negative(harness: Harness, queue: Queue) -> None:
    await queue.add(Batch("test", [NewItem(A)]))
    harness.jump(-HOUR_S)
    assert (await queue.stats()).oldest_due_s >= 0
    found = await queue.show(A)
    assert found is not None
    assert found.due_at <= queue.now()

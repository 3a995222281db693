"""Promise 9: the accounting balances and shows when something is wrong; and the heartbeats of workers."""

from dataclasses import replace
from pathlib import Path

import pytest

from reaper.core.errors import QueueError, UsageError
from reaper.core.model import DEAD, Outcome, Pause, PauseReason, Release, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.sqlite.open import open_ledger
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
    sent,
    stop_one,
)

pytestmark = pytest.mark.anyio

ANSWERS = {Outcome.STOPPED: 204, Outcome.ALREADY_GONE: 404, Outcome.FORBIDDEN: 403, Outcome.REJECTED: 400}


async def one_of_each(queue: Queue) -> None:
    """Leave an ID in every state and one of every outcome."""
    now_ids = [f"s{number}" for number in range(len(Outcome) + 1)]
    await queue.add(ids(*now_ids))
    for outcome in Outcome:
        if outcome is Outcome.CANCELLED:
            await cancel_one(queue, SessionId("s6"), reason="test", by="ops")
        else:
            await end_one(queue, outcome, ANSWERS.get(outcome))
    await claim_one(queue)


async def test_scheduled_and_retrying_are_counted_apart_with_the_next_due_time(harness: Harness, queue: Queue) -> None:
    assert (await queue.stats()).next_due_at is None
    start = harness.now()
    await queue.add(ids("flying", "failed", "ready"))
    flying = await claim_one(queue)
    await fail_one(queue, after_s=20.0)
    assert (await queue.stats()).next_due_at == start + 20.0
    await queue.add(due(soon=start + 10, late=start + 50))
    stats = await queue.stats()
    assert (stats.ready, stats.scheduled, stats.retrying, stats.delayed, stats.in_flight) == (1, 2, 1, 3, 1)
    assert stats.next_due_at == start + 10, "what is in flight or ready does not count"
    harness.advance(20.0)
    stats = await queue.stats()
    assert (stats.ready, stats.scheduled, stats.retrying, stats.in_flight, stats.next_due_at) == (
        3,
        1,
        0,
        1,
        start + 50,
    )
    assert await ended(queue, flying, STOPPED, sent())
    assert (await queue.audit()).balanced


async def test_the_whole_in_numbers(harness: Harness, queue: Queue) -> None:
    await one_of_each(queue)
    await queue.add(ids("ready"))
    await queue.add(due(delayed=harness.now() + 100))
    harness.advance(7)
    stats = await queue.stats()
    assert (stats.ready, stats.delayed, stats.in_flight) == (1, 1, 1)
    assert stats.settled == dict.fromkeys(Outcome, 1)
    assert (stats.accepted, stats.dead, stats.oldest_due_s, stats.imbalance) == (10, 3, 7.0, 0)
    audit = await queue.audit()
    assert audit.stats == stats
    assert audit.balanced, [line for line in audit.lines if not line.balanced]


async def test_an_empty_queue_balances(queue: Queue) -> None:
    assert (await queue.audit()).balanced
    stats = await queue.stats()
    assert (stats.accepted, stats.oldest_due_s, stats.duplicate, stats.invalid, stats.dead) == (0, 0.0, 0, 0, 0)
    assert stats.settled == dict.fromkeys(Outcome, 0)


async def test_a_lease_that_ran_out_counts_as_ready(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    await claim_one(queue)
    harness.advance(LEASE_S + 5)
    stats = await queue.stats()
    assert (stats.ready, stats.in_flight, stats.oldest_due_s) == (1, 0, 5.0)
    assert (await queue.audit()).balanced


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.STOPPED, 502),
        (Outcome.STOPPED, 300),
        (Outcome.STOPPED, 199),
        (Outcome.STOPPED, None),
        (Outcome.ALREADY_GONE, 204),
        (Outcome.REJECTED, 204),
    ],
)
async def test_an_outcome_that_its_answer_does_not_bear_out_is_noticed(
    queue: Queue, outcome: Outcome, status: int | None
) -> None:
    await queue.add(ids("a"))
    await end_one(queue, outcome, status)
    assert not (await queue.audit()).balanced


@pytest.mark.parametrize("status", [200, 299])
async def test_any_2xx_bears_out_that_a_session_was_stopped(queue: Queue, status: int) -> None:
    await queue.add(ids("a"))
    await end_one(queue, Outcome.STOPPED, status)
    assert (await queue.audit()).balanced


async def test_an_answer_that_was_not_the_apis_own_counts_for_nothing(queue: Queue) -> None:
    await queue.add(ids("a", "b"))
    await end_one(queue, Outcome.EXHAUSTED, 200)
    await fail_one(queue)
    await end_one(queue, Outcome.EXHAUSTED, 404)
    assert (await queue.audit()).balanced


async def test_old_settled_rows_are_pruned_dead_ones_never(harness: Harness, queue: Queue) -> None:
    await one_of_each(queue)
    harness.advance(1_000)
    await queue.add(ids("fresh"))
    lease = next(lease for lease in await queue.claim(5, lease_s=LEASE_S) if lease.session_id == "fresh")
    await ended(queue, lease, STOPPED, sent())
    before = await queue.stats()
    await queue.maintain(keep_settled_s=999)
    left = [item async for item in queue.outcomes()]
    assert {item.outcome for item in left if item.session_id != "fresh"} == DEAD
    assert len(left) == len(DEAD) + 1
    assert (await queue.stats()) == before
    assert (await queue.audit()).balanced
    assert (await queue.add(ids("s0"))).accepted == 1, "after pruning, a new acceptance"
    assert (await queue.audit()).balanced


async def test_pruning_goes_in_portions(harness: Harness, queue: Queue) -> None:
    await queue.add(ids(*(f"s{number}" for number in range(1_200))))
    for lease in await queue.claim(1_200, lease_s=LEASE_S):
        await ended(queue, lease, Settle(Outcome.PROTECTED), None)
    harness.advance(10)
    left = []
    for _ in range(2):
        await queue.maintain(keep_settled_s=5)
        left.append(len([item async for item in queue.outcomes()]))
    assert left == [200, 0]
    assert (await queue.audit()).balanced


async def test_pruning_leaves_what_is_young_enough(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    await stop_one(queue)
    harness.advance(5)
    await queue.maintain(keep_settled_s=5)
    assert await queue.show(SessionId("a")) is not None


@pytest.mark.parametrize(("answer", "outcome"), [(204, Outcome.EXHAUSTED), (404, Outcome.EXHAUSTED), (502, None)])
async def test_a_dead_letter_whose_last_answer_was_final_is_noticed(
    queue: Queue, answer: int, outcome: Outcome | None
) -> None:
    """An ID ends exhausted without a send after many crashes: not when the API had said that the session is gone."""
    await queue.add(ids("a"))
    assert await ended(queue, await claim_one(queue), Release(0.0), sent(answer))
    assert await ended(queue, await claim_one(queue), Settle(Outcome.EXHAUSTED), None)
    audit = await queue.audit()
    assert audit.balanced is (outcome is None)
    assert [line.name for line in audit.lines if not line.balanced] == (
        ["settled rows whose recorded answer says otherwise = 0"] if outcome else []
    )


async def test_a_backup_is_a_whole_ledger_or_is_refused(harness: Harness, queue: Queue, tmp_path: Path) -> None:
    await one_of_each(queue)
    copy = tmp_path / "copy.db"
    if "backup" in harness.cannot:
        with pytest.raises(QueueError, match="cannot be copied"):
            await queue.backup(str(copy))
        assert not copy.exists()
        return
    before = await queue.audit()
    await queue.backup(str(copy))
    restored, _ = await open_ledger(str(copy), create=False, read_only=True, worker=False, clock=harness.now)
    assert await restored.audit() == replace(before, stats=replace(before.stats, ready=1, in_flight=0)), (
        "nobody holds it"
    )
    await restored.close()
    with pytest.raises(UsageError, match="exists"):
        await queue.backup(str(copy))


async def test_heartbeats_are_shown_until_their_processes_are_gone(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    assert await queue.live_workers() == []
    pause = Pause(PauseReason.API_DOWN, harness.now(), "5 failures", until=None)
    await other.heartbeat(4, [pause])
    await queue.heartbeat(8, [])
    harness.advance(3)
    await queue.heartbeat(16, [])
    workers = {reaper.owner: reaper for reaper in await other.live_workers()}
    assert set(workers) == {queue.owner, other.owner}
    assert (workers[other.owner].limit, workers[other.owner].pauses) == (4, (pause,))
    assert (workers[queue.owner].limit, workers[queue.owner].last_seen_at) == (16, harness.now())
    assert workers[queue.owner].started_at == harness.now() - 3
    assert workers[queue.owner].pid > 0
    await harness.die(other)
    if "death" in harness.cannot:
        harness.advance(LEASE_S)
        await queue.heartbeat(16, [])
    assert [reaper.owner for reaper in await queue.live_workers()] == [queue.owner]
    third = await harness.open()
    await queue.close()
    assert await third.live_workers() == []


async def test_what_is_opened_again_is_accepted_once_more_and_is_no_duplicate(queue: Queue) -> None:
    await queue.add(ids("a"))
    await end_one(queue, Outcome.FORBIDDEN, 403)
    assert await queue.reopen([SessionId("a")], reason="mended", by="ops") == 1
    stats = await queue.stats()
    assert (stats.accepted, stats.duplicate, stats.invalid, stats.dead) == (2, 0, 0, 0)
    assert (await queue.audit()).balanced

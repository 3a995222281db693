"""What operators do: cancel, postpone, re-open, purge, pause."""

import pytest

from reaper.core.model import Outcome, Pause, PauseReason, SessionId, Settle, State
from reaper.queues.base import Queue
from reaper.queues.values import PostponeResult
from tests.support.queues.harness import (
    LEASE_S,
    STOPPED,
    Harness,
    claim_one,
    due,
    end_one,
    ended,
    fail_one,
    ids,
    names,
    postpone_one,
    sent,
    stop_one,
)

pytestmark = pytest.mark.anyio

A, B = SessionId("a"), SessionId("b")


@pytest.mark.parametrize("retries", [False, True])
async def test_making_due_reaches_what_waits_and_spares_backoff_unless_asked(
    harness: Harness, queue: Queue, other: Queue, retries: bool
) -> None:
    await queue.add(ids("retried", "held"))
    await fail_one(queue, after_s=300.0)
    held = await claim_one(other)
    await queue.add(due(later=harness.now() + 600, never=harness.now() + 10**9))
    assert await queue.make_due(retries=retries) == (3 if retries else 2)
    claimed = names(await queue.claim(5, lease_s=LEASE_S))
    assert sorted(claimed) == (["later", "never", "retried"] if retries else ["later", "never"])
    assert await queue.make_due(retries=False) == 0
    assert await ended(other, held, STOPPED, sent()), "what is in flight was touched"
    assert (await queue.audit()).balanced


async def test_postponing_moves_a_waiting_id(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    assert await postpone_one(queue, A, 30) is PostponeResult.DONE
    assert await queue.claim(1, lease_s=LEASE_S) == []
    assert await queue.next_at() == harness.now() + 30
    assert await postpone_one(queue, A, 0) is PostponeResult.DONE
    lease = await claim_one(queue)
    assert await postpone_one(queue, A, 30) is PostponeResult.IN_FLIGHT
    await ended(queue, lease, STOPPED, sent())
    assert await postpone_one(queue, A, 30) is PostponeResult.SETTLED
    assert await postpone_one(queue, B, 30) is PostponeResult.UNKNOWN


async def test_postponing_after_a_lease_ran_out_ends_it(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    harness.advance(LEASE_S)
    assert await postpone_one(queue, A, 30) is PostponeResult.DONE
    assert not await ended(queue, lease, STOPPED, sent())
    assert await queue.claim(1, lease_s=LEASE_S) == []


async def test_reopening_is_for_the_dead(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a", "b", "c"))
    await end_one(queue, Outcome.EXHAUSTED, 502)
    await stop_one(queue)
    harness.advance(3)
    asked = [A, B, SessionId("c"), SessionId("nobody"), A]
    assert await queue.reopen(asked, reason="API repaired", by="ops") == 1
    item = await queue.show(A)
    assert item is not None
    assert (item.state, item.round, item.due_at, item.sends) == (State.READY, 2, harness.now(), 0)
    assert (item.by, item.reason) == ("ops", "API repaired")
    stats = await queue.stats()
    assert (stats.accepted, stats.dead, stats.settled[Outcome.EXHAUSTED]) == (4, 0, 1)
    assert (await queue.audit()).balanced


async def test_reopening_of_what_was_gone_keeps_the_reason_and_waits(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a", "b", "c"))
    await end_one(queue, Outcome.ALREADY_GONE, 404)
    await stop_one(queue)
    gone = frozenset({Outcome.ALREADY_GONE})
    assert await queue.reopen([A, B, SessionId("c")], reason="still listed", by="reaper", only=gone, after_s=30.0) == 1
    item = await queue.show(A)
    assert item is not None
    assert (item.state, item.round, item.due_at) == (State.SCHEDULED, 2, harness.now() + 30.0)
    harness.advance(30)
    lease = next(lease for lease in await queue.claim(2, lease_s=LEASE_S) if lease.session_id == A)
    assert (lease.round, lease.sends) == (2, 1)
    await ended(queue, lease, Settle(Outcome.ALREADY_GONE), sent(404))
    (item,) = [item async for item in queue.outcomes(only=gone)]
    assert (item.by, item.reason, item.round) == ("reaper", "still listed", 2)
    assert (await queue.audit()).balanced


async def test_purging_is_for_the_dead_and_keeps_their_counts(queue: Queue) -> None:
    await queue.add(ids("a", "b"))
    await end_one(queue, Outcome.REJECTED, 400)
    await stop_one(queue)
    assert await queue.purge([A, B, A]) == 1
    assert await queue.show(A) is None
    assert await queue.show(B) is not None
    stats = await queue.stats()
    assert (stats.accepted, stats.dead, stats.settled[Outcome.REJECTED]) == (2, 0, 1)
    assert (await queue.audit()).balanced
    assert (await queue.add(ids("a"))).accepted == 1


async def test_the_operators_pause_outlives_its_process_and_ends_by_itself(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    assert await queue.paused() is None
    pause = Pause(PauseReason.OPERATOR, harness.now(), "maintenance", until=harness.now() + 60)
    await other.pause(pause)
    await other.close()
    assert await queue.paused() == pause
    harness.advance(60)
    assert await queue.paused() is None
    forever = Pause(PauseReason.OPERATOR, harness.now(), "until further notice")
    await queue.pause(forever)
    assert await queue.paused() == forever
    await queue.pause(None)
    assert await queue.paused() is None


async def test_many_are_postponed_in_one_step_for_a_length_or_to_an_instant(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    await queue.add(ids("a", "b", "c", "d"))
    lease = await claim_one(other)
    asked = [SessionId(name) for name in "abcx"]
    in_flight = {SessionId("a"): PostponeResult.IN_FLIGHT, SessionId("x"): PostponeResult.UNKNOWN}
    done = dict.fromkeys((SessionId("b"), SessionId("c")), PostponeResult.DONE)
    assert await queue.postpone(asked, after_s=30.0, by="ops", reason="in use") == in_flight | done
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["d"]
    for name in "bc":
        item = await queue.show(SessionId(name))
        assert item is not None
        assert (item.due_at, item.by, item.reason) == (harness.now() + 30.0, "ops", "postponed: in use")
    at = harness.now() + 10.0
    assert await queue.postpone(asked[1:3], at=at, by="me") == done
    item = await queue.show(B)
    assert item is not None
    assert (item.due_at, item.by, item.reason) == (at, "me", "postponed")
    harness.advance(10.0)
    assert sorted(names(await queue.claim(5, lease_s=LEASE_S))) == ["b", "c"]
    assert await ended(other, lease, STOPPED, sent())
    assert (await queue.audit()).balanced


async def test_a_postponement_keeps_why_reaper_opened_an_id_again_and_replaces_an_operators_word(queue: Queue) -> None:
    """By its own reason reaper knows a ghost: re-opened once, it is not re-opened again."""
    await queue.add(ids("a", "b"))
    await end_one(queue, Outcome.ALREADY_GONE, 404)
    await end_one(queue, Outcome.REJECTED, 400)
    await queue.reopen([A], reason="alive", by="reaper", only=frozenset({Outcome.ALREADY_GONE}))
    await queue.reopen([B], reason="fixed", by="ops")
    for _ in range(2):
        await queue.postpone([A, B], after_s=5.0, by="reaper", reason="wait")
    kept = [item and (item.by, item.reason, item.round) for item in (await queue.show(A), await queue.show(B))]
    assert kept == [("reaper", "alive", 2), ("reaper", "postponed: wait", 2)]
    await queue.postpone([A, B], by="me")
    item = await queue.show(B)
    assert item is not None
    assert (item.by, item.reason) == ("me", "postponed")

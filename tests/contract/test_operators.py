"""What operators do: cancel, postpone, re-open, purge, pause."""

import pytest

from reaper.core.model import Outcome, Pause, PauseReason, Release, Retry, Send, SessionId, Settle, State
from reaper.queues.base import Queue
from reaper.queues.values import CancelResult, PostponeResult
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


async def test_cancelling_a_waiting_id_settles_it(harness: Harness, queue: Queue) -> None:
    await queue.add(due(a=harness.now() + 60))
    assert await cancel_one(queue, A, reason="kept for a demo", by="ops") is CancelResult.DONE
    item = await queue.show(A)
    assert item is not None
    assert (item.outcome, item.by, item.reason, item.settled_at) == (
        Outcome.CANCELLED,
        "ops",
        "kept for a demo",
        harness.now(),
    )
    assert await cancel_one(queue, A, reason="twice", by="ops") is CancelResult.SETTLED
    assert await cancel_one(queue, B, reason="who", by="ops") is CancelResult.UNKNOWN
    assert (await queue.audit()).balanced


@pytest.mark.parametrize(
    ("decision", "send"),
    [
        (Retry(0.0), sent(502)),
        (Release(5.0), sent(429)),
        (Release(0.0), None),
        (Settle(Outcome.EXHAUSTED), sent(502)),
        (Settle(Outcome.PROTECTED), None),
    ],
)
async def test_cancelled_in_flight_an_id_ends_so_unless_the_answer_is_final(
    queue: Queue, other: Queue, decision: Retry | Release | Settle, send: Send | None
) -> None:
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    assert await cancel_one(other, A, reason="stop that", by="ops") is CancelResult.REQUESTED
    assert await ended(queue, lease, decision, send)
    item = await queue.show(A)
    assert item is not None
    assert (item.outcome, item.by, item.reason) == (Outcome.CANCELLED, "ops", "stop that")
    assert item.sends == (0 if send is None else 1)
    assert (await queue.audit()).balanced


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.STOPPED, 204), (Outcome.REJECTED, 400)])
async def test_a_final_answer_wins_over_a_cancellation(queue: Queue, outcome: Outcome, status: int) -> None:
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    await cancel_one(queue, A, reason="too late", by="ops")
    await ended(queue, lease, Settle(outcome), sent(status))
    item = await queue.show(A)
    assert item is not None
    assert (item.outcome, item.by, item.reason) == (outcome, None, None)
    assert (await queue.audit()).balanced


async def test_a_cancelled_id_is_never_claimed_again_when_its_lease_runs_out(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a", "b"))
    lease = await claim_one(queue)
    await cancel_one(queue, A, reason="no more", by="ops")
    harness.advance(LEASE_S)
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["b"]
    item = await queue.show(A)
    assert item is not None
    assert (item.outcome, item.reason) == (Outcome.CANCELLED, "no more")
    assert not await ended(queue, lease, STOPPED, sent())
    assert (await queue.audit()).balanced


@pytest.mark.parametrize("asks", ["cancel", "postpone"])
async def test_a_cancelled_id_whose_lease_ran_out_is_settled_at_the_next_call(
    harness: Harness, queue: Queue, other: Queue, asks: str
) -> None:
    await queue.add(ids("a"))
    await claim_one(queue)
    await cancel_one(other, A, reason="no more", by="ops")
    harness.advance(LEASE_S)
    if asks == "cancel":
        assert await cancel_one(other, A, reason="twice", by="me") is CancelResult.SETTLED
    else:
        assert await postpone_one(other, A, 30) is PostponeResult.SETTLED
    item = await queue.show(A)
    assert item is not None
    assert (item.outcome, item.by, item.reason) == (Outcome.CANCELLED, "ops", "no more")
    assert (await queue.audit()).balanced


@pytest.mark.parametrize("dies", [True, False])
async def test_tending_settles_the_cancelled_whose_lease_is_over(
    harness: Harness, queue: Queue, other: Queue, dies: bool
) -> None:
    await queue.add(ids("a"))
    await claim_one(other)
    await cancel_one(queue, A, reason="no more", by="ops")
    seen = dies and "death" not in harness.cannot
    if dies:
        await harness.die(other)
    if not seen:
        harness.advance(LEASE_S)
    assert await queue.maintain(1e9) == (1 if seen else 0)
    item = await queue.show(A)
    assert item is not None
    assert (item.outcome, item.by) == (Outcome.CANCELLED, "ops")
    assert (await queue.audit()).balanced


async def test_a_new_round_knows_no_old_cancellation(queue: Queue) -> None:
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    await cancel_one(queue, A, reason="no more", by="ops")
    await ended(queue, lease, Settle(Outcome.FORBIDDEN), sent(403))
    assert await queue.reopen([A], reason="rights fixed", by="ops") == 1
    await ended(queue, await claim_one(queue), Retry(0.0), sent(502))
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]


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


async def test_many_are_cancelled_in_one_step_and_each_gets_its_own_result(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    await queue.add(ids("a", "held", "over", "done"))
    await stop_one(queue)
    held = [await claim_one(other) for _ in range(2)]
    assert names(held) == ["held", "over"]
    await cancel_one(queue, SessionId("over"), reason="before", by="me")
    harness.advance(LEASE_S)
    await queue.add(ids("b", "c"))
    (again,) = await queue.claim(1, lease_s=LEASE_S)
    asked = [SessionId(name) for name in ("b", "nobody", "a", again.session_id, "over", "done", "c", "b")]
    waiting = {"b", "c", "done", "held"} - {again.session_id}
    results = await queue.cancel(asked, reason="no more", by="ops")
    assert {name: result.value for name, result in results.items()} == {
        "nobody": "unknown", "a": "settled", "over": "settled", again.session_id: "requested",
        **{name: "done" for name in waiting if name != "held"},
    }  # fmt: skip
    rows = {
        item.session_id: (item.by, item.reason) async for item in queue.outcomes(only=frozenset({Outcome.CANCELLED}))
    }
    assert rows.pop(SessionId("over")) == ("me", "before")
    assert set(rows.values()) == {("ops", "no more")}
    assert not await ended(other, held[1], STOPPED, sent())
    assert (await queue.audit()).balanced


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

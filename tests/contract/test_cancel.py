"""Cancelling: of what waits, of what is in flight, of many at once."""

import pytest

from reaper.core.model import Outcome, Release, Retry, Send, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.values import CancelResult, PostponeResult
from tests.support.queues.harness import (
    LEASE_S,
    STOPPED,
    Harness,
    cancel_one,
    claim_one,
    due,
    ended,
    ids,
    names,
    postpone_one,
    sent,
    stop_one,
)

pytestmark = pytest.mark.anyio

A, B = SessionId("a"), SessionId("b")


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

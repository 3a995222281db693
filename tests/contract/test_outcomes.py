"""Promise 5 and what is recorded: decisions, sends, outcomes."""

import anyio
import pytest

from reaper.core.model import (
    MAX_HISTORY,
    Decision,
    Lease,
    LeaseResult,
    Outcome,
    Release,
    Retry,
    Send,
    SessionId,
    Settle,
    State,
)
from reaper.queues.base import MAX_RESULTS, Queue
from tests.support.queues.harness import (
    GONE,
    LEASE_S,
    STOPPED,
    Harness,
    claim_one,
    end_one,
    ended,
    fail_one,
    ids,
    sent,
    stop_one,
)

pytestmark = pytest.mark.anyio

A = SessionId("a")


async def test_a_round_has_one_outcome_with_all_that_belongs_to_it(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    harness.advance(2)
    send = Send(harness.now() - 1, 0.5, status=404, request_id="req-7")
    assert await ended(queue, lease, Settle(Outcome.ALREADY_GONE, "after_ambiguous"), send)
    item = await queue.show(A)
    assert item is not None
    assert (item.state, item.outcome, item.status) == (State.SETTLED, Outcome.ALREADY_GONE, 404)
    assert (item.detail, item.settled_at) == ("after_ambiguous", harness.now())
    assert (item.attempts, item.sends, item.unanswered, item.history) == (1, 1, 0, (send,))
    assert not await ended(queue, lease, Settle(Outcome.STOPPED), sent())
    stats = await queue.stats()
    assert (stats.settled[Outcome.ALREADY_GONE], stats.settled[Outcome.STOPPED], stats.in_flight) == (1, 0, 0)
    assert (await queue.audit()).balanced


async def test_a_retry_is_charged_and_a_release_is_not(queue: Queue) -> None:
    await queue.add(ids("a"))
    await ended(queue, await claim_one(queue), Retry(0.0), sent(502))
    await ended(queue, await claim_one(queue), Release(0.0), sent(429))
    lease = await claim_one(queue)
    assert (lease.attempts, lease.sends, lease.unanswered) == (1, 3, 0)
    await ended(queue, lease, Settle(Outcome.EXHAUSTED, charged=False), sent(401))
    item = await queue.show(A)
    assert item is not None
    assert (item.attempts, item.sends) == (1, 3)


async def test_ambiguous_once_is_ambiguous_for_the_round(queue: Queue) -> None:
    await queue.add(ids("a"))
    await ended(queue, await claim_one(queue), Release(0.0, ambiguous=True), sent(None, "timeout"))
    lease = await claim_one(queue)
    assert lease.ambiguous
    await ended(queue, lease, Retry(0.0), sent(502))
    lease = await claim_one(queue)
    assert lease.ambiguous
    await ended(queue, lease, Settle(Outcome.ALREADY_GONE), sent(GONE))
    await queue.add(ids("a"), again=True)
    assert not (await claim_one(queue)).ambiguous


async def test_the_last_20_sends_are_kept_and_all_are_counted(queue: Queue) -> None:
    await queue.add(ids("a"))
    sends = [Send(float(number), 0.125, error="reset") for number in range(MAX_HISTORY + 3)]
    for send in sends:
        await ended(queue, await claim_one(queue), Retry(0.0), send)
    item = await queue.show(A)
    assert item is not None
    assert item.history == tuple(sends[3:])
    assert (item.sends, item.attempts, item.unanswered) == (MAX_HISTORY + 3, MAX_HISTORY + 3, 0)


async def test_an_unknown_id_shows_nothing(queue: Queue) -> None:
    assert await queue.show(A) is None


async def test_states_follow_the_clock(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    seen = []
    for seconds in (0.0, LEASE_S):
        harness.advance(seconds)
        item = await queue.show(A)
        assert item is not None
        seen.append(item.state)
        await fail_one(queue, after_s=LEASE_S)
        item = await queue.show(A)
        assert item is not None
        seen.append(item.state)
    assert seen == [State.READY, State.RETRYING, State.READY, State.RETRYING]


async def test_outcomes_come_oldest_settled_first(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a", "b", "c", "d"))
    start = harness.now()
    for outcome, status in (
        (Outcome.FORBIDDEN, 403),
        (Outcome.STOPPED, 204),
        (Outcome.EXHAUSTED, 502),
        (Outcome.ALREADY_GONE, 410),
    ):
        await end_one(queue, outcome, status)
        harness.advance(1)
    assert [i.session_id async for i in queue.outcomes()] == ["a", "b", "c", "d"]
    assert [i.session_id async for i in queue.outcomes(since=start + 2)] == ["c", "d"]
    only = frozenset({Outcome.FORBIDDEN, Outcome.ALREADY_GONE})
    assert [i.session_id async for i in queue.outcomes(only=only)] == ["a", "d"]
    assert [i.session_id async for i in queue.outcomes(since=start + 1, only=only)] == ["d"]
    assert [i async for i in queue.outcomes(only=frozenset())] == []


async def test_outcomes_of_one_instant_are_complete_over_several_pages(queue: Queue) -> None:
    every = [f"s{number:04}" for number in range(1_203)]
    await queue.add(ids(*every))
    for number, lease in enumerate(await queue.claim(2_000, lease_s=LEASE_S)):
        dead = number % 3 == 0
        await ended(queue, lease, Settle(Outcome.FORBIDDEN if dead else Outcome.STOPPED), sent(403 if dead else 204))
    assert [item.session_id async for item in queue.outcomes()] == every


async def test_open_ids_have_no_outcome(queue: Queue) -> None:
    await queue.add(ids("a", "b"))
    await stop_one(queue)
    await fail_one(queue)
    assert [item.session_id async for item in queue.outcomes()] == ["a"]


async def test_a_lease_that_is_ended_twice_at_once_counts_once(queue: Queue) -> None:
    """Also where what comes together is written together."""
    await queue.add(ids(*"abcdef"))
    leases = await queue.claim(6, lease_s=LEASE_S)
    results: list[bool] = []

    async def end(lease: Lease) -> None:
        results.append(await ended(queue, lease, STOPPED, sent()))

    async with anyio.create_task_group() as group:
        for lease in (*leases, leases[0]):
            group.start_soon(end, lease)
    assert sorted(results) == [False, *[True] * 6]
    audit = await queue.audit()
    assert audit.balanced


async def test_what_waits_for_another_try_is_listed_the_latest_due_first(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("flying", "long", "soon", "stopped", "twice"))
    flying = await claim_one(queue)
    for after_s in (600.0, 20.0):
        await fail_one(queue, after_s)
    await stop_one(queue)
    await fail_one(queue)
    await fail_one(queue, 60.0)
    await queue.add(ids("new"))
    assert flying.session_id == "flying"
    waiting = await queue.retrying(10)
    assert [(item.session_id, item.sends) for item in waiting] == [("long", 1), ("twice", 2), ("soon", 1)]
    assert waiting == [await queue.show(item.session_id) for item in waiting]
    assert [item.session_id for item in await queue.retrying(1)] == ["long"]
    assert await queue.retrying(0) == []
    harness.advance(30.0)
    states = {str(item.session_id): item.state for item in await queue.retrying(10)}
    assert states == {"long": State.RETRYING, "twice": State.RETRYING, "soon": State.READY}


async def test_the_outcomes_of_many_are_returned_at_once(queue: Queue) -> None:
    await queue.add(ids("a", "b", "c"))
    await stop_one(queue)
    await claim_one(queue)
    asked = [SessionId(name) for name in ("c", "unknown", "a", "b")]
    assert await queue.outcomes_of(asked) == {A: Outcome.STOPPED, "b": None, "c": None}
    assert await queue.outcomes_of([]) == {}
    many = [SessionId(f"s{number}") for number in range(2_500)]
    await queue.add(ids(*many[:2_000]))
    assert await queue.outcomes_of(many) == dict.fromkeys(many[:2_000])


async def test_outcomes_come_in_the_order_of_their_settling_and_not_of_their_intake(
    harness: Harness, queue: Queue
) -> None:
    await queue.add(ids("a", "b", "c"))
    for lease in reversed(await queue.claim(3, lease_s=LEASE_S)):
        harness.advance(1)
        assert await ended(queue, lease, STOPPED, sent())
    assert [item.session_id async for item in queue.outcomes()] == ["c", "b", "a"]


async def test_ends_of_one_apply_are_each_judged_by_their_receipt(queue: Queue) -> None:
    await queue.add(ids("a", "b", "c", "d"))
    leases = {lease.session_id: lease for lease in await queue.claim(4, lease_s=LEASE_S)}
    assert await ended(queue, leases[SessionId("b")], Release(0.0), None)
    kinds: dict[str, tuple[Decision, Send | None]] = {
        "a": (STOPPED, sent()),
        "b": (STOPPED, sent()),
        "c": (Retry(60.0), sent(502)),
        "d": (Settle(Outcome.REJECTED, "code: nope"), sent(400)),
    }
    ends = [LeaseResult(leases[SessionId(name)], *kind) for name, kind in kinds.items()]
    assert await queue.apply(ends) == [True, False, True, True]
    assert await queue.apply(ends) == [False] * 4
    settled = (await queue.stats()).settled
    assert {outcome: count for outcome, count in settled.items() if count} == {
        Outcome.STOPPED: 1,
        Outcome.REJECTED: 1,
    }
    assert [lease.session_id for lease in await queue.claim(4, lease_s=LEASE_S)] == ["b"]
    assert (await queue.audit()).balanced


async def test_as_many_ends_as_are_allowed_and_none_at_all(queue: Queue) -> None:
    assert await queue.apply([]) == []
    await queue.add(ids(*(f"s{number}" for number in range(MAX_RESULTS))))
    leases = await queue.claim(MAX_RESULTS, lease_s=LEASE_S)
    assert await queue.apply([LeaseResult(lease, STOPPED, sent()) for lease in leases]) == [True] * MAX_RESULTS
    assert (await queue.stats()).settled[Outcome.STOPPED] == MAX_RESULTS
    assert (await queue.audit()).balanced

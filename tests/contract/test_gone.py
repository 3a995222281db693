"""What was booked as gone, compared with the API's list: the same over every engine, and for several reapers."""

from __future__ import annotations

import pytest

from reaper.core.decide import RetryPolicy
from reaper.core.discovery.ghosts import KEY as GHOSTS
from reaper.core.discovery.ghosts import read_ghosts
from reaper.core.model import LeaseResult, Outcome, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.values import CancelResult
from reaper.worker.comparison import ASKED_S, BY, REASON, UNPROVEN_REASON, Comparison, has_unproven
from tests.support.queues.harness import LEASE_S, Harness, cancel_one, claim_one, end_one, ended, ids, sent
from tests.support.worker import Noted

pytestmark = pytest.mark.anyio
RETRY = RetryPolicy(16, 1.0, 600.0)


def comparison(queue: Queue, journal: Noted) -> Comparison:
    return Comparison(queue, journal, queue.now, queue.now, lambda: 0.5)


async def gone(queue: Queue, *names: str) -> None:
    await queue.add(ids(*names))
    for _ in names:
        await end_one(queue, Outcome.ALREADY_GONE, 404)


async def test_the_listed_are_reopened_once_by_whichever_reaper(harness: Harness, queue: Queue, other: Queue) -> None:
    mine, theirs = Noted(), Noted()
    first, second = comparison(queue, mine), comparison(other, theirs)
    for one in (first, second):
        await one.compare(frozenset(), queue.now(), RETRY, owed=False)
    assert not await has_unproven(queue)
    harness.advance(1)
    await gone(queue, "a", "b", "c")
    harness.advance(1)
    assert await has_unproven(other)
    found = await second.compare(frozenset({"a", "x"}), other.now(), RETRY, owed=False)
    assert (list(found.alive), found.detail, theirs.queue) == ([SessionId("a")], None, ["reopened: a"])
    assert (await first.compare(frozenset({"a"}), queue.now(), RETRY, owed=True)).alive == []
    item = await queue.show(SessionId("a"))
    assert item is not None
    assert (item.round, item.by, item.reason, item.outcome) == (2, BY, REASON, None)
    harness.advance(10)
    await ended(queue, await claim_one(queue), Settle(Outcome.ALREADY_GONE), sent(404))
    harness.advance(1)
    assert (await first.compare(frozenset({"a"}), queue.now(), RETRY, owed=True)).alive == []
    assert mine.queue == ["ghost: a"]
    assert read_ghosts(await other.read_value(GHOSTS)).proven == {"a"}
    await first.compare(frozenset(), queue.now(), RETRY, owed=True)
    assert read_ghosts(await other.read_value(GHOSTS)).proven == frozenset()
    await first.save()
    assert not await has_unproven(other)
    assert (await queue.audit()).balanced


@pytest.mark.parametrize("when", ["in flight", "after the 404"])
@pytest.mark.parametrize("count", [1, 12])
async def test_what_a_person_cancelled_is_not_sent_again_when_the_list_shows_it_alive(
    harness: Harness, queue: Queue, other: Queue, when: str, count: int
) -> None:
    one = comparison(queue, Noted())
    await one.compare(frozenset(), queue.now(), RETRY, owed=False)
    alive = ids(*(f"s{number}" for number in range(count)))
    names = [item.session_id for item in alive.items]
    asked, (left_alone, confirmed) = names[0], ids("x", "y").items
    await queue.add(ids(*names, "x", "y"))
    leases = await queue.claim(count + 2, lease_s=LEASE_S)
    if when == "in flight":
        assert await cancel_one(other, asked, reason="a demo", by="anna") is CancelResult.REQUESTED
    await queue.apply([LeaseResult(lease, Settle(Outcome.ALREADY_GONE), sent(404)) for lease in leases])
    if when == "after the 404":
        assert await cancel_one(other, asked, reason="a demo", by="anna") is CancelResult.SETTLED
    await cancel_one(other, confirmed.session_id, reason="a demo", by="anna")
    item = await queue.show(asked)
    assert item is not None
    assert (item.outcome, item.by, item.reason, item.status) == (Outcome.ALREADY_GONE, None, None, 404)
    harness.advance(1)
    found = await one.compare(frozenset({*names, "x"}), queue.now(), RETRY, owed=True)
    assert sorted(found.alive) == sorted([*names, left_alone.session_id])
    item = await queue.show(asked)
    assert item is not None
    assert (item.outcome, item.by, item.reason, item.round, item.sends) == (
        *(Outcome.CANCELLED, "anna", "a demo"),
        *(2, 0),
    )
    assert item.settled_at == queue.now()
    audit = await queue.audit()
    assert audit.balanced
    assert audit.stats.settled[Outcome.CANCELLED] == 1
    harness.advance(60)
    again = await queue.claim(count + 2, lease_s=LEASE_S)
    assert {lease.session_id for lease in again} == {*names, left_alone.session_id} - {asked}


async def test_a_cancellation_ends_with_the_round_that_a_person_begins(harness: Harness, queue: Queue) -> None:
    one = comparison(queue, Noted())
    await one.compare(frozenset(), queue.now(), RETRY, owed=False)
    await gone(queue, "a")
    await cancel_one(queue, SessionId("a"), reason="a demo", by="anna")
    await queue.add(ids("a"), again=True, by="ben")
    await end_one(queue, Outcome.ALREADY_GONE, 404)
    harness.advance(1)
    assert (await one.compare(frozenset({"a"}), queue.now(), RETRY, owed=True)).alive == [SessionId("a")]
    item = await queue.show(SessionId("a"))
    assert item is not None
    assert (item.outcome, item.by, item.reason) == (None, BY, REASON)


async def test_a_listed_one_stays_known_as_such_when_it_is_reopened_without_a_list(
    harness: Harness, queue: Queue
) -> None:
    """Else it would be re-opened for ever, and never named as a ghost."""
    one = comparison(queue, Noted())
    await one.compare(frozenset(), queue.now(), RETRY, owed=False)
    await gone(queue, "a", "b")
    harness.advance(1)
    assert (await one.compare(frozenset({"a"}), queue.now(), RETRY, owed=True)).alive == [SessionId("a")]
    harness.advance(60)
    await end_one(queue, Outcome.ALREADY_GONE, 404)
    await gone(queue, "c")
    harness.advance(1)
    await one.reopen_unproven()
    reasons = {}
    for name in "abc":
        item = await queue.show(SessionId(name))
        assert item is not None
        reasons[name] = item.outcome, item.reason
    assert reasons == {
        "a": (None, REASON),
        "b": (Outcome.ALREADY_GONE, None),
        "c": (None, UNPROVEN_REASON),
    }


async def test_a_list_is_needed_while_it_could_change_anything(harness: Harness, queue: Queue) -> None:
    one = comparison(queue, Noted())
    assert not await one.needs_list(queue.now())
    await one.compare(frozenset(), queue.now(), RETRY, owed=False)
    harness.advance(1)
    await queue.add(ids("s"))
    await end_one(queue, Outcome.STOPPED, 204)
    harness.advance(1)
    assert not await one.needs_list(queue.now()), "what was stopped needs no list"
    await gone(queue, "a")
    harness.advance(1)
    assert await one.needs_list(queue.now())
    await one.compare(frozenset({"a"}), queue.now(), RETRY, owed=True)
    assert not await one.needs_list(queue.now()), "it was compared"
    harness.advance(10)
    await ended(queue, await claim_one(queue), Settle(Outcome.ALREADY_GONE), sent(404))
    harness.advance(1)
    await one.compare(frozenset({"a"}), queue.now(), RETRY, owed=True)
    assert await one.needs_list(queue.now()), "a ghost stays one for as long as it is listed"


async def test_of_a_long_time_the_ledger_is_not_asked(harness: Harness, queue: Queue) -> None:
    one = comparison(queue, Noted())
    await one.compare(frozenset(), queue.now(), RETRY, owed=False)
    harness.advance(ASKED_S - 1)
    assert not await one.needs_list(queue.now())
    harness.advance(2)
    assert await one.needs_list(queue.now())


@pytest.mark.parametrize(("alive", "names", "pauses"), [(1, 1, True), (2, 2, True), (2, 3, False), (3, 9, True)])
async def test_three_or_all_are_a_reason_to_pause(
    harness: Harness, queue: Queue, alive: int, names: int, pauses: bool
) -> None:
    one = comparison(queue, Noted())
    await one.compare(frozenset(), queue.now(), RETRY, owed=False)
    harness.advance(1)
    every = [f"s{number}" for number in range(names)]
    await gone(queue, *every)
    harness.advance(1)
    found = await one.compare(frozenset(every[:alive]), queue.now(), RETRY, owed=True)
    assert len(found.alive) == alive
    assert (found.detail is not None) == pauses


async def test_what_may_have_been_stopped_and_what_came_later_is_left(harness: Harness, queue: Queue) -> None:
    one = comparison(queue, Noted())
    await one.compare(frozenset(), queue.now(), RETRY, owed=False)
    harness.advance(1)
    await queue.add(ids("a"))
    await ended(queue, await claim_one(queue), Settle(Outcome.ALREADY_GONE, "after_ambiguous"), sent(404))
    harness.advance(1)
    began = queue.now()
    harness.advance(1)
    await gone(queue, "b")
    assert (await one.compare(frozenset({"a", "b"}), began, RETRY, owed=True)).alive == []
    harness.advance(1)
    assert list((await one.compare(frozenset({"a", "b"}), queue.now(), RETRY, owed=True)).alive) == ["b"]


async def test_an_end_without_a_read_reopens_what_was_not_compared(harness: Harness, queue: Queue) -> None:
    one = comparison(queue, Noted())
    await gone(queue, "old")
    harness.advance(1)
    await one.compare(frozenset(), queue.now(), RETRY, owed=True)
    harness.advance(1)
    await gone(queue, "a", "b")
    await one.reopen_unproven()
    assert await queue.outcomes_of([SessionId("old"), SessionId("a"), SessionId("b")]) == {
        "old": Outcome.ALREADY_GONE, "a": None, "b": None,
    }  # fmt: skip


async def test_a_time_kept_by_a_clock_that_was_ahead_hides_nothing(
    harness: Harness, queue: Queue, other: Queue
) -> None:
    """The clock is set right, and a reaper dies before it compares what it booked since."""
    dead = comparison(queue, Noted())
    await dead.compare(frozenset(), queue.now(), RETRY, owed=False)
    harness.jump(-5000.0)
    await gone(queue, "a")
    harness.advance(1)
    assert await has_unproven(other)
    next_one = comparison(other, Noted())
    assert (await next_one.compare(frozenset({"a"}), other.now(), RETRY, owed=True)).alive == [SessionId("a")]
    assert not await has_unproven(other)


@pytest.mark.parametrize("jump_s", [5000.0, -5000.0])
async def test_a_clock_that_was_set_hides_nothing(harness: Harness, queue: Queue, jump_s: float) -> None:
    """The clock is set between the booking and the next list: be it read by this process or by the next one."""
    steady = 0.0

    def pass_second() -> None:
        nonlocal steady
        steady += 1.0
        harness.advance(1)

    one = Comparison(queue, Noted(), queue.now, lambda: steady, lambda: 0.5)
    await one.compare(frozenset(), steady, RETRY, owed=False)
    pass_second()
    await one.compare(frozenset(), steady, RETRY, owed=True)
    pass_second()
    await gone(queue, "a")
    harness.jump(jump_s)
    pass_second()
    await one.save()
    assert await has_unproven(queue), "killed now, it would leave one"
    assert list((await one.compare(frozenset({"a"}), steady, RETRY, owed=True)).alive) == ["a"]

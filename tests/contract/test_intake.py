"""Promises 1 and 2: what was added is there, once."""

from dataclasses import replace

import pytest

from reaper.core.model import Outcome, SessionId, State
from reaper.core.times import LAST_INSTANT
from reaper.queues.base import Queue
from reaper.queues.values import Batch, InvalidLine, KeptInvalidLine, NewItem, Position, PostponeResult
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


async def test_added_ids_can_be_claimed_in_the_order_they_came(queue: Queue) -> None:
    added = await queue.add(ids("c", "a", "b"))
    assert (added.accepted, added.duplicate, added.invalid) == (3, 0, 0)
    assert names(await queue.claim(5, lease_s=60)) == ["c", "a", "b"]


async def test_what_was_added_survives_its_process(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a", "b"))
    await stop_one(queue)
    await harness.die(queue)
    reopened = await harness.open()
    item = await reopened.show(A)
    assert item is not None
    assert item.outcome is Outcome.STOPPED
    assert names(await reopened.claim(5, lease_s=60)) == ["b"]


async def test_an_id_is_accepted_once_whatever_its_state(queue: Queue) -> None:
    await queue.add(ids("a", "b", "c"))
    await stop_one(queue)
    await claim_one(queue)
    added = await queue.add(ids("a", "b", "c", "d"))
    assert (added.accepted, added.duplicate) == (1, 3)
    assert added.duplicates == ("a", "b", "c")


async def test_a_repetition_within_a_batch_is_a_duplicate(queue: Queue) -> None:
    added = await queue.add(ids("a", "b", "a"))
    assert (added.accepted, added.duplicate, added.duplicates) == (2, 1, ("a",))


async def test_at_most_100_duplicates_are_named(queue: Queue) -> None:
    many = [f"s{number}" for number in range(150)]
    await queue.add(ids(*many))
    added = await queue.add(ids(*many))
    assert added.duplicate == 150
    assert list(added.duplicates) == many[:100]


async def test_a_duplicate_changes_nothing(harness: Harness, queue: Queue) -> None:
    await queue.add(due(a=harness.now() + 50))
    before = await queue.show(A)
    await queue.add(Batch("elsewhere", due(a=harness.now()).items))
    assert await queue.show(A) == before


async def test_again_starts_a_new_round_of_a_settled_id(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("a"))
    await fail_one(queue)
    await end_one(queue, Outcome.FORBIDDEN, 403)
    added = await queue.add(due(a=harness.now() + 5), again=True, by="ops")
    assert (added.accepted, added.duplicate) == (1, 0)
    item = await queue.show(A)
    assert item is not None
    assert (item.state, item.round, item.outcome, item.by) == (State.SCHEDULED, 2, None, "ops")
    assert (item.attempts, item.sends, item.history, item.status, item.settled_at) == (0, 0, (), None, None)
    harness.advance(5)
    lease = await claim_one(queue)
    assert (lease.round, lease.attempts, lease.sends, lease.unanswered) == (2, 0, 1, 0)
    assert (await queue.audit()).balanced


async def test_again_leaves_an_open_id_alone(queue: Queue) -> None:
    await queue.add(ids("a"))
    added = await queue.add(ids("a", "b"), again=True, by="ops")
    assert (added.accepted, added.duplicate, added.duplicates) == (1, 1, ("a",))


async def test_again_in_a_batch_with_a_repetition_opens_one_round(queue: Queue) -> None:
    await queue.add(ids("a"))
    await stop_one(queue)
    added = await queue.add(ids("a", "a"), again=True)
    assert (added.accepted, added.duplicate, added.duplicates) == (1, 1, ("a",))
    assert (await queue.audit()).balanced


async def test_the_default_delay_is_for_ids_without_a_time(harness: Harness, queue: Queue) -> None:
    batch = Batch("test", [*ids("a").items, *due(b=harness.now()).items])
    await queue.add(batch, default_after_s=30)
    assert names(await queue.claim(5, lease_s=600)) == ["b"]
    harness.advance(30)
    assert names(await queue.claim(5, lease_s=600)) == ["a"]


async def test_a_time_beyond_the_calendar_is_kept_and_can_be_read(harness: Harness, queue: Queue) -> None:
    await queue.add(due(far=LAST_INSTANT + 43_200))
    await queue.add(ids("a"))
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["a"]
    item = await queue.show(SessionId("far"))
    assert item is not None
    assert item.due_at == LAST_INSTANT
    assert (await queue.stats()).delayed == 1
    assert (await queue.audit()).balanced
    assert await postpone_one(queue, SessionId("far"), 0) is PostponeResult.DONE
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["far"]


async def test_invalid_lines_and_duplicates_are_counted_beside(queue: Queue) -> None:
    await queue.add(ids("a"))
    lines = [InvalidLine(3, "not an ID", "?"), InvalidLine(9, "too long", "x")]
    added = await queue.add(replace(ids("a"), source="file", invalid=lines))
    assert (added.accepted, added.duplicate, added.invalid) == (0, 1, 2)
    stats = await queue.stats()
    assert (stats.accepted, stats.duplicate, stats.invalid) == (1, 1, 2)
    assert (await queue.audit()).balanced


async def test_invalid_lines_are_kept_in_the_order_they_came(harness: Harness, queue: Queue, other: Queue) -> None:
    assert await queue.invalid_lines() == []
    first = [InvalidLine(3, "not an ID", "?"), InvalidLine(9, "too long", "x")]
    await queue.add(Batch("/in/a", invalid=first))
    harness.advance(5.0)
    await other.add(Batch("/in/b", invalid=[InvalidLine(1, "not an ID", "\\xff")]))
    now = harness.now()
    assert await queue.invalid_lines() == [
        KeptInvalidLine("/in/a", 3, "not an ID", "?", now - 5.0),
        KeptInvalidLine("/in/a", 9, "too long", "x", now - 5.0),
        KeptInvalidLine("/in/b", 1, "not an ID", "\\xff", now),
    ]


async def test_a_position_comes_with_its_batch_and_replaces_the_last(harness: Harness, queue: Queue) -> None:
    first = Position("/in/x", 7, 11, 64, "aa", 100, 4)
    await queue.add(replace(ids("a"), position=first))
    await queue.add(replace(ids("b"), position=replace(first, offset=200, line=8)))
    await queue.add(Batch("y", position=replace(first, path="/in/y")))
    assert await (await harness.open()).positions() == [
        replace(first, offset=200, line=8),
        replace(first, path="/in/y"),
    ]


async def test_a_batch_of_nothing_counts_for_nothing(queue: Queue) -> None:
    added = await queue.add(Batch("test", []))
    assert (added.accepted, added.duplicate, added.invalid) == (0, 0, 0)
    assert (await queue.stats()).accepted == 0
    assert (await queue.audit()).balanced


async def test_what_waits_already_may_get_the_new_time(harness: Harness, queue: Queue, other: Queue) -> None:
    await queue.add(ids("flying", "gone"))
    await ended(queue, await claim_one(queue), STOPPED, sent())
    await claim_one(queue)
    await queue.add(Batch("first", [NewItem(SessionId("waits")), NewItem(SessionId("named"), harness.now() + 5)]))
    named = NewItem(SessionId("named"), harness.now() + 300)
    batch = Batch("second", [*ids("waits", "new", "flying", "gone", "waits", "new").items, named])
    added = await other.add(batch, or_postpone=True, by="alice", default_after_s=60)
    assert (added.accepted, added.postponed, added.duplicate) == (1, 2, 4)
    assert sorted(added.duplicates) == sorted(["flying", "gone", "waits", "new"])
    for name, after_s in (("waits", 60), ("new", 60), ("named", 300)):
        item = await queue.show(SessionId(name))
        assert item is not None
        assert item.due_at == pytest.approx(harness.now() + after_s, abs=1), name
    waits = await queue.show(SessionId("waits"))
    assert waits is not None
    assert (waits.source, waits.by, waits.reason) == ("first", "alice", "postponed")
    assert await queue.claim(5, lease_s=LEASE_S) == []
    assert (await queue.stats()).duplicate == 6, "the ledger counts a postponed line as one that it knew"
    assert (await queue.audit()).balanced


async def test_a_batch_may_postpone_what_waits_and_re_open_what_is_settled(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("gone"))
    await ended(queue, await claim_one(queue), STOPPED, sent())
    await queue.add(ids("waits"))
    added = await queue.add(ids("gone", "waits"), again=True, or_postpone=True, by="alice", default_after_s=60)
    assert (added.accepted, added.postponed, added.duplicate) == (1, 1, 0)
    harness.advance(59)
    assert await queue.claim(5, lease_s=LEASE_S) == []
    harness.advance(2)
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["gone", "waits"]
    assert (await queue.audit()).balanced


async def test_only_those_that_ended_so_are_reopened(queue: Queue) -> None:
    await queue.add(ids("a", "b", "c"))
    await end_one(queue, Outcome.PROTECTED)
    await end_one(queue, Outcome.STOPPED, 204)
    added = await queue.add(ids("a", "b", "c", "d"), again=frozenset({Outcome.PROTECTED}))
    assert (added.accepted, added.duplicate, sorted(added.duplicates)) == (2, 2, ["b", "c"])
    outcomes = await queue.outcomes_of([SessionId(name) for name in "abcd"])
    assert outcomes == {"a": None, "b": Outcome.STOPPED, "c": None, "d": None}
    item = await queue.show(SessionId("a"))
    assert item is not None
    assert item.round == 2
    assert (await queue.audit()).balanced

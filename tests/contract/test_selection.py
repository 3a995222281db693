"""Selections: the rows that an operator means, in order, a page at a time, and how many they are."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from reaper.core.model import DEAD, Item, Outcome, SessionId, State
from reaper.core.times import LAST_INSTANT
from reaper.queues.base import Queue
from reaper.queues.selection import OPEN_STATES, PAGE_ROWS, ReadLimitError, Selection
from reaper.queues.values import Batch, NewItem
from tests.support.queues.harness import LEASE_S, STOPPED, Harness, claim_one, due, end_one, ended, fail_one, ids, sent

pytestmark = pytest.mark.anyio

DAY_S = 86_400.0
EVERY = Selection(OPEN_STATES, frozenset(Outcome))
SELECTIONS = [
    EVERY,
    Selection(),
    *(Selection(frozenset({state})) for state in sorted(OPEN_STATES)),
    Selection(frozenset({State.READY, State.RETRYING})),
    Selection(frozenset(), DEAD),
    Selection(frozenset(), frozenset({Outcome.EXHAUSTED, Outcome.STOPPED})),
    Selection(frozenset({State.IN_FLIGHT}), DEAD),
    Selection(frozenset({State.SETTLED})),
    Selection(frozenset()),
    Selection(OPEN_STATES, frozenset(Outcome), source=".ids"),
    Selection(OPEN_STATES, frozenset(Outcome), source="/srv/"),
    Selection(OPEN_STATES, frozenset(Outcome), source="forbidden"),
    Selection(source="%"),
    Selection(source="/SRV/"),
    Selection(due_within_s=0.0),
    Selection(due_within_s=30.0),
    Selection(OPEN_STATES, DEAD, due_within_s=4.0),
    Selection(frozenset({State.SCHEDULED}), due_within_s=2 * DAY_S),
    Selection(frozenset(), frozenset(Outcome), settled_since=1_000_001.0),
]


async def one_of_each(harness: Harness, queue: Queue) -> list[Item]:
    """Leave rows of every state and of some outcomes, from several sources; return all of them."""
    start = harness.now()
    for outcome, status in ((Outcome.FORBIDDEN, 403), (Outcome.STOPPED, 204), (Outcome.EXHAUSTED, 502)):
        await queue.add(Batch(f"/var/log/{outcome}.ids", [NewItem(SessionId(f"ended_{outcome}"))]))
        await end_one(queue, outcome, status)
        harness.advance(1.0)
    await queue.add(Batch("/srv/b.ids", [NewItem(SessionId("left"))]))
    await claim_one(queue)
    harness.advance(LEASE_S)  # now its lease is over
    await queue.add(Batch("add", [NewItem(SessionId(name)) for name in ("flying", "failed", "tried")]))
    await claim_one(queue)
    await fail_one(queue, after_s=40.0)
    await fail_one(queue, after_s=5.0)
    harness.advance(10.0)
    await queue.add(Batch("/srv/a.ids", [NewItem(SessionId("new")), NewItem(SessionId("old"), start - 50.0)]))
    await queue.add(due(soon=harness.now() + 5.0, late=harness.now() + DAY_S, never=LAST_INSTANT))
    names = [*(f"ended_{o}" for o in ("forbidden", "stopped", "exhausted")), "left", "flying", "failed", "tried", "new",
             "old", "soon", "late", "never"]  # fmt: skip
    found = [await queue.show(SessionId(name)) for name in names]
    return [item for item in found if item is not None]


async def test_a_selection_has_the_rows_that_fit_and_no_other(harness: Harness, queue: Queue) -> None:
    every = await one_of_each(harness, queue)
    for selection in SELECTIONS:
        expected = [item for item in every if selection.fits(item, harness.now())]
        found = [item async for item in queue.select(selection)]
        assert sorted(found, key=repr) == sorted(expected, key=repr), selection
        assert await queue.count(selection) == Counter(item.outcome or item.state for item in expected), selection


async def test_the_rows_come_in_flight_first_then_by_due_time_then_the_settled_ones(
    harness: Harness, queue: Queue
) -> None:
    await one_of_each(harness, queue)
    assert [(item.session_id, item.state) async for item in queue.select(EVERY)] == [
        ("flying", State.IN_FLIGHT),
        ("old", State.READY),
        ("left", State.READY),
        ("tried", State.READY),
        ("new", State.READY),
        ("soon", State.SCHEDULED),
        ("failed", State.RETRYING),
        ("late", State.SCHEDULED),
        ("never", State.SCHEDULED),
        ("ended_forbidden", State.SETTLED),
        ("ended_stopped", State.SETTLED),
        ("ended_exhausted", State.SETTLED),
    ]
    harness.advance(LEASE_S)
    assert [item.session_id async for item in queue.select(Selection(frozenset({State.READY})))] == [
        "old", "left", "tried", "new", "soon", "failed", "flying",
    ]  # fmt: skip


async def test_rows_of_one_instant_are_complete_over_several_pages(harness: Harness, queue: Queue) -> None:
    first = [f"s{number:04}" for number in range(2 * PAGE_ROWS)]
    await queue.add(ids(*first))
    leases = await queue.claim(PAGE_ROWS + 1, lease_s=LEASE_S)
    later = [f"d{number:04}" for number in range(PAGE_ROWS + 1)]
    await queue.add(due(**dict.fromkeys(later, harness.now() + 9.5)))
    found = [item.session_id async for item in queue.select(Selection())]
    assert found[: len(leases)] == [lease.session_id for lease in leases]
    assert found[len(leases) :] == [*first[len(leases) :], *later]
    assert await queue.count(Selection()) == {
        State.IN_FLIGHT: len(leases),
        State.READY: len(first) - len(leases),
        State.SCHEDULED: len(later),
    }


async def test_few_rows_of_one_source_are_found_among_many_of_another(harness: Harness, queue: Queue) -> None:
    for page in range(3):
        every = [NewItem(SessionId(f"s{page}_{number}"), harness.now() + 60.0) for number in range(PAGE_ROWS)]
        await queue.add(Batch("many", every))
        await queue.add(Batch("few", [NewItem(SessionId(f"few_{page}"), harness.now() + 60.0)]))
    few = Selection(source="few")
    assert [item.session_id async for item in queue.select(few)] == ["few_0", "few_1", "few_2"]
    assert await queue.count(few) == {State.SCHEDULED: 3}
    assert await queue.count(Selection(source="man")) == {State.SCHEDULED: 3 * PAGE_ROWS}


async def test_a_reading_ends_with_the_rows_that_it_may_look_at(harness: Harness, queue: Queue) -> None:
    """Rows that the source leaves out count, too: otherwise a rare one would be looked for in all of them."""
    await queue.add(Batch("/srv/a.ids", [NewItem(SessionId(f"s{n}")) for n in range(2 * PAGE_ROWS)]))
    rare, plenty = Selection(source="rare", max_read=PAGE_ROWS), Selection(max_read=2 * PAGE_ROWS + 1)
    with pytest.raises(ReadLimitError):
        _ = [item async for item in queue.select(rare)]
    assert len([item async for item in queue.select(plenty)]) == 2 * PAGE_ROWS


async def test_each_row_that_stays_comes_once_while_others_move_and_time_passes(harness: Harness, queue: Queue) -> None:
    names = [f"s{number:04}" for number in range(2 * PAGE_ROWS)]
    await queue.add(ids(*names))
    later = [f"d{number:04}" for number in range(2 * PAGE_ROWS)]
    await queue.add(due(**{name: harness.now() + number + 1 for number, name in enumerate(later)}))
    moved = {"s0003", f"s{2 * PAGE_ROWS - 1:04}", "d0005"}

    async def selected() -> AsyncIterator[Item]:
        number = 0
        async for item in queue.select(Selection()):
            yield item
            number += 1
            if number == 10:
                lease = await claim_one(queue)
                assert lease.session_id == "s0000"
                assert await ended(queue, lease, STOPPED, sent())
                await queue.postpone([SessionId(name) for name in sorted(moved)], after_s=DAY_S, by="ops")
            if number == PAGE_ROWS + 10:
                harness.advance(PAGE_ROWS + 0.5)  # half of them fall due

    found = Counter([str(item.session_id) async for item in selected()])
    assert {name for name in names + later if found[name] != 1} <= moved
    assert max(found.values()) <= 2


async def test_what_a_clock_that_was_set_back_makes_due_is_ready(harness: Harness, queue: Queue) -> None:
    await queue.add(ids("now"))
    await queue.add(ids("wait"), default_after_s=30.0)
    await queue.add(due(named=harness.now() + 30.0))
    harness.jump(-10 * DAY_S)
    found = {str(item.session_id): item.state async for item in queue.select(Selection())}
    shown = {name: item.state for name in ("now", "wait", "named") if (item := await queue.show(SessionId(name)))}
    assert found == shown
    assert await queue.count(Selection()) == Counter(shown.values())

"""Answers of 404 that a gateway gives: the worker in virtual time, against a model of the API and its list."""

from __future__ import annotations

from zlib import crc32

import anyio
import pytest

from reaper.core.errors import Exit
from reaper.core.model import (
    Outcome,
    Reply,
    SessionId,
)
from reaper.worker.comparison import has_unproven
from tests.support.behind_gateway import behind, names, rerun
from tests.support.gateway import NO_ROUTE, Gateway
from tests.support.worker import LIST, World, world

pytestmark = pytest.mark.anyio


async def wrongly_gone(w: World, gateway: Gateway) -> list[str]:
    items = [await w.queue.show(SessionId(each)) for each in sorted(gateway.live)]
    return [item.session_id for item in items if item is not None and item.outcome is Outcome.ALREADY_GONE]


@pytest.mark.parametrize("list_is_behind_it", [True, False])
@pytest.mark.parametrize("n", [1, 3, 200])
async def test_a_gateway_that_loses_its_routes_for_some_seconds_costs_nothing(n: int, list_is_behind_it: bool) -> None:
    gateway = Gateway(names(n), list_is_behind_it=list_is_behind_it)
    w = await behind(gateway, n, bound=8)
    began = anyio.current_time()
    gateway.broken = lambda _: 0.1 < anyio.current_time() - began < 9.0
    summary = await w.run()
    assert (gateway.live, summary.exit) == (set(), Exit.OK)
    assert (await w.queue.audit()).balanced


@pytest.mark.parametrize("n", [3, 200])
async def test_what_a_gateway_called_gone_before_it_answered_a_read_is_tried_again(n: int) -> None:
    """Whatever the list shows later: here it is empty."""
    gateway = Gateway(names(n))
    w = await behind(gateway, n)
    began = anyio.current_time()
    gateway.broken = lambda _: 0.05 < anyio.current_time() - began < 5.0
    w.api.lists = lambda: LIST if anyio.current_time() < began + 0.05 or anyio.current_time() > began + 5 else NO_ROUTE
    assert (await w.run()).exit is Exit.OK
    assert gateway.live == set()
    assert (await w.queue.audit()).balanced


async def test_while_the_list_shows_them_alive_nothing_more_is_booked_and_the_pause_says_why() -> None:
    gateway = Gateway(names(50), broken=lambda _: True, list_is_behind_it=False)
    w = await behind(gateway, 50, bound=8)
    summary = await w.run()
    assert summary.exit is Exit.UNAVAILABLE
    assert summary.why is not None
    assert "alive on the API's list though a DELETE was answered 404 or 410" in summary.why
    assert not any(name in summary.why for name in names(50)), "pages and messages show it to those who may see no ID"
    assert await wrongly_gone(w, gateway) == []
    assert summary.view.open == 50
    assert w.worker.sends < 30
    items = [await w.queue.show(SessionId(each)) for each in gateway.live]
    again = {item.by for item in items if item is not None and item.round == 2}
    assert again == {"reaper"}
    assert (await w.queue.audit()).balanced


@pytest.mark.parametrize("list_is_behind_it", [True, False])
@pytest.mark.parametrize("bound", [1, 8, 64])
async def test_one_of_two_broken_replicas_costs_rounds_and_nothing_else(bound: int, list_is_behind_it: bool) -> None:
    gateway = Gateway(names(300), broken=lambda n: crc32(str(n).encode()) % 2 == 0, list_is_behind_it=list_is_behind_it)
    w = await behind(gateway, 300, bound=bound)
    summary = await w.run()
    assert await wrongly_gone(w, gateway) == []
    assert (gateway.live, summary.exit) == (set(), Exit.OK)
    assert w.worker.sends < 1500
    assert (await w.queue.audit()).balanced


@pytest.mark.parametrize("list_is_behind_it", [True, False])
async def test_three_sessions_behind_a_gateway_that_stays_broken_are_not_gone_in_the_end(
    list_is_behind_it: bool,
) -> None:
    gateway = Gateway(names(3), list_is_behind_it=list_is_behind_it)
    w = await behind(gateway, 3)
    began = anyio.current_time()
    gateway.broken = lambda _: anyio.current_time() > began + 0.05
    assert (await w.run()).exit is Exit.UNAVAILABLE
    assert await wrongly_gone(w, gateway) == []
    again = await w.again()
    gateway.broken = lambda _: False
    assert (await again.run()).exit is Exit.OK
    assert await wrongly_gone(again, gateway) == []
    assert gateway.live == set()


async def test_a_list_that_lags_behind_ends_the_pause_when_it_has_caught_up() -> None:
    gateway = Gateway(set(), list_lag_s=30.0)
    gateway.ended_at = dict.fromkeys(names(40), anyio.current_time())
    w = await behind(gateway, 40, bound=8)
    summary = await w.run()
    assert summary.exit is Exit.OK
    assert summary.view.settled == {Outcome.ALREADY_GONE: 40}
    assert summary.duration_s < 60
    assert w.journal.pauses == ["+wrong_target", "-wrong_target."]
    assert (await w.queue.audit()).balanced


@pytest.mark.parametrize("n", [1, 3, 12])
async def test_a_run_that_is_repeated_behind_a_gateway_that_stays_broken_books_nothing(n: int) -> None:
    """Nobody has shown that the API answers the DELETEs, however often they are repeated."""
    gateway = Gateway(names(n), broken=lambda _: True, list_is_behind_it=False)
    w = await behind(gateway, n)
    for _ in range(12):
        assert (await w.run()).exit is Exit.UNAVAILABLE
        assert await wrongly_gone(w, gateway) == []
        assert w.worker.sends < 5 + 2 * n + 20
        w = await rerun(w, n)
    gateway.broken = lambda _: False
    assert (await w.run()).exit is Exit.OK
    assert gateway.live == set()
    assert (await w.queue.audit()).balanced


async def test_a_session_that_stays_on_the_list_while_others_are_stopped_becomes_a_ghost() -> None:
    gateway = Gateway(names(60), list_is_behind_it=False)

    async def answer(session_id: SessionId, nth: int) -> Reply:
        return NO_ROUTE if session_id == "s0" else await gateway.stop(session_id, nth)

    w = await world(21, answer, lists=gateway.lists, bound=1)
    assert (await w.run()).exit is Exit.UNAVAILABLE
    for number in range(21, 60):
        w = await rerun(w, number)
        if (summary := await w.run()).exit is Exit.OK:
            break
        await anyio.sleep(600)
    assert summary.exit is Exit.OK
    assert await wrongly_gone(w, gateway) == ["s0"]
    assert "ghost: s0" in w.journal.queue


async def test_the_next_run_knows_whether_an_earlier_one_left_something_uncompared() -> None:
    gateway = Gateway(set())
    w = await behind(gateway, 30)
    assert not await has_unproven(w.queue)
    assert (await w.run()).exit is Exit.OK
    assert not await has_unproven(w.queue)
    more = await world(2, gateway.stop, lists=gateway.lists, idle=forever)
    async with anyio.create_task_group() as group:
        group.start_soon(more.worker.run)
        await anyio.sleep(1)
        assert await has_unproven(more.queue), "killed now, it would leave two"
        more.worker.drain()


async def forever(paused: bool) -> float:
    return 1.0


async def test_what_a_killed_run_booked_wrongly_is_reopened_by_the_next_one() -> None:
    gateway = Gateway(names(2), broken=lambda _: True, list_is_behind_it=False)
    killed = await world(2, gateway.stop, lists=gateway.lists, idle=forever)
    with anyio.move_on_after(0.5):
        await killed.worker.run()
    assert len(await wrongly_gone(killed, gateway)) == 2
    gateway.broken = lambda _: False
    killed.queue.store.mark_dead(killed.queue.owner)
    w = await behind(gateway, 2, store=killed.queue.store)
    w.worker.gate.allowance.owe(w.worker.now())
    assert (await w.run()).exit is Exit.OK
    assert gateway.live == set()

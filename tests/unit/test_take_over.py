"""What another reaper booked as gone and did not live to compare: a daemon looks for it, and not again and again."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Collection

import anyio
import pytest

from reaper.core.errors import Exit
from reaper.core.model import Answered, Item, Outcome, SessionId
from reaper.worker import list_reads
from reaper.worker.list_reads import LATE_S, TAKE_OVER_S
from tests.support.behind_gateway import behind, names
from tests.support.gateway import Gateway
from tests.support.worker import World, world

pytestmark = pytest.mark.anyio


async def forever(paused: bool) -> float:
    return 1.0


def watched(w: World, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the instants since which the ledger is asked what is gone, as they come."""
    asked: list[float] = []
    outcomes = w.queue.outcomes

    def note(
        *, since: float = -math.inf, only: Collection[Outcome] | None = None, **more: object
    ) -> AsyncIterator[Item]:
        if only == {Outcome.ALREADY_GONE}:
            asked.append(since)
        return outcomes(since=since, only=only, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(w.queue, "outcomes", note)
    return asked


async def killed(w: World, gateway: Gateway) -> None:
    """Run another reaper on the queue that believes a broken gateway, and dies before it reads the list."""
    gateway.broken, gateway.list_is_behind_it = lambda _: True, False
    other = await world(2, gateway.stop, lists=gateway.lists, store=w.queue.store, idle=forever)
    with anyio.move_on_after(0.5):
        await other.worker.run()
    other.queue.store.mark_dead(other.queue.owner)
    gateway.broken = lambda _: False


@pytest.mark.parametrize("after_s", [30, 400])
async def test_a_daemon_reopens_what_a_dead_reaper_left(after_s: float) -> None:
    gateway = Gateway(names(2))
    daemon = await behind(gateway, 0, idle=forever)
    async with anyio.create_task_group() as group:
        group.start_soon(daemon.worker.run)
        await anyio.sleep(after_s)
        await killed(daemon, gateway)
        assert len(gateway.live) == 2
        await anyio.sleep(2 * TAKE_OVER_S + 20)
        assert daemon.journal.queue == ["reopened: s0 s1"]
        daemon.worker.drain()


async def test_it_does_not_look_through_the_same_rows_again(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = await behind(Gateway(set()), 0, idle=forever)
    asked = watched(daemon, monkeypatch)
    async with anyio.create_task_group() as group:
        group.start_soon(daemon.worker.run)
        await anyio.sleep(3600)
        now = daemon.queue.now()
        daemon.worker.drain()
    assert len(asked) > 30
    assert asked == sorted(asked)
    assert now - asked[-1] < 3 * TAKE_OVER_S + LATE_S


async def test_a_clock_that_was_set_back_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first look it is as if that had been made an hour from now."""
    gateway = Gateway(names(2))
    daemon = await behind(gateway, 0, idle=forever)
    async with anyio.create_task_group() as group:
        with monkeypatch.context() as patched:
            patched.setattr(list_reads, "LATE_S", -3600.0)
            group.start_soon(daemon.worker.run)
            await anyio.sleep(TAKE_OVER_S + 5)
        await killed(daemon, gateway)
        await anyio.sleep(3 * TAKE_OVER_S)
        assert daemon.journal.queue == ["reopened: s0 s1"]
        daemon.worker.drain()


async def test_a_list_that_is_cut_is_said_although_nothing_is_to_be_compared() -> None:
    cut = b'{"sessions":[{"sessionId":"s1","status":"running"},' + b" " * (32 * 1024 * 1024)
    w = await world(3, Gateway(names(3)).stop, listing=Answered(200, cut[: 32 * 1024 * 1024], 0.0))
    assert (await w.run()).exit is Exit.OK
    assert w.journal.queue == ["list cut"]
    assert (await w.queue.show(SessionId("s0"))) is not None

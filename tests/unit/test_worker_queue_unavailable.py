"""The engine goes away under a worker: claims stop, sends end, their outcomes are kept, and it is said once.

It has more than 300 lines: what goes away and what hangs are tried on the same worker, with the same steps.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

import anyio
import pytest

from reaper.core.errors import Exit, QueueError, QueueUnavailableError
from reaper.core.model import Item, Lease, LeaseResult, Outcome, Pause, PauseReason, Reply, SessionId
from tests.support.worker import GONE, STOPPED, World, well, world

pytestmark = pytest.mark.anyio


def leaves(group: BaseException) -> list[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for one in group.exceptions for leaf in leaves(one)]
    return [group]


async def rest(paused: bool) -> float | None:
    return 1.0


async def run_and(
    run: Callable[[], Coroutine[Any, Any, object]], meanwhile: Callable[[World], Awaitable[None]], w: World
) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await meanwhile(w)


async def daemon(w: World, ended: list[BaseException]) -> None:
    """Run the worker; note the errors that end it."""
    try:
        await w.worker.run()
    except BaseExceptionGroup as group:
        ended.extend(leaves(group))


async def lose(w: World) -> None:
    await anyio.sleep(0.05)
    w.queue.store.away = True


async def lose_and_abort(w: World) -> None:
    await anyio.sleep(1)
    w.queue.store.away = True
    await anyio.sleep(5)
    w.worker.abort()


async def away_for(w: World, after_s: float, for_s: float) -> None:
    await anyio.sleep(after_s)
    w.queue.store.away = True
    await anyio.sleep(for_s)
    w.queue.store.away = False


async def test_outcomes_are_kept_until_the_engine_is_back() -> None:
    w = await world(40, well, latency_s=1.0)
    async with anyio.create_task_group() as group:
        group.start_soon(w.run)
        group.start_soon(away_for, w, 0.5, 40.0)
        await anyio.sleep(30)
        sent_while_away = sum(w.api.sent.values())
        settled_while_away = len(w.journal.outcomes)
    assert sent_while_away == 4, "nothing is claimed while the engine is away"
    assert settled_while_away == 0
    assert {outcome for _, outcome in w.journal.outcomes} == {Outcome.STOPPED}
    assert len(w.journal.outcomes) == 40
    assert set(w.api.sent.values()) == {1}, "an answer that was kept is not asked for again"
    assert w.journal.queue == ["away: the engine cannot be reached", "back"]
    assert (await w.queue.audit()).balanced


async def test_the_queue_is_not_asked_in_a_busy_loop() -> None:
    w = await world(10, well)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(0.05)
        w.queue.store.away = True
        await anyio.sleep(60)
        w.queue.store.away = False
    # The watch asks twice a second; claims and the four kept outcomes every few seconds.
    assert 60 <= w.queue.store.refused <= 60 * 6, w.queue.store.refused
    assert len(w.journal.outcomes) == 10


async def test_an_engine_that_goes_before_the_first_look_is_waited_for() -> None:
    w = await world(10, well)
    w.queue.store.away = True
    ended: list[BaseException] = []
    async with anyio.create_task_group() as group:
        group.start_soon(daemon, w, ended)
        await anyio.sleep(20)
        assert (w.api.reads, w.api.sent) == ([], {}), "nothing is asked before the queue's pause and target are known"
        assert w.queue.store.refused > 40, "the watch asks twice a second, the claim loop every few seconds"
        w.queue.store.away = False
        await anyio.sleep(20)
        w.worker.drain()
    assert not ended
    assert len(w.journal.outcomes) == 10
    assert w.journal.queue == ["away: the engine cannot be reached", "back"]


async def test_nothing_is_claimed_before_the_pause_in_the_queue_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world(10, well, verify=False)
    await w.queue.pause(Pause(PauseReason.OPERATOR, 0.0, "night"))
    paused = w.queue.paused

    async def slowly() -> Pause | None:
        await anyio.sleep(1)
        return await paused()

    monkeypatch.setattr(w.queue, "paused", slowly)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(5)
        w.worker.drain()
    assert w.api.sent == {}


async def test_a_drain_before_the_first_look_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    w = await world(10, well, verify=False)
    paused, claimed = w.queue.paused, []

    async def slowly() -> Pause | None:
        await anyio.sleep(1)
        return await paused()

    async def claim(*_: object, **__: object) -> list[Lease]:
        claimed.append(1)
        return []

    monkeypatch.setattr(w.queue, "paused", slowly)
    monkeypatch.setattr(w.queue, "claim", claim)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(0.5)
        w.worker.drain()
    assert not claimed


async def test_a_worker_whose_engine_never_came_drains_at_once() -> None:
    w = await world(10, well)
    w.queue.store.away = True
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(20)
        w.worker.drain()
        begun = anyio.current_time()
    assert anyio.current_time() - begun < 1


async def test_a_process_that_was_stopped_gives_its_queue_the_time_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suspended, stopped by SIGSTOP, or a machine that was moved: the queue had no time to answer."""
    w = await world(4, well)
    stopped_s, apply = [0.0], w.queue.apply

    async def slowly(results: Sequence[LeaseResult]) -> Sequence[bool]:
        await anyio.sleep(3)
        return await apply(results)

    monkeypatch.setattr(w.queue, "apply", slowly)
    w.worker.queue_health.now = lambda: anyio.current_time() + stopped_s[0]
    ended: list[BaseException] = []
    async with anyio.create_task_group() as group:
        group.start_soon(daemon, w, ended)
        await anyio.sleep(1.3)
        stopped_s[0] = 100.0
        await anyio.sleep(10)
        w.worker.drain()
    assert not ended
    assert len(w.journal.outcomes) == 4
    assert not w.journal.unwritten


async def test_once_ends_with_69_when_the_engine_stays_away() -> None:
    w = await world(10, well)
    with pytest.raises(BaseExceptionGroup) as caught:
        await run_and(w.run, lose, w)
    errors = leaves(caught.value)
    assert errors
    assert all(isinstance(error, QueueError) and error.exit_code is Exit.UNAVAILABLE for error in errors)
    w.queue.store.away = False
    assert w.once.exit is Exit.UNAVAILABLE
    assert anyio.current_time() < 60 + 25 + 5


async def test_a_worker_told_to_leave_does_not_wait_for_the_engine() -> None:
    w = await world(10, well, latency_s=2.0)
    begun = anyio.current_time()
    with pytest.raises(BaseExceptionGroup) as caught:
        await run_and(w.worker.run, lose_and_abort, w)
    assert anyio.current_time() - begun < 8
    (error,) = {str(error) for error in leaves(caught.value)}
    assert "sent again" in error


@pytest.mark.parametrize("call", ["claim", "apply", "outcomes", "compare_and_set", "view"])
@pytest.mark.parametrize("twice", [False, True])
async def test_a_queue_that_hangs_does_not_keep_a_worker_that_is_to_end(
    call: str, twice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call in turn never ends; supervisors give a process 40 s."""
    w = await world(40, gone_each, latency_s=1.0, gives_up=False)

    async def hang(*args: object, **named: object) -> Any:
        await anyio.sleep_forever()

    async def hang_each(*args: object, **named: object) -> AsyncIterator[Item]:
        await anyio.sleep_forever()
        for item in list[Item]():
            yield item

    async def end() -> None:
        await anyio.sleep(2.5)
        target = type(w.worker.within) if call == "view" else w.queue
        monkeypatch.setattr(target, call, hang_each if call == "outcomes" else hang)
        await anyio.sleep(1)
        w.worker.drain()
        if twice:
            await anyio.sleep(1)
            w.worker.abort()

    ended: list[BaseException] = []

    async def run() -> None:
        try:
            await w.run()
        except* QueueError as group:
            ended.extend(leaves(group))

    with anyio.move_on_after(200):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            group.start_soon(end)
    took_s = anyio.current_time() - 3.5
    assert took_s < (1 + 6 if twice else 25 + 10)
    assert all(isinstance(error, QueueError) and error.exit_code is Exit.UNAVAILABLE for error in ended)


async def gone_each(_: SessionId, __: int) -> Reply:
    return GONE


async def test_an_idle_worker_drains_at_once_without_the_engine() -> None:
    async def poll(paused: bool) -> float | None:
        await w.queue.next_at()
        return 1.0

    w = await world(0, well, idle=poll)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(5)
        w.queue.store.away = True
        await anyio.sleep(60)
        begun = anyio.current_time()
        w.worker.drain()
    assert anyio.current_time() - begun < 1
    assert w.journal.queue == ["away: the engine cannot be reached"]


async def test_an_answer_lost_on_the_way_is_asked_for_again_and_counts_once() -> None:
    """The engine carried an apply out, but its answer never came."""
    w = await world(3, well)
    apply, lost = w.queue.apply, set[str]()

    async def unsure(results: Sequence[LeaseResult]) -> list[bool]:
        held = await apply(results)
        receipts = [result.lease.receipt for result in results]
        if not lost.issuperset(receipts):
            lost.update(receipts)
            raise QueueUnavailableError("the answer was lost")
        return [good or receipt in lost for good, receipt in zip(held, receipts, strict=True)]

    w.queue.apply = unsure  # type: ignore[method-assign]
    await w.run()
    assert len(w.journal.outcomes) == 3
    assert w.journal.lost == []
    assert (await w.queue.audit()).balanced


async def test_nothing_is_sent_while_the_operators_pause_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims and outcomes have a connection of their own: that they work says nothing of the pause."""
    w = await world(200, well, latency_s=1.0, is_daemon=True, idle=rest, gives_up=False)
    paused, hanging = w.queue.paused, False

    async def hang() -> Pause | None:
        await anyio.sleep(1e6 if hanging else 0)
        return await paused()

    monkeypatch.setattr(w.queue, "paused", hang)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(5)
        hanging = True
        await anyio.sleep(17)
        sent = sum(w.api.sent.values())
        assert 40 < sent < 100, "one poll that hangs stops nothing"
        await anyio.sleep(60)
        assert sum(w.api.sent.values()) == sent
        assert w.worker.queue_health.unavailable_s > 50
        assert "whether the operator paused could not be read" in w.journal.queue[-1]
        await w.queue.pause(Pause(PauseReason.OPERATOR, 0.0, "night"))
        hanging = False
        await anyio.sleep(20)
        assert w.journal.queue[-1] == "back"
        assert sum(w.api.sent.values()) == sent, "it was paused meanwhile"
        await w.queue.pause(None)
        await anyio.sleep(60)
        assert sum(w.api.sent.values()) == 200
        w.worker.drain()


async def test_the_reaper_looks_after_its_token_while_a_look_at_the_queue_hangs() -> None:
    async def answer(_: SessionId, __: int) -> Reply:
        return STOPPED

    w = await world(4, answer, idle=rest)
    maintain = w.queue.maintain

    async def hang(keep_settled_s: float) -> int:
        await anyio.sleep(1e6 if hanging else 0)
        return await maintain(keep_settled_s)

    hanging = False
    w.queue.maintain = hang  # type: ignore[method-assign]
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(1)
        hanging = True
        await anyio.sleep(5)
        w.token.changed = True
        await anyio.sleep(20)
        assert w.token.generation == 1
        assert w.journal.queue[0].startswith("away: the queue did not answer within")
        hanging = False
        await anyio.sleep(12)
        w.worker.drain()
    assert w.journal.queue[-1] == "back"

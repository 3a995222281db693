"""The IDs of one `exec` in the queue: they wait while the command lives, and are due when it has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from reaper.app.exec import Switch
from reaper.core.errors import QueueError, RefusedError
from reaper.core.model import Outcome, Settle, State
from reaper.queues.base import Queue
from reaper.queues.values import Batch, NewItem, PostponeResult
from reaper.worker.queue_health import QueueHealth
from tests.support.queues.harness import claim_one, ended, ids, sent
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.memory_store import Store
from tests.support.worker import Noted

pytestmark = pytest.mark.anyio
A, B = (item.session_id for item in ids("a", "b").items)


@dataclass
class World:
    """A queue that every use opens anew, and what was said; `fail` raises when it is opened."""

    store: Store = field(default_factory=Store)
    noted: Noted = field(default_factory=Noted)
    said: list[str] = field(default_factory=list)
    fail: Exception | None = None
    opened: int = 0
    created: bool = False

    @asynccontextmanager
    async def open(self, create: bool) -> AsyncIterator[Queue]:
        assert create is not self.created, "a ledger that went must not be made anew"
        self.created = True
        if self.fail is not None:
            raise self.fail
        self.opened += 1
        queue = self.queue()
        yield queue
        self.opened -= 1
        await queue.close()

    def queue(self) -> MemoryQueue:
        return MemoryQueue(self.store, anyio.current_time)

    def switch(self, after_s: float = 30.0) -> Switch:
        return Switch(self.open, [A, B], after_s, "alice", QueueHealth(self.noted), self)

    def ended_early(self, session_id: str, state: PostponeResult) -> None:
        self.said.append(f"{session_id} {state.value}")

    def left_behind(self, processes: int) -> None:
        raise NotImplementedError

    async def due_in(self) -> dict[str, float]:
        """Return in how many seconds each ID is due that is open."""
        queue = self.queue()
        found = [await queue.show(one) for one in (A, B)]
        return {
            item.session_id: round(item.due_at - queue.now(), 1)
            for item in found
            if item is not None and item.state is not State.SETTLED
        }


@pytest.fixture
def world() -> World:
    return World()


async def test_new_ids_and_waiting_ones_wait_for_their_time_to_live(world: World) -> None:
    await world.queue().add(Batch("other", [NewItem(B, anyio.current_time() + 5)]))
    await world.switch().register()
    assert await world.due_in() == {"a": 30.0, "b": 30.0}
    assert (await world.queue().stats()).duplicate == 0
    assert world.opened == 0, "the queue is not held open while the command lives"


@pytest.mark.parametrize("state", ["settled", "in flight"])
async def test_an_id_that_cannot_be_guarded_is_refused_and_nothing_changes(world: World, state: str) -> None:
    queue = world.queue()
    await queue.add(ids("b"))
    lease = await claim_one(queue)
    if state == "settled":
        await ended(queue, lease, Settle(Outcome.STOPPED), sent())
    with pytest.raises(RefusedError, match=r"^b.*the command was not run"):
        await world.switch().register()
    assert "a" not in await world.due_in()
    assert await queue.show(A) is None


async def test_what_was_changed_is_undone_when_another_reaper_was_quicker(world: World) -> None:
    queue = world.queue()
    await queue.add(Batch("other", [NewItem(A, anyio.current_time() + 5), NewItem(B, anyio.current_time() + 7)]))
    switch = world.switch()
    real = MemoryQueue.postpone

    async def late(self: MemoryQueue, session_ids: object, **options: object) -> object:
        found = await real(self, session_ids, **options)  # type: ignore[arg-type]
        return found | {B: PostponeResult.IN_FLIGHT} if options["after_s"] == 30.0 else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryQueue, "postpone", late)
        with pytest.raises(RefusedError, match="its DELETE is in flight; the command was not run"):
            await switch.register()
    assert await world.due_in() == {"a": 5.0, "b": 7.0}


async def test_a_new_id_of_a_command_that_does_not_start_is_cancelled_with_the_reason(world: World) -> None:
    switch = world.switch()
    await switch.register()
    await switch.undo()
    item = await world.queue().show(A)
    assert item is not None
    assert (item.outcome, item.by, item.reason) == (
        Outcome.CANCELLED, "alice", "reaper exec: the command was not run",
    )  # fmt: skip
    assert (await world.queue().audit()).balanced


async def test_a_cancelled_registration_leaves_the_queue_as_it_was(world: World) -> None:
    await world.queue().add(Batch("other", [NewItem(B, anyio.current_time() + 5)]))
    switch = world.switch()
    real = MemoryQueue.add

    async def slow(self: MemoryQueue, batch: Batch, **options: object) -> object:
        added = await real(self, batch, **options)  # type: ignore[arg-type]
        await anyio.sleep(1)
        return added

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryQueue, "add", slow)
        with anyio.move_on_after(0.5) as scope:
            await switch.register()
    assert scope.cancelled_caught
    assert await world.due_in() == {"b": 4.5}


async def test_the_ids_are_postponed_each_third_of_their_time_to_live(world: World) -> None:
    switch = world.switch()
    await switch.register()
    async with anyio.create_task_group() as group:
        group.start_soon(switch.keep_postponed)
        await anyio.sleep(9.9)
        assert await world.due_in() == {"a": 20.1, "b": 20.1}
        for _ in range(3):
            await anyio.sleep(0.2)
            assert await world.due_in() == {"a": 29.9, "b": 29.9}
            await anyio.sleep(9.8)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("fail", [None, QueueError("the ledger was deleted")])
async def test_a_queue_that_goes_is_said_once_and_postponed_at_once_when_it_is_back(
    world: World, fail: Exception | None
) -> None:
    switch = world.switch()
    await switch.register()
    ends: list[QueueError] = []

    async def keep_postponed() -> None:
        try:
            await switch.keep_postponed()
        except QueueError as error:
            ends.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(keep_postponed)
        await anyio.sleep(5)
        world.store.away, world.fail = fail is None, fail
        await anyio.sleep(20)
        said = list(world.noted.queue)
        world.store.away, world.fail = False, None
        await anyio.sleep(5)
        group.cancel_scope.cancel()
    assert (ends, len(said), len(world.noted.queue)) == ([], 1, 2)
    assert min((await world.due_in()).values()) > 24, "it was not put off until the next third"


async def test_an_id_that_is_stopped_under_the_command_is_said_once(world: World) -> None:
    switch = world.switch()
    await switch.register()
    await world.queue().cancel([A], reason="enough", by="bob")
    async with anyio.create_task_group() as group:
        group.start_soon(switch.keep_postponed)
        await anyio.sleep(35)
        group.cancel_scope.cancel()
    assert world.said == ["a settled"]
    assert (await world.due_in())["b"] > 20, "the other one is postponed all the same"


async def test_at_the_end_all_are_due_at_once(world: World) -> None:
    switch = world.switch()
    await switch.register()
    await world.queue().cancel([A], reason="enough", by="bob")
    await switch.make_due()
    assert await world.due_in() == {"b": 0.0}

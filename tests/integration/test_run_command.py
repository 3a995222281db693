"""`exec` around its command, with a command that is a stand-in: what comes first, and what is done however it ends."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest

from reaper.app.exec import Switch, run_command
from reaper.app.signals import Signals
from reaper.core.errors import CommandError, QueueError
from reaper.core.model import Outcome, SessionId, State
from reaper.queues.base import Queue
from reaper.queues.values import PostponeResult
from reaper.worker.queue_health import QueueHealth
from tests.support.eventually import eventually_async
from tests.support.queues.memory import MemoryQueue
from tests.support.queues.memory_store import Store
from tests.support.worker import Noted

pytestmark = pytest.mark.anyio
ID = SessionId("env_1")


@dataclass
class FakeCommand:
    """Ends when it gets a signal, or at once; `left` processes stay behind until someone is in a hurry."""

    seen: Callable[[], Awaitable[None]]
    fails: CommandError | None = None
    left: int = 0
    code: int | None = None
    got: list[signal.Signals] = field(default_factory=list)
    ended: anyio.Event = field(default_factory=anyio.Event)
    calls: list[Callable[[], object]] = field(default_factory=list)
    stops: int = 0
    was_started: bool = False

    def start(self) -> None:
        if self.fails is not None:
            raise self.fails
        self.was_started = True

    def obey(self, number: signal.Signals) -> None:
        self.got.append(number)
        if number == signal.SIGTSTP:
            self.calls[0]()
        else:
            self.code = 128 + number
            self.ended.set()

    def on_stop(self, call: Callable[[], object]) -> None:
        self.calls.append(call)

    def stop_with_it(self) -> None:
        self.stops += 1

    async def end_rest(self, hurry: anyio.Event) -> int:
        await self.seen()
        if self.left:
            await hurry.wait()
        return self.left


@dataclass
class World:
    store: Store = field(default_factory=Store)
    said: list[str] = field(default_factory=list)
    opening: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
    states: list[State | None] = field(default_factory=list)
    """How the ID stood when the command had ended."""

    @asynccontextmanager
    async def open(self, create: bool) -> AsyncIterator[Queue]:
        await self.opening()
        queue = MemoryQueue(self.store)
        yield queue
        await queue.close()

    async def state(self) -> State | None:
        if self.store.away:
            return None
        item = await MemoryQueue(self.store).show(ID)
        return None if item is None else item.state

    async def see(self) -> None:
        await eventually_async(self.is_due)
        self.states.append(await self.state())

    async def is_due(self) -> bool:
        return self.store.away or await self.state() is State.READY

    def ended_early(self, session_id: SessionId, state: PostponeResult) -> None:
        self.said.append(f"{session_id}: {state}")

    def left_behind(self, processes: int) -> None:
        self.said.append(f"{processes} left behind")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def signals() -> Signals:
    found = Signals()
    found.repeat_s = 0.0
    return found


def command(world: World, **options: object) -> FakeCommand:
    return FakeCommand(world.see, **options)  # type: ignore[arg-type]


async def run(world: World, command: FakeCommand, signals: Signals, unavailable_s: float = 5.0) -> bool:
    switch = Switch(world.open, [ID], 30.0, "alice", QueueHealth(Noted()), world)
    with anyio.fail_after(20):
        return await run_command(switch, command, signals, unavailable_s=unavailable_s)


async def test_the_id_waits_before_the_command_starts_and_is_due_when_it_has_ended(
    world: World, signals: Signals
) -> None:
    one = command(world)
    async with anyio.create_task_group() as group:

        async def end() -> None:
            await eventually_async(lambda: one.was_started)
            assert await world.state() is State.SCHEDULED
            signals.catch(signal.SIGTERM)

        group.start_soon(end)
        assert await run(world, one, signals)
    assert one.got == [signal.SIGTERM]
    assert world.states == [State.READY], "due before what it left behind is waited for"


async def test_each_signal_is_passed_on_and_a_stop_stops_both(world: World, signals: Signals) -> None:
    one = command(world)
    async with anyio.create_task_group() as group:

        async def end() -> None:
            await eventually_async(lambda: one.was_started)
            for _ in range(2):
                signals.catch(signal.SIGTSTP)
            await eventually_async(lambda: one.stops == 2)
            signals.catch(signal.SIGINT)

        group.start_soon(end)
        assert await run(world, one, signals)
    assert one.got == [signal.SIGTSTP, signal.SIGTSTP, signal.SIGINT]


async def test_a_signal_before_the_start_ends_it_and_leaves_nothing(world: World, signals: Signals) -> None:
    one = command(world)
    signals.catch(signal.SIGHUP)
    with pytest.raises(CommandError, match="SIGHUP came before the command was run") as caught:
        await run(world, one, signals)
    assert caught.value.exit_code == 129
    assert not one.was_started
    assert await world.state() is None


async def test_a_signal_during_the_last_step_of_the_registration_takes_the_id_out_again(
    world: World, signals: Signals
) -> None:
    one = command(world)

    async def opening() -> None:
        world.opening = anyio.lowlevel.checkpoint
        signals.catch(signal.SIGCONT)  # ends nothing
        signals.catch(signal.SIGTERM)

    world.opening = opening
    with pytest.raises(CommandError) as caught:
        await run(world, one, signals)
    assert caught.value.exit_code == 143
    assert not one.was_started
    assert await world.state() in (None, State.SETTLED)


async def test_a_command_that_cannot_be_started_leaves_its_new_id_cancelled(world: World, signals: Signals) -> None:
    with pytest.raises(CommandError, match=r"^no interpreter$"):
        await run(world, command(world, fails=CommandError("no interpreter", 126)), signals)
    item = await MemoryQueue(world.store).show(ID)
    assert item is not None
    assert item.outcome is Outcome.CANCELLED


async def test_and_says_so_when_not_even_that_can_be_written(world: World, signals: Signals) -> None:
    one = command(world)

    def start() -> None:
        world.store.away = True
        raise CommandError("no interpreter", 126)

    one.start = start  # type: ignore[method-assign]  # the queue goes in this moment
    with pytest.raises(CommandError, match="no interpreter, and the IDs stay in the queue") as caught:
        await run(world, one, signals)
    assert caught.value.exit_code == 126


async def test_a_queue_that_does_not_come_back_at_the_end_is_waited_for_so_long(world: World, signals: Signals) -> None:
    one = command(world)
    async with anyio.create_task_group() as group:

        async def end() -> None:
            await eventually_async(lambda: one.was_started)
            world.store.away = True
            signals.catch(signal.SIGTERM)

        group.start_soon(end)
        assert not await run(world, one, signals, unavailable_s=0.2)
    world.store.away = False
    assert await world.state() is State.SCHEDULED, "it falls due by itself"


async def test_a_second_signal_at_the_end_is_a_hurry(world: World, signals: Signals) -> None:
    one = command(world, left=2)
    async with anyio.create_task_group() as group:

        async def end() -> None:
            await eventually_async(lambda: one.was_started)
            world.store.away = True
            signals.catch(signal.SIGTERM)
            await eventually_async(lambda: len(world.states) == 1)
            await anyio.sleep(0.05)
            signals.catch(signal.SIGHUP)  # the terminal is closed: no reason to leave sessions alone
            signals.catch(signal.SIGINT)

        group.start_soon(end)
        assert not await run(world, one, signals, unavailable_s=60)
    assert world.said == ["2 left behind"]


async def test_a_fault_of_ours_leaves_no_command_behind(
    world: World, signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = command(world, left=1)
    one.seen = anyio.lowlevel.checkpoint

    async def broken(_: Switch) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Switch, "keep_postponed", broken)
    with pytest.raises(ExceptionGroup) as caught:
        await run(world, one, signals)
    assert [str(error) for error in caught.value.exceptions] == ["a fault"]
    assert one.was_started
    assert await world.state() is State.SCHEDULED


async def test_a_queue_that_cannot_be_opened_at_all_is_its_error(world: World, signals: Signals) -> None:
    one = command(world)

    async def opening() -> None:
        raise QueueError("no right to read it")

    world.opening = opening
    with pytest.raises(QueueError):
        await run(world, one, signals)
    assert not one.was_started

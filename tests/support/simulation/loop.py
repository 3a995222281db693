"""An event loop on virtual time that runs several processes, each of which can be killed or stopped at any step.

Nothing waits: when nothing is ready, the clock moves to the next timer. Each callback belongs to the process whose
context it was scheduled in. A dead process never runs again, and nothing of it is cleaned up: as after SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any

from tests.support.simulation.virtual_time import BOOTED, CLOCK, HOST, Host

RESOLUTION_S = 1e-9
"""Timers that lie this close together are one instant: steady time is a sum, and sums are rounded."""


class Deadlock(Exception):
    """Nothing is ready and no timer is set: the simulation itself is broken."""


class Process:
    """One simulated process."""

    def __init__(self, name: str, host: Host, loop: VirtualLoop) -> None:
        self.name, self.host = name, host
        self.is_dead = False
        self.is_stopped = self.was_stopped = False
        self.went_on_s = -math.inf
        """When it was last let go on."""
        self.ended_s: float | None = None
        """When it was asked to end, or died."""
        self.is_hurried = False
        """It was asked twice to end: it gives up what is in flight."""
        self.on_death: list[Callable[[], object]] = []
        """What the rest of the world notices: its connections end, its locks are free."""
        self.tasks: set[asyncio.Task[Any]] = set()
        """Kept when it dies: collecting a coroutine would run its `finally`."""
        self._loop = loop
        self.held: list[Callback] = []
        """Its steps that were ready while it was stopped."""
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)
        self.context.run(HOST.set, host)

    def kill(self) -> None:
        """End it as SIGKILL does."""
        if not self.is_dead:
            self.is_dead = True
            self.ends()
            for act in self.on_death:
                act()

    def ends(self) -> None:
        """Note that it ends, or begins to. Signals within a second are one."""
        if self.ended_s is None:
            self.ended_s = CLOCK.elapsed_s
        elif CLOCK.elapsed_s > self.ended_s + 1:
            self.is_hurried = True

    def stop(self) -> None:
        """Stop it as SIGSTOP does: no step until `go_on`."""
        self.is_stopped = self.was_stopped = True

    def go_on(self) -> None:
        self.is_stopped, self.went_on_s = False, CLOCK.elapsed_s
        held, self.held = self.held, []
        self._loop.put_back(held)


PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)


class Callback:
    """A step that is ready, of the process in whose context it was scheduled; in place of `asyncio.Handle`."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "process")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context) -> None:
        self.callback, self.args, self.context = callback, args, context
        self.process = context.get(PROCESS)
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled


class Timer(Callback):
    """A step that will be ready, in place of `asyncio.TimerHandle`."""

    __slots__ = ("_loop", "_when", "is_set")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context,
        when: float,
        loop: VirtualLoop,
    ) -> None:
        super().__init__(callback, args, context)
        self._when, self._loop = when, loop
        self.is_set = True
        """It is in the heap."""

    def cancel(self) -> None:
        if not self.is_cancelled:
            self.is_cancelled = True
            if self.is_set:
                self._loop.note_cancelled()

    def when(self) -> float:
        return self._when


class SimulatedTask(asyncio.Task[Any]):
    """A task whose hash does not depend on its address: anyio keeps tasks in sets, and walks them."""

    _count = itertools.count()

    def __init__(self, *args: Any, **more: Any) -> None:
        self._number = next(self._count)
        super().__init__(*args, **more)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the head of this file.

    The loop's own queues, in place of asyncio's, cost a third of the time: there is nothing to select, and timers are
    compared as tuples. Timers of one instant run in the order in which they were set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(_new_task)  # type: ignore[arg-type]
        self.connect: Callable[[Any, Callable[[], asyncio.Protocol]], Coroutine[Any, Any, Any]] | None = None
        self._queue: deque[Callback] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._timers_set = 0
        self._cancelled = 0
        """How many of the timers in the heap are cancelled."""

    def time(self) -> float:
        return CLOCK.steady()

    def call_soon(  # type: ignore[override]  # the handle is ours
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Callback:
        context = contextvars.copy_context() if context is None else context
        handle = Callback(callback, args, context)
        self._queue.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Timer:
        return self.call_at(CLOCK.steady() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Timer:
        context = contextvars.copy_context() if context is None else context
        self._timers_set += 1
        timer = Timer(callback, args, context, when, self)
        heapq.heappush(self._timers, (when, self._timers_set, timer))
        return timer

    def put_back(self, held: list[Callback]) -> None:
        """Make ready again what was held while its process was stopped."""
        self._queue.extend(held)

    def note_cancelled(self) -> None:
        """Count a cancelled timer; forget all of them when they are most of what is kept."""
        self._cancelled += 1
        if self._cancelled > 100 and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2].is_cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _run_once(self) -> None:
        """Run what is ready; when nothing is, let time pass until the next timer."""
        queue = self._queue
        if not queue:
            self._pass_time()
        for _ in range(len(queue)):
            handle = queue.popleft()
            if handle.is_cancelled:
                continue
            process = handle.process
            if process is not None:
                if process.is_dead:
                    continue
                if process.is_stopped:
                    process.held.append(handle)
                    continue
            try:
                handle.context.run(handle.callback, *handle.args)
            except Exception as error:  # noqa: BLE001 - as asyncio's loop does
                message = f"an error in {handle.callback!r}"
                self.call_exception_handler({"message": message, "exception": error})

    def _pass_time(self) -> None:
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heapq.heappop(timers)
            self._cancelled -= 1
        if not timers:
            if self._stopping:  # type: ignore[attr-defined]
                return
            raise Deadlock
        CLOCK.elapsed_s = max(CLOCK.elapsed_s, timers[0][0] - BOOTED)
        now = CLOCK.steady() + RESOLUTION_S
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            if timer.is_cancelled:
                self._cancelled -= 1
            else:
                timer.is_set = False
                self._queue.append(timer)

    async def create_connection(self, protocol_factory: Any, *_: Any, sock: Any = None, **more: Any) -> Any:
        assert self.connect is not None
        return await self.connect(sock, protocol_factory)


def _new_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
    task = SimulatedTask(work, loop=loop, **more)
    context: Mapping[Any, Any] = more.get("context") or contextvars.copy_context()
    process = context.get(PROCESS)
    if process is not None:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task

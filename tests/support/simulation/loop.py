"""An event loop on virtual time that runs several processes, each of which can be killed or stopped at any step.

Nothing waits: when nothing is ready, the clock moves to the next timer. Each callback belongs to the process whose
context it was scheduled in. A dead process never runs again, and nothing of it is cleaned up: as after SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any

from tests.support.simulation.virtual_time import BOOTED, CLOCK, HOST, Host


class Deadlock(Exception):
    """Nothing is ready and no timer is set: the simulation itself is broken."""


class Process:
    """One simulated process."""

    def __init__(self, name: str, host: Host, loop: VirtualLoop) -> None:
        self.name, self.host = name, host
        self.is_dead = False
        self.is_stopped = self.was_stopped = False
        self.on_death: list[Callable[[], object]] = []
        """What the rest of the world notices: its connections end, its locks are free."""
        self.tasks: set[asyncio.Task[Any]] = set()
        """Kept when it dies: collecting a coroutine would run its `finally`."""
        self._loop = loop
        self._held: list[tuple[Callable[..., object], tuple[Any, ...], contextvars.Context]] = []
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)
        self.context.run(HOST.set, host)

    def kill(self) -> None:
        """End it as SIGKILL does."""
        if not self.is_dead:
            self.is_dead = True
            for act in self.on_death:
                act()

    def stop(self) -> None:
        """Stop it as SIGSTOP does: no step until `go_on`."""
        self.is_stopped = self.was_stopped = True

    def go_on(self) -> None:
        self.is_stopped = False
        held, self._held = self._held, []
        for callback, args, context in held:
            self._loop.call_soon(callback, *args, context=context)

    def step(self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context) -> None:
        if self.is_dead:
            return
        if self.is_stopped:
            self._held.append((callback, args, context))
            return
        callback(*args)


PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)


class SimulatedTask(asyncio.Task[Any]):
    """A task whose hash does not depend on its address: anyio keeps tasks in sets, and walks them."""

    _count = itertools.count()

    def __init__(self, *args: Any, **more: Any) -> None:
        self._number = next(self._count)
        super().__init__(*args, **more)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the head of this file."""

    def __init__(self) -> None:
        super().__init__(_NoSelector(self))
        self.set_task_factory(_new_task)  # type: ignore[arg-type]
        self.connect: Callable[[Any, Callable[[], asyncio.Protocol]], Coroutine[Any, Any, Any]] | None = None

    def time(self) -> float:
        return CLOCK.steady()

    def move_on(self, timeout: float | None) -> None:
        """Let time pass until the next timer."""
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            CLOCK.elapsed_s = max(CLOCK.elapsed_s, self._scheduled[0].when() - BOOTED)  # type: ignore[attr-defined]

    def call_soon(  # type: ignore[override]  # the base's type variables cannot be kept by a wrapper
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        context = contextvars.copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(process.step, callback, args, context, context=context)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        context = contextvars.copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        return super().call_at(when, process.step, callback, args, context, context=context)

    async def create_connection(self, protocol_factory: Any, *_: Any, sock: Any = None, **more: Any) -> Any:
        assert self.connect is not None
        return await self.connect(sock, protocol_factory)


class _NoSelector(selectors.SelectSelector):
    """Watches nothing; where the loop would wait, virtual time passes."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.move_on(timeout)
        return []


def _new_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
    task = SimulatedTask(work, loop=loop, **more)
    context: Mapping[Any, Any] = more.get("context") or contextvars.copy_context()
    process = context.get(PROCESS)
    if process is not None:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task

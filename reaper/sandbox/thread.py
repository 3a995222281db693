"""The stand-in in a thread of its own, for tests that run the reaper as a process or block their own loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from reaper.sandbox.recorder import Counters, Delete
from reaper.sandbox.server import Sandbox

T = TypeVar("T")


class RunningSandbox:
    """Control of a sandbox from another thread: `do` runs a function of it in its own thread."""

    def __init__(self, sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        self._sandbox, self._loop = sandbox, loop
        self.url = sandbox.url

    def do(self, act: Callable[[Sandbox], T]) -> T:
        """Return `act(sandbox)`, called in the sandbox's thread; what it raises is raised here."""

        async def call() -> T:
            return act(self._sandbox)

        return self._wait(call())

    def until(self, holds: Callable[[Sandbox], bool], timeout_s: float = 10.0) -> None:
        """Wait until `holds(sandbox)`; raises TimeoutError."""
        self._wait(self._sandbox.until(holds, timeout_s))

    def down(self) -> None:
        """Refuse connections, until `up`."""
        self._wait(self._sandbox.down())

    def up(self) -> None:
        self._wait(self._sandbox.up())

    @property
    def token(self) -> str:
        return self.do(lambda sandbox: sandbox.token)

    @property
    def deletes(self) -> list[Delete]:
        """A copy of the log."""
        return self.do(lambda sandbox: list(sandbox.deletes))

    @property
    def sends(self) -> dict[str, int]:
        """A copy of the sends by session ID."""
        return self.do(lambda sandbox: dict(sandbox.sends))

    @property
    def counters(self) -> Counters:
        """A copy of the counters."""
        return self.do(lambda sandbox: sandbox.counters.copy())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def running_sandbox(*args: Any, **options: Any) -> Iterator[RunningSandbox]:
    """Run `Sandbox(*args, **options)` in a thread until the block ends. Raises what it raises at its start."""
    ready: Future[tuple[RunningSandbox, asyncio.Event]] = Future()

    async def main() -> None:
        over = asyncio.Event()
        try:
            async with Sandbox(*args, **options) as sandbox:
                ready.set_result((RunningSandbox(sandbox, asyncio.get_running_loop()), over))
                await over.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="sandbox", daemon=True)
    thread.start()
    running, over = ready.result()
    try:
        yield running
    finally:
        running._loop.call_soon_threadsafe(over.set)
        thread.join()

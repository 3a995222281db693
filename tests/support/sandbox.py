"""The stand-in API in a thread of its own, for tests that start reaper as a process or block their own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from reaper.sandbox.recorder import Counters, Delete
from reaper.sandbox.server import Sandbox
from reaper.sandbox.sessions import Account, Session

T = TypeVar("T")


class RunningSandbox:
    """Controls a sandbox from another thread: `do` calls a function in the sandbox's thread."""

    def __init__(self, sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        self._sandbox, self._loop = sandbox, loop
        self.url = sandbox.url

    def do(self, act: Callable[[Sandbox], T]) -> T:
        """Call `act(sandbox)` in the sandbox's thread; return its result or raise its exception."""

        async def call() -> T:
            return act(self._sandbox)

        return self._wait(call())

    def until(self, condition: Callable[[Sandbox], bool], timeout_s: float = 10.0) -> None:
        """Wait until `condition(sandbox)` is true. Raises TimeoutError after `timeout_s`."""
        self._wait(self._sandbox.until(condition, timeout_s))

    def down(self) -> None:
        """Refuse connections until `up`."""
        self._wait(self._sandbox.down())

    def up(self) -> None:
        self._wait(self._sandbox.up())

    @property
    def token(self) -> str:
        return self.do(lambda sandbox: sandbox.token)

    @property
    def deletes(self) -> list[Delete]:
        """Return a copy of the log."""
        return self.do(lambda sandbox: list(sandbox.deletes))

    @property
    def sends(self) -> dict[str, int]:
        """Return a copy of the sends by session ID."""
        return self.do(lambda sandbox: dict(sandbox.sends))

    @property
    def counters(self) -> Counters:
        """Return a copy of the counters."""
        return self.do(lambda sandbox: replace(sandbox.counters, statuses=dict(sandbox.counters.statuses)))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def running_sandbox(*args: Any, **options: Any) -> Iterator[RunningSandbox]:
    """Run `Sandbox(*args, **options)` in a thread until the block ends. Raises its exception if it cannot start."""
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


def start_sessions(sandbox: RunningSandbox, sessions: Iterable[Session | str]) -> None:
    """Add live sessions, given whole or by their IDs."""
    some = [session if isinstance(session, Session) else Session(session) for session in sessions]

    def act(inside: Sandbox) -> None:
        for session in some:
            inside.sessions.put(session)

    sandbox.do(act)


def script(sandbox: RunningSandbox, session_ids: Iterable[str], *behaviours: str) -> None:
    """Script the answers to the next DELETEs of each ID, as `Sandbox.script` does."""
    some = list(session_ids)

    def act(inside: Sandbox) -> None:
        for session_id in some:
            inside.script(session_id, *behaviours)

    sandbox.do(act)


def switch_account(sandbox: Sandbox, user_id: str, sessions: Iterable[Session] = ()) -> None:
    """Make the token belong to another account, whose sessions replace those of the one before."""
    sandbox.user_id, sandbox.sessions = user_id, Account(sessions, 0)


def stopped(sandbox: Sandbox) -> list[str]:
    """Return the IDs of sessions that a DELETE stopped, in order."""
    return [delete.session_id for delete in sandbox.deletes if delete.executed and delete.session_id is not None]

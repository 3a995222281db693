"""Signals of a working process, caught from its first moment to its last: none of them ends it by itself.

Python's own handlers, not the event loop's: a loop gives its signals back to the system when it closes, and a signal
that came then would end the process in place of its exit code.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskStatus

from reaper.telemetry import events
from reaper.telemetry.logs import get

if TYPE_CHECKING:
    from reaper.worker.worker import Worker

ENDING = (signal.SIGTERM, signal.SIGINT)
REPEAT_S = 1.0
"""SIGTERM and SIGINT within this time after one of them are the same request: terminal and wrapper both send one."""


class Signals:
    """The signals of this process, caught from now on. One that comes while nobody obeys waits for `obeyed`."""

    def __init__(self, *numbers: signal.Signals, now: Callable[[], float] = time.monotonic) -> None:
        """Catch `numbers`; only the main thread may do that."""
        self._now = now
        self.repeat_s = REPEAT_S
        """0: each signal counts, to be passed on."""
        self._counted_at = float("-inf")
        self._waiting: deque[signal.Signals] = deque()
        self._obey: Callable[[signal.Signals], object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: contextvars.Context | None = None
        """A signal that comes while the loop sleeps has none in which a task may start."""
        self._exit_code: int | None = None
        for number in numbers:
            signal.signal(number, lambda number, _: self.catch(signal.Signals(number)))
        deliver_blocked()

    @contextmanager
    def obeyed(self, obey: Callable[[signal.Signals], object]) -> Iterator[None]:
        """Call `obey` in the event loop for each signal, those that waited first; it must not wait."""
        self._loop, self._context, self._obey = asyncio.get_running_loop(), contextvars.copy_context(), obey
        self._deliver()
        try:
            yield
        finally:
            self._obey = None

    def leave_with(self, code: int) -> None:
        """Let SIGTERM and SIGINT end the process at once with this exit code: the work is over."""
        self._exit_code = code

    def catch(self, number: signal.Signals) -> None:
        """Take one signal; called between any two steps of the main thread."""
        if number in ENDING:
            now = self._now()
            if now - self._counted_at < self.repeat_s:
                return
            self._counted_at = now
            if self._exit_code is not None:
                os._exit(self._exit_code)
        self._waiting.append(number)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._deliver, context=self._context)

    def _deliver(self) -> None:
        while self._waiting and self._obey is not None:
            self._obey(self._waiting.popleft())


def deliver_blocked() -> None:
    """Let through the signals that waited while the command was loaded (`reaper.__main__`), and all later ones."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*ENDING, signal.SIGHUP))


def cancel_by(scope: anyio.CancelScope) -> Callable[[signal.Signals], None]:
    """Return the reaction to signals that cancels `scope` on SIGTERM or SIGINT."""

    def obey(number: signal.Signals) -> None:
        if number in ENDING:
            scope.cancel()

    return obey


def end_or_reload(
    worker: Worker, *, end: Callable[[], None] | None = None, reload: Callable[[], object] | None = None
) -> Callable[[signal.Signals], None]:
    """Return the reaction to signals: drain on the first SIGTERM or SIGINT, abort on the second; reload on SIGHUP.

    `end`: called instead of `worker.drain`. Like `reload` it must not wait.
    """

    def obey(number: signal.Signals) -> None:
        if number == signal.SIGHUP:
            if reload is not None:
                reload()
        elif number not in ENDING:
            return
        elif worker.is_draining:
            worker.abort()
        else:
            get().info(
                events.REAPER_DRAINING,
                signal=number.name,
                in_flight=worker.gate.in_flight,
                within_s=worker.options.drain_timeout_s,
            )
            (end or worker.drain)()

    return obey


async def call_on_signal(
    call: Callable[[], object], *numbers: int, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Call `call` on each of these signals, until cancelled; started once they are caught."""
    with anyio.open_signal_receiver(*map(signal.Signals, numbers)) as caught:
        task_status.started()
        async for _ in caught:
            call()

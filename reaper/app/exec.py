"""`exec`: a dead-man's switch around one command: its IDs wait while it lives, and are stopped when it has ended.

The queue is opened for each use and closed again: the command may live for hours, in which the queue may be restored,
upgraded or moved.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import anyio

from reaper.app.signals import ENDING, Signals
from reaper.core.errors import CommandError, QueueError, QueueUnavailableError, RefusedError
from reaper.core.model import Item, SessionId, State
from reaper.queues.base import Queue
from reaper.queues.values import Batch, NewItem, PostponeResult
from reaper.worker.queue_health import QueueHealth

SOURCE = "exec"
REASON = "reaper exec"
SHARE = 3
"""The IDs are postponed after this part of their time to live, so that two failures in a row do no harm."""
UNDO_S = 5.0
"""How long a command that will not start may take to leave the queue as it was."""
CANCELS_START = (*ENDING, signal.SIGHUP, signal.SIGQUIT)


class Command(Protocol):
    """The command, see `reaper.app.command`."""

    ended: anyio.Event
    code: int | None

    def start(self) -> None: ...

    def obey(self, number: signal.Signals) -> None: ...

    def on_stop(self, call: Callable[[], object]) -> None: ...

    def stop_with_it(self) -> None: ...

    async def end_rest(self, hurry: anyio.Event) -> int: ...


class Report(Protocol):
    """Hears what happens around the command."""

    def ended_early(self, session_id: SessionId, state: PostponeResult) -> None:
        """Report an ID that cannot be postponed any more, although the command lives."""

    def left_behind(self, processes: int) -> None:
        """Report how many processes that the command left behind had to be ended."""


@dataclass(slots=True)
class Switch:
    """The IDs of one `exec` in the queue. `open_queue(True)` may create it, too; `by`: the person who asked."""

    open_queue: Callable[[bool], AbstractAsyncContextManager[Queue]]
    session_ids: Sequence[SessionId]
    after_s: float
    by: str
    health: QueueHealth
    report: Report
    _before: dict[SessionId, Item | None] = field(default_factory=dict)
    """The rows that were there before."""
    _ended: set[SessionId] = field(default_factory=set)
    _in_use: anyio.Lock = field(default_factory=anyio.Lock)
    """Held while the queue is open: a process that is stopped then would hold up the others."""

    async def register(self) -> None:
        """Have the IDs wait, durably, for the time to live.

        Raises RefusedError when one is settled or in flight. Then, and when cancelled, the queue is as before; an ID
        that was new to it may stay there as cancelled.
        """
        async with self.open_queue(True) as queue:
            for one in self.session_ids:
                self._before[one] = await queue.show(one)
            known = [item for item in self._before.values() if item is not None]
            if refused := [item for item in known if item.state in (State.SETTLED, State.IN_FLIGHT)]:
                raise RefusedError("\n".join(map(_refusal, refused)))
            try:
                await self._set_due(queue)
            except BaseException:
                with anyio.move_on_after(UNDO_S, shield=True):
                    await self._undo(queue)
                raise

    async def _set_due(self, queue: Queue) -> None:
        await self._postpone_known(queue, [one for one, item in self._before.items() if item is not None])
        new = [NewItem(one) for one, item in self._before.items() if item is None]
        if new:
            added = await queue.add(Batch(SOURCE, new), by=self.by, default_after_s=self.after_s)
            await self._postpone_known(queue, added.duplicates)  # somebody else added them this moment

    async def _postpone_known(self, queue: Queue, session_ids: Sequence[SessionId]) -> None:
        for one, result in (await self._postpone_in(queue, session_ids, self.after_s)).items():
            if result is not PostponeResult.DONE:
                raise RefusedError(f"{one}: {_WORDS[result]}; the command was not run")

    async def _postpone_in(
        self, queue: Queue, session_ids: Sequence[SessionId], after_s: float
    ) -> dict[SessionId, PostponeResult]:
        return await queue.postpone(session_ids, after_s=after_s, by=self.by, reason=REASON) if session_ids else {}

    async def undo(self) -> None:
        """Leave the queue as it was before: the command was not run."""
        async with self.open_queue(False) as queue:
            await self._undo(queue)

    async def _undo(self, queue: Queue) -> None:
        for one, item in self._before.items():
            if item is None:
                await queue.cancel([one], reason="reaper exec: the command was not run", by=self.by)
            else:
                await self._postpone_in(queue, [one], max(0.0, item.due_at - queue.now()))

    async def keep_postponed(self) -> None:
        """Postpone the IDs again and again; while the queue is unavailable, until it is back."""
        while True:
            await anyio.sleep(self.after_s / SHARE)
            await self.health.retry_until_available(lambda: self._use(self._postpone))

    async def _postpone(self, queue: Queue) -> None:
        for one, result in (await self._postpone_in(queue, self.session_ids, self.after_s)).items():
            if result is not PostponeResult.DONE and one not in self._ended:
                self._ended.add(one)
                self.report.ended_early(one, result)

    async def make_due(self) -> None:
        """Make the IDs due; while the queue is unavailable, when it is back."""
        await self.health.retry_until_available(lambda: self._use(self._make_due))

    async def _make_due(self, queue: Queue) -> None:
        await self._postpone_in(queue, self.session_ids, 0.0)

    async def _use(self, use: Callable[[Queue], Awaitable[None]]) -> None:
        async with self._in_use:
            try:
                async with self.open_queue(False) as queue:
                    await use(queue)
            except QueueUnavailableError:
                raise
            except QueueError as error:  # a ledger that is gone or being replaced may come back, too
                raise QueueUnavailableError(str(error)) from error

    async def suspend(self, command: Command) -> None:
        """Stop this process with the command, between two uses of the queue."""
        async with self._in_use:
            command.stop_with_it()


async def run_command(switch: Switch, command: Command, signals: Signals, *, unavailable_s: float) -> bool:
    """Register the IDs, run the command to its end, make the IDs due; return False when the queue did not come back.

    All signals but those that come before its start go to the command. `unavailable_s`: how long to wait at the end
    for a queue that is unavailable. Raises as `Switch.register`, and CommandError: then the command was not run.
    Cancelled: the command is ended, the IDs fall due in time.
    """
    await _register(switch, signals)
    try:
        command.start()
    except CommandError as error:
        await _undo(switch, error)
        raise
    hurry = anyio.Event()
    try:
        async with anyio.create_task_group() as background:
            command.on_stop(partial(background.start_soon, switch.suspend, command))
            background.start_soon(switch.keep_postponed)
            with signals.obeyed(command.obey):
                await command.ended.wait()
            background.cancel_scope.cancel()
        return await _finish(switch, command, signals, hurry, unavailable_s)
    except BaseException:
        hurry.set()
        with anyio.CancelScope(shield=True):
            await command.end_rest(hurry)
        raise


async def _register(switch: Switch, signals: Signals) -> None:
    caught: list[signal.Signals] = []
    with anyio.CancelScope() as start:

        def obey(number: signal.Signals) -> None:
            if number in CANCELS_START:
                caught.append(number)
                start.cancel()

        with signals.obeyed(obey):
            await switch.register()
    if caught:
        error = CommandError(f"{caught[0].name} came before the command was run", 128 + caught[0])
        if not start.cancelled_caught:
            await _undo(switch, error)
        raise error


async def _undo(switch: Switch, error: CommandError) -> None:
    """Leave the queue as it was before; add to the error what stays in it when that fails."""
    try:
        await switch.undo()
    except QueueError as failure:
        left = "and the IDs stay in the queue, due in time: see `reaper postpone` and `reaper cancel`"
        raise CommandError(f"{error}, {left}: {failure}", error.exit_code) from failure


async def _finish(switch: Switch, command: Command, signals: Signals, hurry: anyio.Event, unavailable_s: float) -> bool:
    """Make the IDs due, while what the command left behind is ended."""
    waiting = anyio.move_on_after(unavailable_s)

    async def make_due() -> None:
        with waiting:
            await switch.make_due()

    def obey(number: signal.Signals) -> None:
        if number in ENDING:
            hurry.set()
            if switch.health.unavailable_s:
                waiting.cancel()

    with signals.obeyed(obey):
        async with anyio.create_task_group() as group:
            group.start_soon(make_due)
            if processes := await command.end_rest(hurry):
                switch.report.left_behind(processes)
    return not waiting.cancelled_caught


_WORDS = {
    PostponeResult.IN_FLIGHT: "its DELETE is in flight",
    PostponeResult.SETTLED: "it is settled",
    PostponeResult.UNKNOWN: "it was taken out of the queue",
}


def _refusal(item: Item) -> str:
    if item.outcome is None:
        return f"{item.session_id}: its DELETE is in flight; the command was not run"
    again = f"to have its session stopped once more: reaper add {item.session_id} --again --after TIME, then this again"
    return f"{item.session_id} is settled ({item.outcome.value}); the command was not run; {again}"

"""Watches queue and reaper for what a person should know, and sends it; pings the monitor (docs/notifications.md).

Nothing of it can fail a run: what cannot be read now is looked at again, and what cannot be sent is logged.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.lowlevel

from reaper.core.errors import Exit, QueueError
from reaper.core.model import DEAD, Pause, PauseReason, Stats, WorkerHeartbeat
from reaper.core.notification_texts import Message, Origin, message_of
from reaper.core.notifications import (
    KEY,
    Facts,
    Notification,
    Progress,
    advance,
    read_notified,
    to_text,
    undelivered,
)
from reaper.core.owners import Place, random_part
from reaper.core.text import describe_unforeseen, format_duration, without_tokens
from reaper.core.urls import masked_url
from reaper.intake.discovery.held_sweeps import HoldHeads
from reaper.queues.base import LedgerReader, ValuePort
from reaper.queues.selection import settled
from reaper.settings.schema import Settings
from reaper.telemetry import events, logs
from reaper.telemetry.page.snapshot import STALLED_S

if TYPE_CHECKING:
    from reaper.settings.sections import NotifySettings
    from reaper.telemetry.notifications.pinger import Ping
    from reaper.worker.worker import Worker

LOOK_S = 5.0
"""The gap between two looks at the queue; longer where a look takes long."""
SHARE = 20
"""A look may take a twentieth of the time."""
MAX_LOOK_S = 60.0
PING_S = 60.0
END_S = 5.0
"""The most that messages and pings delay the end of a run."""
WITHDRAW_S = 0.5
"""The part of `END_S` that is kept for noting in the queue what was not sent."""
TICK_S = 0.5
"""How soon a look follows a pause's beginning or end."""
QUEUE_S = 4.0
"""The most that one look waits for the queue. One that takes longer is logged; the next may take twice as long."""
TRIES = 5
"""How often a state that another reaper replaced meanwhile is read again in one look."""


class NotifierQueue(ValuePort, LedgerReader, Protocol):
    """The queue as the notifier uses it."""

    @property
    def owner(self) -> str: ...


class Out(Protocol):
    """Sends messages and pings, see `Outbox`."""

    has_receivers: bool
    has_monitor: bool

    def post(self, notification: Notification, message: Message) -> None: ...

    def ping(self, ping: Ping) -> None: ...

    async def drained(self) -> None: ...

    def withdraw(self) -> None: ...


def open_outbox(settings: NotifySettings, on_lost: Callable[[Notification], None]) -> Out:
    """Return the outbox of the settings; imported when somebody is to be notified."""
    from reaper.telemetry.notifications.outbox import Outbox

    return Outbox(settings.urls, settings.heartbeat_url, on_lost)


class Notifier:
    """The notifications and pings of one process. Does nothing while the settings name no receiver and no monitor."""

    def __init__(
        self,
        settings: Settings,
        open_outbox: Callable[[NotifySettings, Callable[[Notification], None]], Out] = open_outbox,
    ) -> None:
        self._open_outbox = open_outbox
        self._queue: NotifierQueue | None = None
        self._worker: Worker | None = None
        self._progress = Progress()
        self._lost: list[Notification] = []
        self._holds = HoldHeads()
        self._look_s = QUEUE_S
        self._outbox: Out | None = None
        self._settings = settings
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Use other settings from now on; what is under way goes where it was sent."""
        before, self._settings = self._settings.notify, settings
        if not settings.notify.is_on:
            self._outbox = None
        elif self._outbox is None or settings.notify != before:
            self._outbox = self._open_outbox(settings.notify, self._lost.append)

    def use_queue(self, queue: NotifierQueue | None) -> None:
        """Look at this queue from now on, while it is open; None: at none."""
        self._queue = queue

    @asynccontextmanager
    async def watching(self, worker: Worker, inner: AbstractAsyncContextManager[object]) -> AsyncIterator[None]:
        """Watch beside a run of `once`, within another context."""
        self._worker = worker
        async with inner, anyio.create_task_group() as background:
            background.start_soon(self._watch, worker)
            yield
            background.cancel_scope.cancel()

    async def run(self, worker: Worker) -> None:
        """Look every few seconds, and ping every minute, until cancelled: for a daemon."""
        self._worker = worker
        async with anyio.create_task_group() as background:
            background.start_soon(self._watch, worker)
            background.start_soon(self._ping_each_minute, worker)

    async def _watch(self, worker: Worker) -> None:
        """Look at once when a pause begins or ends, and every few seconds."""
        next_at, held = anyio.current_time(), _reasons(worker)
        while True:
            began, found = anyio.current_time(), _reasons(worker)
            if began >= next_at or found != held:
                held = found
                await self.look(worker)
                now = anyio.current_time()
                next_at = now + min(max(LOOK_S, SHARE * (now - began)), MAX_LOOK_S)
            await anyio.sleep(TICK_S)

    async def _ping_each_minute(self, worker: Worker) -> None:
        while True:
            await anyio.sleep(PING_S)
            health = worker.queue_health
            fault = fault_of(worker.pauses(), health.unavailable_s, worker.stalled_s, health.why)
            self._ping(fault is None, fault or "working")

    async def look(self, worker: Worker | None, within_s: float = MAX_LOOK_S) -> None:
        """Compare what is seen now with what was notified, and send what changed. `worker`: this process's, if any."""
        if self._queue is None or self._outbox is None or not self._outbox.has_receivers:
            return
        limit_s = min(self._look_s, within_s)
        try:
            with anyio.fail_after(limit_s):
                await self._note_lost(self._queue)
                await self._advance(self._queue, await self._facts(self._queue, worker))
            self._look_s = QUEUE_S
        except QueueError:
            return  # the worker reports it; the next look sees more
        except TimeoutError:
            detail = f"nobody could be notified: the queue was not read within {format_duration(limit_s)}"
            logs.get().warning(events.NOTIFICATION_FAILED, detail=detail)
            self._look_s = min(2 * self._look_s, MAX_LOOK_S)
        except Exception as error:  # noqa: BLE001  # a message may not end the work
            logs.get().error(events.NOTIFICATION_FAILED, detail=describe_unforeseen(error))

    async def finish_run(self, exit_code: int, text: str) -> None:
        """Look a last time, ping how a run of `once` ended, and wait for what is under way: `END_S` for all of it."""
        if self._outbox is None:
            return
        try:
            with anyio.move_on_after(END_S - WITHDRAW_S):
                await self.look(self._worker, QUEUE_S)
                held = fault_of(self._worker.pauses(), 0.0, 0.0) if self._worker is not None else None
                self._ping(
                    exit_code == Exit.OK or (exit_code == Exit.WORK_LEFT and held is None),
                    f"exit {int(exit_code)}{': ' if text else ''}{text}",
                )
                await self._outbox.drained()
        finally:
            await self._withdraw()

    async def finish(self, fault: str | None = None) -> None:
        """Wait for what is under way, `END_S` at most. `fault`: the error that ends the process, which is pinged."""
        if self._outbox is None:
            return
        if fault is not None:
            self._ping(False, fault)
        try:
            with anyio.move_on_after(END_S - WITHDRAW_S):
                await self._outbox.drained()
        finally:
            await self._withdraw()

    async def _withdraw(self) -> None:
        """Give up what has not begun to leave, and have it notified again by whoever looks next."""
        if self._outbox is not None:
            self._outbox.withdraw()
        with anyio.move_on_after(WITHDRAW_S, shield=True), suppress(QueueError):
            await anyio.lowlevel.checkpoint()  # the reports are in the loop's queue
            if self._queue is not None:
                await self._note_lost(self._queue)

    def _ping(self, is_good: bool, text: str) -> None:
        if self._outbox is None or not self._outbox.has_monitor:
            return
        from reaper.telemetry.notifications.pinger import Ping

        self._outbox.ping(Ping(is_good, logs.redacted(without_tokens(f"{text}\n{origin_of(self._settings).line}\n"))))

    async def _facts(self, queue: NotifierQueue, worker: Worker | None) -> Facts:
        """Collect what is known now. Raises QueueError."""
        now = queue.now()
        stats, others = await queue.stats(), await queue.live_workers()
        own = random_part(queue.owner)
        facts = Facts(
            now=now,
            pauses=_pauses(worker, [each for each in others if random_part(each.owner) != own]),
            is_proven=worker is not None and worker.gate.has_proof and worker.gate.may_send,
            stats=stats,
            dead=await _dead(queue, stats),
            holds=await self._holds.read(queue),
            stuck={own: worker.stalled_s} if worker is not None and worker.stalled_s > STALLED_S else {},
            alive=frozenset({own, *(random_part(each.owner) for each in others)}),
            reporter=own if worker is not None else "",
        )
        return facts.idle_for(self._progress.idle_s(facts))

    async def _advance(self, queue: NotifierQueue, facts: Facts) -> None:
        """Replace the shared state by the next one and send the messages between the two; the quicker reaper does."""
        for _ in range(TRIES):
            text = await queue.read_value(KEY)
            state, messages = advance(read_notified(text), facts)
            if not messages and state == read_notified(text):
                return
            if await queue.compare_and_set(KEY, to_text(state), was=text):
                for each in messages:
                    self._post(each)
                return

    def _post(self, notification: Notification) -> None:
        message = message_of(notification, origin_of(self._settings))
        if self._outbox is not None:
            self._outbox.post(notification, message.masked(logs.redacted))

    async def _note_lost(self, queue: NotifierQueue) -> None:
        """Have what reached nobody be notified again later. Raises QueueError."""
        while self._lost:
            lost = self._lost[0]
            for _ in range(TRIES):
                text = await queue.read_value(KEY)
                before = read_notified(text)
                after = undelivered(before, lost)
                if after == before or await queue.compare_and_set(KEY, to_text(after), was=text):
                    break
            self._lost.remove(lost)


def origin_of(settings: Settings) -> Origin:
    """Return whose messages those of this process are."""
    place = Place(socket.gethostname(), os.getpid())
    return Origin(masked_url(settings.queue.url), settings.api.base_url, str(place))


def fault_of(pauses: Sequence[Pause], unavailable_s: float, stalled_s: float, why: str = "") -> str | None:
    """Return the reason why sessions cannot be stopped now; None when they can. What is throttled only takes longer.

    `why`: the queue's last error.
    """
    if unavailable_s:
        return f"the queue has been unavailable for {format_duration(unavailable_s)}" + (f": {why}" if why else "")
    if stalled_s > STALLED_S:
        return f"the claim loop has not turned for {format_duration(stalled_s)}"
    held = [pause for pause in pauses if pause.reason is not PauseReason.THROTTLED]
    return "; ".join(f"paused, {pause.reason.value}: {pause.detail}" for pause in held) or None


def _reasons(worker: Worker) -> frozenset[PauseReason]:
    return frozenset(pause.reason for pause in worker.pauses())


def _pauses(worker: Worker | None, others: Sequence[WorkerHeartbeat]) -> list[Pause]:
    return [*(worker.pauses() if worker is not None else ()), *(pause for each in others for pause in each.pauses)]


async def _dead(queue: NotifierQueue, stats: Stats) -> dict[str, int]:
    if not stats.dead:
        return {}
    return {str(outcome): count for outcome, count in (await queue.count(settled(only=DEAD))).items()}

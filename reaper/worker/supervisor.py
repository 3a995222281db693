"""The background task of a worker: token refresh, operator's pause, queue maintenance, heartbeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from reaper.core.classify import OtherAccount
from reaper.core.errors import QueueUnavailableError
from reaper.core.gate import Gate
from reaper.core.model import Pause, PauseReason
from reaper.core.target import OtherTarget
from reaper.queues.base import WorkPort
from reaper.worker.ports import CompareTarget, Journal, TokenWatch, WorkerOptions
from reaper.worker.queue_health import QueueHealth
from reaper.worker.shutdown import Shutdown

TICK_S = 0.5
MAINTENANCE_S = 2.0
HEARTBEAT_S = 5.0
MAX_DETAILS = 5
"""So many details of one pause are logged: those of its reads may alternate for hours."""
QUEUE_TIMEOUT_S = 10.0
"""How long one poll of the queue may take: the token has to be refreshed in the meantime."""
PAUSE_KNOWN_S = 15.0
"""How long the operator's pause counts as known after it was read: a poll that hangs once is no reason to stop."""


@dataclass(slots=True)
class Supervisor:
    """Runs beside the claim loop and never sends a DELETE.

    `should_stop` is asked every tick with the pauses that hold and how long the queue has been unavailable (s); True
    drains the worker. `wake` makes the claim loop turn.
    """

    queue: WorkPort
    gate: Gate
    token: TokenWatch
    options: WorkerOptions
    journal: Journal
    queue_health: QueueHealth
    shutdown: Shutdown
    compare_target: CompareTarget
    should_stop: Callable[[Sequence[Pause], float], bool]
    drain: Callable[[], None]
    wake: Callable[[], None]
    clock: Callable[[], float]
    now: Callable[[], float]
    _reported: dict[PauseReason, Pause] = field(default_factory=dict)
    """Pauses whose beginning was logged, and whose end was not."""
    _details: dict[PauseReason, set[str]] = field(default_factory=dict)
    """What was logged of each."""
    _maintenance_at: float = -math.inf
    _heartbeat_at: float = -math.inf
    _last_heartbeat: tuple[int, frozenset[str]] | None = None
    _pause_read_at: float = math.inf
    """When the operator's pause was last read."""

    async def supervise(self) -> None:
        """Refresh the token, poll the queue, log changes of pauses, and drain when `should_stop` says so.

        Runs until cancelled.
        """
        while True:
            if self.token.refresh():
                self.gate.target_changed(self.now(), self.token.generation)
            try:
                with anyio.fail_after(QUEUE_TIMEOUT_S):
                    await self._poll_queue()
            except QueueUnavailableError as error:
                self._note_failure(error)
            except TimeoutError:
                self._note_failure(QueueUnavailableError(f"the queue did not answer within {QUEUE_TIMEOUT_S:g} s"))
            else:
                if self.queue_health.unavailable_s:
                    self.queue_health.mark_available()
                    self.wake()
            self.report_pauses()
            if not self.shutdown.has_begun and self.should_stop(self.pauses(), self.queue_health.unavailable_s):
                self.drain()
            await anyio.sleep(TICK_S)

    async def read_pause(self) -> None:
        """Read the operator's pause from the queue. Raises QueueError.

        For `PAUSE_KNOWN_S` it counts; the gate admits nothing after that, until it is read again.
        """
        asked_at = self.now()
        self.gate.set_operator(await self.queue.paused(), asked_at + PAUSE_KNOWN_S)
        self._pause_read_at = asked_at
        self.queue_health.is_pause_known = True

    def _note_failure(self, error: QueueUnavailableError) -> None:
        """Mark the queue unavailable: until the operator's pause is read again, if that is not known any more."""
        unread_s = self.now() - self._pause_read_at
        if unread_s >= PAUSE_KNOWN_S:
            self.queue_health.is_pause_known = False
            error = QueueUnavailableError(
                f"whether the operator paused could not be read for {unread_s:.0f} s, so nothing is sent: {error}"
            )
        self.queue_health.mark_unavailable(error)

    async def watch_target(self) -> None:
        """Hold everything up while the queue keeps another address; have the account shown anew if that is another.

        Raises QueueError.
        """
        generation = self.token.generation
        other = await self.compare_target(proven=self.gate.has_proof)
        if self.token.generation != generation:
            return  # a reload set another address meanwhile, and compared that
        self.gate.hold_target(self.now(), other.detail if isinstance(other, OtherTarget) else None)
        if isinstance(other, OtherAccount) and self.gate.proven:
            self.gate.target_changed(self.now(), generation)

    def report_pauses(self) -> None:
        """Log each beginning and each end of a pause once, and each other detail that it gets."""
        held = {pause.reason: pause for pause in self.pauses()}
        for reason in held.keys() & self._reported.keys() - {PauseReason.THROTTLED}:
            details, detail = self._details[reason], held[reason].detail
            if detail not in details and len(details) < MAX_DETAILS:
                details.add(detail)
                self.journal.pause_changed(held[reason])
        if held.keys() == self._reported.keys():
            return
        for reason in held.keys() - self._reported.keys():
            self.journal.paused(held[reason])
            self._details[reason] = {held[reason].detail}
        for reason in self._reported.keys() - held.keys():
            self.journal.resumed(reason, self.clock() - self._reported[reason].since, last=not held)
        self._reported = held
        self.wake()

    def pauses(self) -> list[Pause]:
        """Return the pauses that hold, in wall-clock time."""
        now = self.now()
        return [pause.shifted(self.clock() - now) for pause in self.gate.pauses(now)]

    async def _poll_queue(self) -> None:
        """Read the operator's pause; from time to time maintain the queue and write a heartbeat. Raises QueueError."""
        now = self.now()
        await self.read_pause()
        if now >= self._maintenance_at:
            if await self.queue.maintain(self.options.keep_settled_s):
                self.wake()
            await self.watch_target()
            self._maintenance_at = now + MAINTENANCE_S
        beat = self.gate.limit, frozenset(pause.reason for pause in self.pauses())
        # In an outage each poll writes: a read may succeed on a full disk.
        if beat != self._last_heartbeat or now >= self._heartbeat_at or self.queue_health.unavailable_s:
            await self.queue.heartbeat(self.gate.limit, self.pauses())
            self._last_heartbeat, self._heartbeat_at = beat, now + HEARTBEAT_S

"""The worker: its parts put together, and the ways to end it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from reaper.core.gate import Gate
from reaper.core.model import Pause
from reaper.queues.base import RunSet, WorkPort
from reaper.worker.attempt import Attempts
from reaper.worker.claims import Claims
from reaper.worker.ports import Api, Identify, IdleWait, Journal, Preflight, TokenWatch, WorkerOptions
from reaper.worker.queue_health import QueueHealth
from reaper.worker.settler import Settler
from reaper.worker.shutdown import Shutdown
from reaper.worker.supervisor import Supervisor


@dataclass(slots=True)
class Worker:
    """One run of the worker. `idle` decides when it ends by itself; `within` bounds what it claims."""

    queue: WorkPort
    api: Api
    gate: Gate
    token: TokenWatch
    options: WorkerOptions
    journal: Journal
    idle: IdleWait
    identify: Identify
    preflight: Preflight | None = None
    within: RunSet | None = None
    should_stop: Callable[[Sequence[Pause], float], bool] = lambda pauses, unavailable_s: False
    clock: Callable[[], float] = time.time
    """Wall clock of the queue's engine, for timestamps that are stored."""
    now: Callable[[], float] = anyio.current_time
    """Monotonic clock, for durations."""
    jitter: Callable[[], float] = random.random
    queue_health: QueueHealth = field(init=False)
    _shutdown: Shutdown = field(default_factory=Shutdown)
    _settler: Settler = field(init=False)
    _attempts: Attempts = field(init=False)
    _claims: Claims = field(init=False)
    _supervisor: Supervisor = field(init=False)

    def __post_init__(self) -> None:
        self.queue_health = QueueHealth(self.journal, self.now, self.jitter)
        self._settler = Settler(self.queue, self.journal, self.queue_health, self._shutdown, on_settled=self.wake)
        self._attempts = Attempts(
            self.api, self.gate, self.options, self.preflight, self.queue_health, self._shutdown,
            self.clock, self.now, self.jitter,
        )  # fmt: skip
        self._claims = Claims(
            self.queue, self.gate, self.options, self._attempts, self._settler, self.queue_health, self._shutdown,
            self.idle, self.within, self.now,
        )  # fmt: skip
        self._attempts.post_result = self._claims.post_result
        self._supervisor = Supervisor(
            self.queue, self.gate, self.token, self.options, self.journal, self.queue_health, self._shutdown,
            self.identify, self.should_stop, self.drain, self.wake, self.clock, self.now, self.jitter,
        )  # fmt: skip

    async def run(self) -> None:
        """Work until `idle` ends it or a shutdown is over; then every lease is settled or released."""
        # Known before the first claim: a pause that was set yesterday must not lose a race against it.
        self.gate.set_operator(await self.queue.paused())
        async with anyio.create_task_group() as background:
            background.start_soon(self._supervisor.supervise)
            background.start_soon(self._supervisor.run_identity_reads)
            async with self._settler.open():
                with self._shutdown.scope:
                    await self._claims.run()
            self._supervisor.report_pauses()
            background.cancel_scope.cancel()

    def drain(self, within_s: float | None = None) -> None:
        """Claim nothing more; let sends end within `within_s` (None: the configured timeout), release the rest."""
        self._shutdown.drain(self.options.drain_timeout_s if within_s is None else within_s)
        self.wake()

    def finish(self) -> None:
        """Go on until `idle` ends it, for at most the drain timeout; then release what still waits."""
        self._shutdown.finish(self.options.drain_timeout_s)
        self.wake()

    def abort(self) -> None:
        """Cancel what is in flight and release everything now."""
        self._shutdown.abort()

    def wake(self) -> None:
        """Make the claim loop turn at once: something was added, or a pause ended."""
        self._claims.wake()

    def reconfigure(self, api: Api, options: WorkerOptions, preflight: Preflight | None) -> None:
        """Use another client, other options and another preflight check from the next item on.

        Sends in flight end as they began.
        """
        self.api = self._attempts.api = api
        self.preflight = self._attempts.preflight = preflight
        self.options = self._attempts.options = self._claims.options = self._supervisor.options = options

    @property
    def is_draining(self) -> bool:
        """Whether it was asked to end, be it by `drain`, `finish` or `abort`."""
        return self._shutdown.has_begun

    @property
    def is_claiming(self) -> bool:
        """Whether it still claims, if only until nothing is left."""
        return not self._shutdown.is_draining

    @property
    def sends(self) -> int:
        """DELETEs sent so far."""
        return self._attempts.sends

    @property
    def stalled_s(self) -> float:
        """How long the claim loop has not turned."""
        return self.now() - self._claims.last_tick_at

    def pauses(self) -> list[Pause]:
        """Return the pauses that hold, in wall-clock time."""
        return self._supervisor.pauses()

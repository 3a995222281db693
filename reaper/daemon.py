"""`run`: intake and worker until a signal says stop."""

from __future__ import annotations

import os
import time
from functools import partial

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from reaper import __version__
from reaper.api.credentials import Credentials
from reaper.app import first_error, new_worker, open_edge
from reaper.errors import ConfigError
from reaper.intake.follow import Follower
from reaper.intake.run import Source, intake_loop
from reaper.intake.spool import Spool
from reaper.lifecycle import obey_signals
from reaper.queues.base import Queue
from reaper.settings_load import Loaded
from reaper.settings_quick import split_listen
from reaper.telemetry import events, logs
from reaper.telemetry.health import STALLED_S, health_pages
from reaper.telemetry.journal import LogReport
from reaper.telemetry.listener import serve
from reaper.telemetry.metrics import Metrics
from reaper.telemetry.notify import notifier_of
from reaper.worker import Worker

IDLE_MOST_S = 1.0
"""How long an idle daemon rests at most before it asks the queue again: another process may have added."""
PRUNE_S = 3600.0
BEAT_S = 5.0
"""How often systemd hears of the state, seconds; three times per watchdog period where that is more often."""


class Daemon:
    """One daemon over one open queue."""

    def __init__(self, loaded: Loaded, queue: Queue, credentials: Credentials) -> None:
        self._loaded = loaded
        self._settings = loaded.settings
        self._queue = queue
        self._credentials = credentials
        self._notifier = notifier_of(os.environ)

    async def run(self) -> int:
        """Run until drained; return the exit code. Raises the first of our own errors."""
        log = logs.get()
        async with open_edge(self._settings, self._credentials) as edge:
            metrics = Metrics()
            worker = new_worker(self._settings, self._queue, edge, idle=self._idle, meter=metrics)
            begun = anyio.current_time()
            try:
                async with anyio.create_task_group() as around:
                    started = anyio.Event()
                    around.start_soon(partial(obey_signals, worker, started=started))
                    await started.wait()
                    await self._listen(around, worker, metrics)
                    self._intake(around, worker, metrics)
                    around.start_soon(self._beat, worker)
                    log.info(events.REAPER_READY, version=__version__, pid=os.getpid(), api=self._settings.api.base_url)
                    await worker.run()
                    self._notifier.tell(STOPPING="1")
                    around.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                raise first_error(group) from group
            stats = await self._queue.stats()
            log.info(
                events.REAPER_EXITED,
                sends=worker.sends,
                waiting=stats.ready + stats.delayed,
                ran_s=round(anyio.current_time() - begun, 1),
            )
        return 0

    async def _listen(self, around: TaskGroup, worker: Worker, metrics: Metrics) -> None:
        """Open the health listener. A default address that is busy is a warning, a configured one an error."""
        address = split_listen(self._settings.telemetry.listen)
        if address is None:
            return
        try:
            await around.start(serve, *address, health_pages(worker, self._queue, metrics))
        except ConfigError as error:
            if self._loaded.origins["telemetry.listen"] != "default":
                raise
            logs.get().warning(events.LISTENER_FAILED, detail=str(error))

    async def _beat(self, worker: Worker) -> None:
        """Tell systemd that the service is ready, how it stands, and, while the work moves, that it is alive."""
        self._notifier.tell(READY="1")
        if self._notifier.address is None:
            return
        rest_s = min(BEAT_S, self._notifier.watchdog_s / 3) if self._notifier.watchdog_s else BEAT_S
        sends = worker.sends
        while True:
            await anyio.sleep(rest_s)
            fields = {"STOPPING": "1"} if worker.draining else {}
            if self._notifier.watchdog_s and anyio.current_time() - worker.moved_at < STALLED_S:
                fields["WATCHDOG"] = "1"
            stats = await self._queue.stats()
            rate, sends = (worker.sends - sends) / rest_s, worker.sends
            held = ", ".join(f"paused: {pause.reason.value}" for pause in worker.pauses())
            status = f"{stats.ready} ready, {stats.delayed} delayed, {stats.dead} dead, {rate:.1f} sends/s"
            self._notifier.tell(**fields, STATUS=f"{status}; {held}" if held else status)

    async def _idle(self, paused: bool) -> float | None:
        next_at = await self._queue.next_at()
        return IDLE_MOST_S if paused or next_at is None else min(max(next_at - time.time(), 0.01), IDLE_MOST_S)

    def _intake(self, around: TaskGroup, worker: Worker, metrics: Metrics) -> None:
        """Start to follow the files and the spool directory. Raises ConfigError for a directory that can't be used."""
        intake = self._settings.intake
        sources: list[Source] = [Follower(self._queue, str(path), intake.default_after_s) for path in intake.files]
        if intake.spool_dir is not None:
            spool = Spool(self._queue, intake.spool_dir, intake.default_after_s)
            spool.prepare()
            sources.append(spool)
            around.start_soon(self._prune, spool)
        if sources:
            around.start_soon(intake_loop, sources, intake.poll_s, LogReport(logs.get(), metrics, worker.wake))

    async def _prune(self, spool: Spool) -> None:
        """Drop imported files as old as the settled rows that are pruned."""
        while True:
            await anyio.to_thread.run_sync(spool.prune, self._settings.queue.keep_settled_s)
            await anyio.sleep(PRUNE_S)

"""`run`: intake and worker until a signal ends them; SIGHUP reloads the configuration."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from reaper.api.credentials import Credentials
from reaper.app.console.routes import ConsoleRoutes, check_admin_file
from reaper.app.heartbeat import ServiceHeartbeat
from reaper.app.notifier import Notifier
from reaper.app.reload import DaemonParts, apply_configuration
from reaper.app.signals import Signals, end_or_reload
from reaper.app.task_groups import first_error, log_failed_queue
from reaper.app.whose import whose_of
from reaper.app.wiring import new_discovery, new_identity, new_worker, open_api, sources_of
from reaper.core.classify import OtherAccount, ReadVerdict, Throttled
from reaper.core.errors import ConfigError, Exit, QueueUnavailableError, ReaperError
from reaper.core.target import OtherTarget
from reaper.core.text import describe_unforeseen
from reaper.core.version import __version__
from reaper.intake.poller import Intake
from reaper.intake.read_inputs import read_inputs
from reaper.intake.spool import Spool
from reaper.queues.base import Queue
from reaper.settings.listen_address import split_listen
from reaper.settings.load import Loaded
from reaper.telemetry import events, logs
from reaper.telemetry.endpoints import health_pages
from reaper.telemetry.event_log import SweepLog, log_exit
from reaper.telemetry.http.server import serve
from reaper.telemetry.intake_log import LogReport
from reaper.telemetry.metrics import Metrics
from reaper.telemetry.sd_notify import notifier_of
from reaper.worker.worker import Worker

MAX_IDLE_S = 1.0
"""How long an idle daemon rests at most before it polls the queue again: another process may have added."""
IDLE_AT_END_S = 0.2
PRUNE_S = 3600.0
INPUTS_S = 2.0
"""Between two looks at the state of the inputs."""
LAST_STATS_S = 1.0
"""How long the end waits for the counts of its last log line."""


class Daemon:
    """One daemon over one open queue.

    `load` reads the configuration anew. `reap`: at the end everything that waits is stopped, not only what is in
    flight; for a queue that belongs to this process alone.
    """

    def __init__(
        self,
        loaded: Loaded,
        queue: Queue,
        credentials: Credentials,
        notifier: Notifier,
        *,
        load: Callable[[], Loaded],
        reap: bool,
    ) -> None:
        self._loaded = loaded
        self._queue = queue
        self._credentials = credentials
        self._messages = notifier
        self._load = load
        self._reap = reap
        self._all_due = False
        """At the end with `reap`: everything that was taken in has been made due."""
        self._intake: Intake | None = None
        self._reloading = anyio.Lock()
        self._notifier = notifier_of(os.environ)

    async def run(self, signals: Signals) -> int:
        """Run until a signal ends it; return the exit code. Raises the first of our own errors."""
        settings = self._loaded.settings
        async with open_api(settings, self._credentials) as connection:
            metrics = Metrics()
            identity = new_identity(connection, self._queue)
            sweeps = SweepLog(metrics, metrics, lambda: worker.wake())
            discover = partial(
                new_discovery, queue=self._queue, connection=connection, identity=identity, report=sweeps
            )
            discovery_parts = discover(settings)
            worker = new_worker(
                settings, self._queue, connection, identity, discovery_parts, idle=self._idle, metrics=metrics
            )
            begun = anyio.current_time()
            try:
                async with anyio.create_task_group() as background:
                    sources = sources_of(settings, self._queue)
                    report = LogReport(metrics, worker.wake, worker.queue_health.mark_unavailable)
                    self._intake = Intake(sources, settings.intake.poll_s, report)
                    parts = DaemonParts(
                        self._loaded, self._queue, connection, worker, self._intake, sources, discovery_parts,
                        discover, identity, settings, self._messages, metrics,
                    )  # fmt: skip
                    end = partial(self._begin_reap, background, parts) if self._reap else None
                    reload = partial(background.start_soon, self._reload, parts)
                    with signals.obeyed(end_or_reload(worker, end=end, reload=reload)):
                        await self._listen(background, parts, metrics)
                        background.start_soon(self._intake.run)
                        background.start_soon(self._prune, parts)
                        background.start_soon(_watch_inputs, parts)
                        background.start_soon(self._discover, parts)
                        background.start_soon(self._messages.run, worker)
                        background.start_soon(ServiceHeartbeat(self._notifier, worker, self._queue).run)
                        logs.get().info(
                            events.REAPER_READY, version=__version__, pid=os.getpid(), api=settings.api.base_url
                        )
                        await worker.run()
                        self._notifier.notify(STOPPING="1")
                        background.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                error = first_error(group)
                log_failed_queue(error)
                raise error from group
            code = await self._log_exit(worker, anyio.current_time() - begun)
            signals.leave_with(code)
            await self._messages.finish()
            return code

    async def _log_exit(self, worker: Worker, ran_s: float) -> int:
        """Log how it ended; return the exit code, which under `reap` depends on what still waits."""
        facts: dict[str, object] = {"sends": worker.sends, "ran_s": round(ran_s, 1)}
        try:
            with anyio.fail_after(LAST_STATS_S):
                stats = await self._queue.stats()
        except (QueueUnavailableError, TimeoutError) as error:
            code = Exit.WORK_LEFT if self._reap else Exit.OK
            log_exit(code, str(error) or f"the queue did not answer within {LAST_STATS_S:g} s", facts=facts)
            return code
        left = stats.ready + stats.delayed + stats.in_flight
        facts |= {"waiting": left, "dead": stats.dead}
        if self._reap and (left or not self._all_due):
            detail = "not all sessions were stopped in time; the rest stays in the ledger for the next reaper on it"
            if not self._all_due:
                detail = "ended before the latest input was taken in; it stays where it is for the next reaper"
            log_exit(Exit.WORK_LEFT, detail, facts=facts)
            return Exit.WORK_LEFT
        log_exit(Exit.OK, facts=facts)
        return Exit.OK

    # --- reap: the end with everything stopped --------------------------------------------------------------------

    def _begin_reap(self, background: TaskGroup, parts: DaemonParts) -> None:
        """Begin to stop everything that waits, within the drain timeout."""
        parts.worker.finish()
        background.start_soon(self._expedite_all, parts)

    async def _expedite_all(self, parts: DaemonParts) -> None:
        """Take in what producers wrote last, then make every waiting ID due, retries included."""
        await parts.intake.poll()
        hastened = await parts.worker.queue_health.retry_until_available(lambda: self._queue.make_due(retries=True))
        for spool in (source for source in parts.sources if isinstance(source, Spool)):
            if unfinished := await anyio.to_thread.run_sync(spool.unfinished):
                note = f"{unfinished} in tmp/ were never moved to new/: the sessions they name are not stopped"
                logs.get().warning(events.INTAKE_NOTED, source=spool.name, note=note)
        logs.get().info(events.INTAKE_CLOSED, hastened=hastened)
        self._all_due = True
        parts.worker.wake()

    async def _idle(self, paused: bool) -> float | None:
        if self._all_due and self._intake is not None:
            # Producers may still write: take in until nothing comes.
            await self._intake.poll()
            if await self._queue.make_due(retries=False):
                return 0.0
        next_at = await self._queue.next_at()
        if self._all_due and next_at is None:
            # A last line without newline is taken when its file stops changing.
            return IDLE_AT_END_S if self._intake is not None and self._intake.is_settling else None
        return MAX_IDLE_S if paused or next_at is None else min(max(next_at - self._queue.now(), 0.01), MAX_IDLE_S)

    # --- around the work --------------------------------------------------------------------------------------------

    async def _reload(self, parts: DaemonParts) -> None:
        """Read the configuration anew and apply it; a bad one is logged and changes nothing."""
        async with self._reloading:
            self._notifier.notify(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))
            try:
                loaded = await anyio.to_thread.run_sync(self._load)
                changed, fixed = await apply_configuration(parts, loaded)
            except (ConfigError, ValueError, OSError) as error:
                parts.metrics.reloaded(successful=False)
                detail = f"the new configuration is refused and the old one kept: {error}"
                parts.config_refused = logs.redacted(detail)
                logs.get().error(events.CONFIG_REFUSED, detail=detail)
            else:
                parts.metrics.reloaded(successful=True)
                parts.config_refused = None
                note = {"after_restart": fixed} if fixed else {}
                warned = {"warnings": loaded.warnings} if loaded.warnings else {}
                logs.get().info(events.CONFIG_RELOADED, changed=changed, **note, **warned)
            self._notifier.notify(READY="1")

    async def _listen(self, background: TaskGroup, parts: DaemonParts, metrics: Metrics) -> None:
        """Open the health listener. A default address that is busy is a warning, a configured one an error."""
        address = split_listen(self._loaded.settings.telemetry.listen)
        if address is None:
            return
        check_admin_file(parts.settings, parts.bounded)
        try:
            whose = partial(whose_of, lambda: parts.loaded, os.environ)
            console = ConsoleRoutes(self._queue, lambda: parts.settings.telemetry, whose)
            pages = health_pages(parts.worker, self._queue, metrics, whose, console.navigation, parts.facts)
            await background.start(partial(serve, *address, lambda: console.beside(pages)))
        except ConfigError as error:
            if self._loaded.origins["telemetry.listen"] != "default":
                raise
            logs.get().warning(events.LISTENER_FAILED, detail=str(error))

    async def _discover(self, parts: DaemonParts) -> None:
        """Sweep while discovery is on. A sweep that finds the queue unavailable is skipped."""
        while True:
            settings = parts.settings.discovery
            silent_s = parts.worker.gate.silent_until - parts.worker.now()
            if settings.enabled and silent_s > 0:
                await anyio.sleep(silent_s)
                continue
            if settings.enabled and parts.worker.is_claiming:
                try:
                    await parts.discovery_parts.discovery.sweep(on_unread=partial(_heed, parts.worker))
                except QueueUnavailableError as error:
                    parts.worker.queue_health.mark_unavailable(error)
                except ReaperError:
                    raise
                except Exception as error:  # noqa: BLE001 - discovery may not end the stopping of what is queued
                    parts.discovery_parts.discovery.report.stopped(describe_unforeseen(error))
            await anyio.sleep(settings.interval_s * random.uniform(0.9, 1.1) if settings.enabled else MAX_IDLE_S)

    async def _prune(self, parts: DaemonParts) -> None:
        """Delete imported spool files at the age at which settled rows are pruned."""
        while True:
            for spool in (source for source in parts.sources if isinstance(source, Spool)):
                await anyio.to_thread.run_sync(spool.prune, parts.settings.queue.keep_settled_s)
            await anyio.sleep(PRUNE_S)


async def _watch_inputs(parts: DaemonParts) -> None:
    """Keep the state of the inputs for the pages: these may not wait for a file, whose mount can stall."""
    while True:
        intake = parts.settings.intake
        look = partial(read_inputs, intake.files, intake.spool_dir)
        with suppress(OSError, ValueError):
            parts.inputs = await anyio.to_thread.run_sync(look, abandon_on_cancel=True)
        await anyio.sleep(max(intake.poll_s, INPUTS_S))


def _heed(worker: Worker, unread: ReadVerdict) -> None:
    """Let the DELETEs pause, too, for what a sweep was answered."""
    match unread:
        case OtherAccount() | OtherTarget():  # to it each session of the queue is a 404
            worker.gate.observe_read(worker.now(), unread, jitter=random.random())
            worker.wake()
        case Throttled():
            worker.gate.keep_silence(worker.now(), unread, jitter=random.random())
        case _:
            pass

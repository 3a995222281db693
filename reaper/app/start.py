"""The start of `run` with loaded settings. `reaper check` takes the same steps without a trace (`app/check`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from reaper.api.credentials import Credentials
from reaper.app.daemon import Daemon
from reaper.app.notifier import Notifier
from reaper.app.notify_at_end import report_failure
from reaper.app.signals import Signals
from reaper.queues.base import Queue
from reaper.queues.open import is_shared
from reaper.settings.load import Loaded
from reaper.telemetry.event_log import LogJournal
from reaper.worker.queue_health import QueueHealth


def waits_for_queue(queue_url: str) -> bool:
    """Return whether the start waits until an outage of the queue is over: of a ledger; a server's ends it with 69."""
    return not is_shared(queue_url)


async def start_and_run(
    loaded: Loaded,
    credentials: Credentials,
    signals: Signals,
    *,
    open_writing: Callable[[], AbstractAsyncContextManager[Queue]],
    load: Callable[[], Loaded],
    reap: bool,
) -> int:
    """Open the queue and run the daemon until a signal ends it; return the exit code. Raises our own errors.

    `load` reads the configuration anew, `reap` stops everything at the end: see `Daemon`.
    """
    notifier = Notifier(loaded.settings)
    async with report_failure(notifier), AsyncExitStack() as stack:

        def open_now() -> Awaitable[Queue]:
            return stack.enter_async_context(open_writing())

        if waits_for_queue(loaded.settings.queue.url):
            queue = await QueueHealth(LogJournal()).retry_until_available(open_now)
        else:
            queue = await open_now()
        notifier.use_queue(queue)
        stack.callback(notifier.use_queue, None)
        return await Daemon(loaded, queue, credentials, notifier, load=load, reap=reap).run(signals)

"""The notifier of a process, made only where the settings name somebody to notify; imports nothing of it before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from reaper.app.task_groups import first_error
from reaper.core.errors import ReaperError
from reaper.settings.schema import Settings

if TYPE_CHECKING:
    from reaper.app.notifier import Notifier
    from reaper.queues.base import Queue
    from reaper.worker.worker import Worker


class Nobody:
    """A notifier where nobody is to be notified."""

    def use_queue(self, queue: Queue | None) -> None: ...

    def watching(
        self, worker: Worker, inner: AbstractAsyncContextManager[object]
    ) -> AbstractAsyncContextManager[object]:
        return inner

    async def finish_run(self, exit_code: int, text: str) -> None: ...

    async def finish(self, fault: str | None = None) -> None: ...


def notifier_of(settings: Settings, *, silent: bool = False) -> Notifier | Nobody:
    """Return the notifier of one run. `silent`: it is a rehearsal, of which nobody is notified."""
    if silent or not settings.notify.is_on:
        return Nobody()
    from reaper.app.notifier import Notifier

    return Notifier(settings)


@asynccontextmanager
async def report_failure(notifier: Notifier | Nobody) -> AsyncIterator[None]:
    """Ping that the run failed when an error ends the body; the error goes on."""
    try:
        yield
    except Exception as error:
        with anyio.CancelScope(shield=True):
            await notifier.finish(describe_failure(error))
        raise


def describe_failure(error: Exception) -> str:
    """Return why a run failed, in words that hold no secret: our own errors', else the kind of error."""
    cause = first_error(error) if isinstance(error, ExceptionGroup) else error
    return str(cause) if isinstance(cause, ReaperError) else f"internal error: {type(cause).__name__}"

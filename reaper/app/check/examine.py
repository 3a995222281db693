"""All lines of `reaper check`, in the order of the first steps of `run`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import anyio

from reaper.api.credentials import Credentials
from reaper.app.check.api import account_lines, api_lines, ask
from reaper.app.check.configuration import settings_lines
from reaper.app.check.console import console_lines
from reaper.app.check.intake import intake_lines, owners_lines, protect_lines
from reaper.app.check.line import Line, hindrance_of
from reaper.app.check.listener import listen_line
from reaper.app.check.notify import notify_lines
from reaper.app.check.queue import fault_of_queue, queue_lines
from reaper.app.check.target import HELD, accept, read_pinned, refusal, target_line
from reaper.app.check.token import token_fault, token_risks
from reaper.app.startup import credentials_of
from reaper.core.errors import ConfigError, NoQueueError, QueueError, QueueUnavailableError, ReaperError
from reaper.queues.base import Queue
from reaper.queues.open import open_empty_queue, open_queue
from reaper.settings.load import Loaded
from reaper.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The order to pin the address and the account of now; `unseen`: even when they do not show that they are right."""

    open_writing: Callable[[], AbstractAsyncContextManager[Queue]]
    unseen: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """The queue as it was opened for reading; None: there is none yet, or (`error`) it cannot be used."""

    queue: Queue | None = None
    warnings: tuple[str, ...] = ()
    error: ReaperError | None = None


async def examine(loaded: Loaded, *, acceptance: Acceptance | None = None) -> list[Line]:
    """Take the first steps of `run` without a trace, apart from an acceptance; return a line for each finding.

    Sends no DELETE.
    """
    settings, credentials = loaded.settings, None
    lines = [*settings_lines(loaded), *token_risks(settings)]
    try:
        credentials = credentials_of(settings)
    except ConfigError as error:
        lines.append(token_fault(error))
    accepted = [] if acceptance is None else await _accept(settings, credentials, acceptance)
    async with _opened(settings) as found:
        lines += await _queue_lines(loaded, found)
        lines += accepted or await _api_lines(settings, credentials, found)
        lines += protect_lines(settings)
        lines += await intake_lines(settings)
        lines += await owners_lines(settings)
        lines += console_lines(settings)
        lines += await notify_lines(settings)
        lines.append(await listen_line(loaded, found.queue))
    return lines


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Found]:
    """Open the queue for reading, as far as it can be."""
    try:
        opened = await open_queue(settings.queue.url, create=False, read_only=True, worker=False)
    except NoQueueError:
        yield _Found()
    except ReaperError as error:
        yield _Found(error=error)
    else:
        async with _closed(opened.queue):
            yield _Found(opened.queue, opened.warnings)


@asynccontextmanager
async def _closed(queue: Queue) -> AsyncIterator[Queue]:
    try:
        yield queue
    finally:
        with anyio.CancelScope(shield=True):
            await queue.close()


async def _queue_lines(loaded: Loaded, found: _Found) -> list[Line]:
    try:
        if found.error is not None:
            raise found.error
        return await queue_lines(loaded, found.queue, found.warnings)
    except ReaperError as error:
        return [fault_of_queue(loaded.settings, error)]


async def _api_lines(settings: Settings, credentials: Credentials | None, found: _Found) -> list[Line]:
    """Compare the address with the queue's, and ask the API unless the address is another."""
    if found.error is not None:
        return [_nothing_sent(found.error)]
    try:
        async with _closed(await open_empty_queue()) as empty:
            queue = found.queue or empty
            pinned = await read_pinned(queue, has_queue=found.queue is not None)
            lines = [target_line(settings, pinned)]
            if credentials is not None and lines[0].ok:
                asked = await ask(settings, credentials, queue)
                lines += [*api_lines(settings, credentials, asked), *account_lines(asked, pinned)]
    except QueueError as error:
        return [_nothing_sent(error)]
    except ConfigError as error:
        lines.append(Line("api", str(error), hindrance_of(error)))
    return lines


def _nothing_sent(error: ReaperError) -> Line:
    """Return the line about an address that could not be compared; the queue's own line says why."""
    why = "it cannot be read" if isinstance(error, QueueUnavailableError) else "it cannot be used"
    return Line("target", f"nothing was sent, because the queue keeps the API's address, and {why}", HELD)


async def _accept(settings: Settings, credentials: Credentials | None, acceptance: Acceptance) -> list[Line]:
    """Ask the API at any address, where that is allowed, and pin what it shows."""
    lines: list[Line] = []
    whose = None
    try:
        if settings.api.verify and credentials is not None:
            async with _closed(await open_empty_queue()) as empty:  # it keeps nothing that could be compared
                asked = await ask(settings, credentials, empty)
            lines += api_lines(settings, credentials, asked)
            whose = asked.whose
        if (no := refusal(settings, whose, unseen=acceptance.unseen)) is not None:
            return [*lines, no]
        async with acceptance.open_writing() as queue:
            return [*lines, *await accept(queue, settings, whose)]
    except QueueError as error:
        return [*lines, _nothing_sent(error)]
    except ConfigError as error:
        return [*lines, Line("api", str(error), hindrance_of(error))]

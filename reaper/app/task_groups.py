"""Errors out of task groups: one plain error instead of a group."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from reaper.core.errors import QueueError, ReaperError
from reaper.telemetry import events, logs

T = TypeVar("T")


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of our own errors in a task group's failure, else the first of any."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)
        else:
            leaves.append(error)
    return next((leaf for leaf in leaves if isinstance(leaf, ReaperError)), leaves[0])


async def raise_first_error(awaitable: Awaitable[T]) -> T:
    """Await something that opens task groups; raise its failure as one plain error."""
    try:
        return await awaitable
    except BaseExceptionGroup as group:
        error = first_error(group)
        log_failed_queue(error)
        raise error from group


def log_failed_queue(error: BaseException) -> None:
    """Log the error that ends a run if it is the queue's."""
    if isinstance(error, QueueError):
        logs.get().error(events.QUEUE_UNAVAILABLE, detail=str(error))

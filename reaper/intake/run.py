"""The daemon's intake: polls every followed file and the spool, for as long as the process takes anything in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import anyio

from reaper.errors import UsageError
from reaper.intake.report import Report
from reaper.queues.base import Added


class Source(Protocol):
    """Something that brings IDs again and again; `name` is its path."""

    name: str

    async def poll(self, report: Report) -> Added | None:
        """Take in what is new. Raises UsageError or OSError when it can't be used now, QueueError as the queue does."""


async def intake_loop(sources: Sequence[Source], poll_s: float, report: Report) -> None:
    """Poll the sources in turn, with `poll_s` between rounds, until cancelled.

    A source that can't be used is told of once per change and does not hold up the others. Raises QueueError; the
    loop may be started again with the same sources.
    """
    failing: dict[str, str] = {}
    while True:
        for source in sources:
            try:
                await source.poll(report)
            except (UsageError, OSError) as error:
                told = _sentence(error, source.name)
                if failing.get(source.name) != told:
                    failing[source.name] = told
                    report.failed(source.name, told)
            else:
                if failing.pop(source.name, None) is not None:
                    report.recovered(source.name)
        await anyio.sleep(poll_s)


def _sentence(error: UsageError | OSError, name: str) -> str:
    if isinstance(error, UsageError):
        return str(error)
    return f"{error.filename or name} cannot be used now: {error.strerror or error}"

"""`once --metrics-file`: the metrics of a run, for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import Protocol

import anyio

from reaper.core import account
from reaper.core.errors import QueueError
from reaper.core.model import Stats, WorkerHeartbeat
from reaper.core.text import sanitize
from reaper.core.urls import masked_url
from reaper.settings.schema import Settings
from reaper.telemetry.metrics import Metrics

MODE = 0o644
"""The node exporter runs as a user of its own, and the file holds neither session IDs nor secrets."""
COUNT_S = 5.0
"""How long the queue may take to be counted at the end."""


class CountedQueue(Protocol):
    """What the metrics need of a queue."""

    async def stats(self) -> Stats: ...

    async def live_workers(self) -> list[WorkerHeartbeat]: ...

    async def read_value(self, name: str) -> str | None: ...


class MetricsFile:
    """The metrics of one run and the file that they are written to, also when the run fails."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.metrics = Metrics(of_process=False)
        self.metrics.queue(None)

    async def count(self, queue: CountedQueue, settings: Settings) -> None:
        """Count the queue as the run leaves it. A queue that cannot be used now leaves its gauges NaN."""
        with suppress(QueueError, TimeoutError), anyio.fail_after(COUNT_S):
            stats, workers = await queue.stats(), await queue.live_workers()
            pinned = account.read_account(await queue.read_value(account.KEY))
            self.metrics.whose(
                settings.api.base_url, sanitize(pinned.user_id) if pinned else "", masked_url(settings.queue.url) or ""
            )
            self.metrics.queue(stats, len(workers))

    def write(self, exit_code: int) -> str | None:
        """Write the file in one step; return why it could not be written, None when it was.

        A reader sees the former file or the whole new one.
        """
        self.metrics.ended(exit_code)
        folder, name = os.path.split(os.path.abspath(self.path))
        temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                with open(descriptor, "wb") as file:
                    file.write(self.metrics.render())
                    os.fchmod(file.fileno(), MODE)
                os.replace(temporary, self.path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError as error:
            return f"the metrics could not be written to {self.path}: {error.strerror or error}"
        return None

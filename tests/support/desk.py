"""The commands over many IDs, run in this process on a queue of any engine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from reaper.cli import main
from reaper.core.model import Item, Outcome, Send, SessionId, Settle
from reaper.queues.base import Queue
from reaper.queues.open import open_queue
from reaper.queues.values import Batch, NewItem
from tests.support.queues.harness import ended

MANY = 25


@dataclass(slots=True)
class Desk:
    """A queue, and an operator before it."""

    url: str
    capsys: pytest.CaptureFixture[str]

    def run(self, line: str, *more: str) -> tuple[int, str, str]:
        """Run a command line; return its exit code, stdout and stderr."""
        code = main.dispatch([*line.split(), *more, "--queue", self.url])
        return code, *self.capsys.readouterr()

    def json(self, line: str, code: int = 0) -> Any:
        done = self.run(line, "--json")
        assert done[0] == code, done
        return json.loads(done[1])

    def use(self, work: Callable[[Queue], Any]) -> Any:
        """Let another process work on the queue."""

        async def run() -> Any:
            async with self.opened() as queue:
                return await work(queue)

        return anyio.run(run)

    @asynccontextmanager
    async def opened(self) -> Any:
        opened = await open_queue(self.url, create=True, read_only=False, worker=True)
        try:
            yield opened.queue
        finally:
            await opened.queue.close()

    def add(self, count: int = MANY, source: str = "/srv/wrong.ids", prefix: str = "env_") -> None:
        items = [NewItem(SessionId(f"{prefix}{number:03d}")) for number in range(count)]
        self.use(lambda queue: queue.add(Batch(source, items)))

    def settle(self, *ends: tuple[Outcome, int, str | None]) -> None:
        """Settle the first that are due, each so."""

        async def work(queue: Queue) -> None:
            for outcome, status, detail in ends:
                (lease,) = await queue.claim(1, lease_s=60)
                assert await ended(queue, lease, Settle(outcome, detail), Send(time.time(), 0.1, status=status))

        self.use(work)

    def item(self, name: str) -> Item | None:
        found: Item | None = self.use(lambda queue: queue.show(SessionId(name)))
        return found

    def open_ids(self) -> int:
        stats = self.use(lambda queue: queue.stats())
        assert self.use(lambda queue: queue.audit()).balanced
        return int(stats.ready + stats.delayed + stats.in_flight)

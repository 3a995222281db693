"""A spool beside a queue and a report that record, under a clock of the test."""

from __future__ import annotations

import os
from pathlib import Path

from reaper.intake.spool import Spool
from reaper.queues.values import Added
from tests.support.intake import RecordingQueue, RecordingReport


class Scene:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.queue = RecordingQueue()
        self.report = RecordingReport()
        self.now = 0.0
        self.spool = Spool(self.queue, root, now=lambda: self.now)

    def put(self, name: str | bytes, content: bytes, folder: str = "new") -> Path:
        path = self.root / folder / os.fsdecode(name)
        path.write_bytes(content)
        return path

    async def poll(self, *, after_s: float = 0.0) -> Added | None:
        self.now += after_s
        return await self.spool.poll(self.report)

    def names(self, folder: str) -> list[str]:
        return sorted(os.listdir(self.root / folder))

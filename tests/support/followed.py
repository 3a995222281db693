"""A followed file, its writer, and a follower that can be restarted."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from reaper.intake.follower import Follower
from reaper.queues.values import Added
from tests.support.intake import RecordingQueue, RecordingReport


class Scene:
    """A followed file, its writer, and a follower that can be restarted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queue = RecordingQueue()
        self.report = RecordingReport()
        self.follower = Follower(self.queue, str(path))
        self.written: list[str] = []
        self._clock = itertools.count(1_700_000_000)

    def write(self, *ids: str, path: Path | None = None, restamp: bool = True) -> None:
        """Append IDs; each writing at a later second, so that no test depends on how fine the disk's clock is."""
        with (path or self.path).open("a") as file:
            file.writelines(f"{one}\n" for one in ids)
        self.written += ids
        if restamp:
            os.utime(path or self.path, (next(self._clock),) * 2)

    def held(self) -> set[str]:
        return set(self.path.read_text().split())

    def rotate(self) -> None:
        for number in range(8, 0, -1):
            old = self.path.with_name(f"{self.path.name}.{number}")
            if old.exists():
                old.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))

    async def poll(self) -> Added | None:
        return await self.follower.poll(self.report)

    def restart(self) -> None:
        self.follower.close()
        self.follower = Follower(self.queue, str(self.path))

"""Beside a shared queue: rows there, positions here, and what a crash in between does."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.intake.follower import Follower
from reaper.queues.base import Queue
from reaper.queues.open import local_positions
from reaper.queues.values import Added, Batch, Position
from tests.support.intake import RecordingReport
from tests.support.queues.memory import MemoryQueue

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Shared:
    """A queue whose rows are elsewhere, as the back-ends for shared engines are built; `crash` comes in between."""

    def __init__(self, rows: MemoryQueue, state_dir: Path, identity: str = "one") -> None:
        self.rows, self.crash = rows, False
        self.store = local_positions(lambda: state_dir, identity)

    async def add(self, batch: Batch, **more: object) -> Added:
        added = await self.rows.add(batch, **more)  # type: ignore[arg-type]
        if self.crash:
            raise QueueUnavailableError("the process dies here")
        if batch.position is not None:
            await self.store.save(batch.position)
        return added

    async def positions(self) -> list[Position]:
        return await self.store.positions()


def follower(shared: Shared, path: Path) -> Follower:
    queue: Queue = shared  # type: ignore[assignment]
    return Follower(queue, str(path), 0.0)


async def test_a_crash_between_rows_and_position_adds_twice_and_loses_nothing(tmp_path: Path) -> None:
    path, rows = tmp_path / "ids.txt", MemoryQueue()
    path.write_text("a\nb\n")
    first = Shared(rows, tmp_path / "state")
    await follower(first, path).poll(RecordingReport())
    path.write_text("a\nb\nc\nd\n")
    first.crash = True
    with pytest.raises(QueueUnavailableError):
        await follower(first, path).poll(RecordingReport())
    await first.store.close()
    second = Shared(rows, tmp_path / "state")
    added = await follower(second, path).poll(RecordingReport())
    assert added is not None
    assert (added.accepted, added.duplicate) == (0, 2), "the lines after the kept position are read again, no others"
    stats = await rows.stats()
    assert (stats.accepted, stats.ready) == (4, 4)
    await second.store.close()


async def test_another_queue_is_told_everything_anew(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("a\nb\n")
    for identity in ("one", "another"):
        shared = Shared(MemoryQueue(), tmp_path / "state", identity)
        added = await follower(shared, path).poll(RecordingReport())
        assert added is not None
        assert added.accepted == 2
        assert await follower(shared, path).poll(RecordingReport()) is None
        await shared.store.close()
    kept = sorted(one.name for one in (tmp_path / "state").glob("*.db"))
    assert kept == ["positions-another.db", "positions-one.db"]
    assert all(one.stat().st_mode & 0o077 == 0 for one in (tmp_path / "state").iterdir())

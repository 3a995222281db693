"""The suite runs once for each back-end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reaper.queues.base import Queue
from tests.contract.harness import Harness, MemoryHarness, SqliteHarness


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory", "sqlite"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Harness]:
    made: Harness = MemoryHarness() if request.param == "memory" else SqliteHarness(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def queue(harness: Harness) -> Queue:
    return await harness.open()


@pytest.fixture
async def other(harness: Harness, queue: Queue) -> Queue:
    """A second process on the same store."""
    return await harness.open()

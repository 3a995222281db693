"""The suite runs once for each back-end."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from reaper.queues.base import Queue
from tests.support.queues.harness import Harness, MemoryHarness, SqliteHarness
from tests.support.queues.postgres_harness import PostgresHarness
from tests.support.queues.redis_harness import RedisHarness

MAKE: dict[str, Callable[[Path], Harness]] = {
    "memory": lambda _: MemoryHarness(),
    "sqlite": SqliteHarness,
    "postgres": lambda _: PostgresHarness(),
    "redis": lambda _: RedisHarness(),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=list(MAKE))
async def harness(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Harness]:
    made = MAKE[request.param](tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def queue(harness: Harness) -> Queue:
    return await harness.open()


@pytest.fixture
async def other(harness: Harness, queue: Queue) -> Queue:
    """A second process on the same store."""
    return await harness.open()

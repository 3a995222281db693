"""Applies that wait for each other: an error of one script goes to its own callers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.core.model import Lease, LeaseResult, SessionId
from reaper.queues.redis.apply_log import ApplyPipeline
from reaper.queues.redis.connection import RedisConnection
from tests.support.queues.harness import NOW

pytestmark = pytest.mark.anyio


@dataclass(slots=True)
class Failing:
    """An engine whose every script fails with `error`, once it is let."""

    error: Exception
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        return asyncio.ensure_future(work)

    async def run(self, *values: object) -> Any:
        self.asked.set()
        await self.go_on.wait()
        raise self.error


def lease(name: str) -> Lease:
    return Lease(SessionId(name), "1.1", 1, 0, 1, 0, False, False, "test", 60.0, 0.0)


@pytest.mark.parametrize("error", [QueueUnavailableError("away"), ZeroDivisionError("a mistake of ours")])
async def test_all_who_wait_hear_of_it_and_who_left_does_not(error: Exception) -> None:
    engine = Failing(error)
    stand_in: RedisConnection = engine  # type: ignore[assignment]
    applies = ApplyPipeline(stand_in, "me")
    one, left, two = (applies.post([LeaseResult(lease(name), NOW, None)]).future for name in ("a", "b", "c"))
    await engine.asked.wait()
    left.cancel()
    engine.go_on.set()
    heard = await asyncio.gather(one, two, return_exceptions=True)
    assert [type(each) for each in heard] == [type(error)] * 2
    assert [str(each) for each in heard] == [str(error)] * 2
    assert left.cancelled()


async def test_who_leaves_while_their_script_fails_leaves_the_next_to_be_asked_for() -> None:
    engine = Failing(QueueUnavailableError("away"))
    stand_in: RedisConnection = engine  # type: ignore[assignment]
    applies = ApplyPipeline(stand_in, "me")
    left, stays = (applies.post([LeaseResult(lease(name), NOW, None)]).future for name in ("a", "b"))
    await engine.asked.wait()
    left.cancel()
    engine.go_on.set()
    with pytest.raises(QueueUnavailableError, match="away"):
        await stays
    assert left.cancelled()

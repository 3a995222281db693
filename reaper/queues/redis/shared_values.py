"""Small texts by name, in one hash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.scripts import load

_COMPARE_AND_SET = load("compare_and_set")


@dataclass(slots=True, eq=False)
class RedisValues:
    """The port of stored values of one open queue."""

    connection: RedisConnection
    now: Callable[[], float]

    async def read_value(self, name: str) -> str | None:
        work = self.connection.execute("HGET", self.connection.key("notes"), name)
        text = await self.connection.run_shielded(work)
        return None if text is None else str(text)

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        self.connection.refuse_read_only()
        values = (name, int(was is not None), was or "", int(text is not None), text or "")
        return bool(await self.connection.run_shielded(self.connection.run(_COMPARE_AND_SET, *values)))

"""The row that shows that a process lives, and its heartbeat."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from reaper.core.errors import QueueError
from reaper.core.model import Pause
from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.rows import clean
from reaper.queues.postgres.statements import load

REGISTER_S = 86_400.0
"""How often the row is written anew by a process that sends no heartbeats."""
DEAD_AFTER_S = 7 * 86_400.0
"""The row of a dead process is deleted so long after it was last written; its leases expired long before."""
_SQL = load("owners.sql")


@dataclass(slots=True, eq=False)
class Owner:
    """This process as an owner of leases and sets: the random `name`, and the server's time when it began."""

    database: Database
    name: str
    started_at: float
    _registered_at: float | None = None

    async def register(self) -> None:
        """Write the row, unless that was done lately. Called before the process owns anything."""
        if self._registered_at is None or time.monotonic() - self._registered_at >= REGISTER_S:
            await self._write()

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        """Write the row with the worker's limit and pauses."""
        await self._write(limit, pauses)

    async def _write(self, limit: int | None = None, pauses: Sequence[Pause] = ()) -> None:
        text = clean(json.dumps([asdict(pause) for pause in pauses]))
        params = self.database.params(
            owner=self.name, pid=os.getpid(), started=self.started_at, limit=limit, pauses=text
        )

        async def write(connection: Connection) -> None:
            await connection.execute(_SQL["write_owner"], params)
            self._registered_at = time.monotonic()

        await self.database.write(write)

    @property
    def is_registered(self) -> bool:
        """Whether the row may be there."""
        return self._registered_at is not None

    async def deregister(self) -> None:
        """Delete the row and the run sets; the next `maintain` of any process releases the leases."""
        self._registered_at = None

        async def drop(connection: Connection) -> None:
            await connection.execute(_SQL["drop_owner"], {"owner": self.name})
            await connection.execute(_SQL["drop_sets"])

        with suppress(QueueError):
            await self.database.write(drop)


async def drop_dead_owners(connection: Connection, now: object) -> None:
    """Delete the rows of processes that died long ago, and the run sets of those that have no row."""
    await connection.execute(_SQL["drop_dead_owners"], {"dead_s": DEAD_AFTER_S, "now": now})
    await connection.execute(_SQL["drop_sets"])

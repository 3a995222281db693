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
from reaper.queues.postgres.database import Database
from reaper.queues.postgres.maintenance import drop_sets
from reaper.queues.postgres.rows import clean
from reaper.queues.postgres.session import Session
from reaper.queues.postgres.statements import load

REGISTER_S = 86_400.0
"""How often the row is written anew by a process that sends no heartbeats."""
_SQL = load("owners.sql")


@dataclass(slots=True, eq=False)
class Owner:
    """Owns the leases and sets of this process, by its random `name`.

    `started_at` is by the server's clock, `registered_at` (None: not yet) by the monotonic one, both in seconds.
    """

    database: Database
    name: str
    started_at: float
    registered_at: float | None = None

    async def register(self) -> None:
        """Write the row, unless that was done lately. Called before the process owns anything."""
        if self.registered_at is None or time.monotonic() - self.registered_at >= REGISTER_S:
            await self.write()

    async def write(self, limit: int | None = None, pauses: Sequence[Pause] = ()) -> None:
        """Write the row; with a worker's limit and pauses it is a heartbeat."""
        self.database.refuse_read_only()
        text = clean(json.dumps([asdict(pause) for pause in pauses]))
        params = self.database.params(
            owner=self.name, pid=os.getpid(), started=self.started_at, limit=limit, pauses=text
        )

        async def write(connection: Session) -> None:
            await connection.execute(_SQL["write_owner"], params)
            self.registered_at = time.monotonic()

        await self.database.run_quick(write)

    async def deregister(self) -> None:
        """Delete the row and the run sets; the next `maintain` of any process releases the leases."""
        self.registered_at = None

        async def drop(connection: Session) -> None:
            await connection.execute(_SQL["drop_owner"], {"owner": self.name})
            await drop_sets(connection)

        with suppress(QueueError):
            await self.database.run_quick(drop)  # after a heartbeat that is under way

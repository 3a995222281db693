"""One open queue, put together of its parts; `reaper.queues.redis.open` opens it."""

from __future__ import annotations

import secrets

from reaper.core.errors import QueueError
from reaper.queues.base import PositionStore
from reaper.queues.redis.apply_log import ApplyPipeline
from reaper.queues.redis.audit import Ledger
from reaper.queues.redis.claims import Claims
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.intake import Intake
from reaper.queues.redis.maintenance import Maintenance
from reaper.queues.redis.operators import Operators
from reaper.queues.redis.scripts import load
from reaper.queues.server_time import ServerTime

_COMPARE_AND_SET = load("compare_and_set")


class RedisQueue:
    """Keeps the promises of `reaper.queues.base` over scripts; most methods are those of its parts.

    Without an inbox it is open for reading only.
    """

    def __init__(
        self, connection: RedisConnection, inbox: Inbox | None, positions: PositionStore, started_at: float
    ) -> None:
        self.connection = connection
        self._positions = positions
        time = ServerTime(connection.clock)
        time.measured(started_at)
        self.now = time.now
        self.owner = secrets.token_hex(8)
        intake = Intake(connection, positions)
        self.add, self.positions = intake.add, intake.positions
        claims = Claims(connection, inbox, self.owner, ApplyPipeline(connection, self.owner))
        self.new_set, self.claim, self.apply, self.next_at = claims.new_set, claims.claim, claims.apply, claims.next_at
        self._maintenance = maintenance = Maintenance(connection, inbox, claims, started_at)
        self.maintain, self.heartbeat = maintenance.maintain, maintenance.heartbeat
        operators = Operators(connection, time)
        self.postpone, self.make_due, self.cancel = operators.postpone, operators.make_due, operators.cancel
        self.reopen, self.purge = operators.reopen, operators.purge
        self.pause, self.paused = operators.pause, operators.paused
        ledger = Ledger(connection)
        self.show, self.outcomes_of, self.outcomes = ledger.show, ledger.outcomes_of, ledger.outcomes
        self.retrying, self.live_workers = ledger.retrying, ledger.live_workers
        self.stats, self.audit = ledger.stats, ledger.audit

    async def read_value(self, name: str) -> str | None:
        connection = self.connection
        text = await connection.run_shielded(connection.execute("HGET", connection.key("notes"), name))
        return None if text is None else str(text)

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        self.connection.refuse_read_only()
        values = (name, int(was is not None), was or "", int(text is not None), text or "")
        return bool(await self.connection.run_shielded(self.connection.run(_COMPARE_AND_SET, *values)))

    async def backup(self, path: str) -> None:
        raise QueueError("a queue in Redis cannot be copied to a file: back up the server's append-only file instead")

    async def close(self) -> None:
        if not self.connection.closed:
            try:
                await self.connection.close(self._maintenance.deregister)
            finally:
                await self._positions.close()

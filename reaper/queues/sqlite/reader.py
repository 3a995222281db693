"""The reading port: rows, heartbeats, counts, the audit, the backup."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

import anyio.to_thread

from reaper.core.model import Audit, Item, LeaseHolder, Outcome, SessionId, State, Stats, WorkerHeartbeat
from reaper.queues.history import HistorySlot, slot_of, slots
from reaper.queues.selection import Selection, settled
from reaper.queues.sqlite.audit import audit, stats
from reaper.queues.sqlite.backup import back_up
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.rows import parse_item, written_by_us
from reaper.queues.sqlite.schema import HISTORY_SINCE, statements
from reaper.queues.sqlite.selection import SqliteSelection
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.values import KeptInvalidLine, pause_of

SQL = statements("reader.sql")


class SqliteReader:
    """The reading port of an open ledger."""

    def __init__(self, path: str, thread: LedgerThread, locks: Locks, clock: LedgerClock) -> None:
        self.path = path
        self.thread = thread
        self.locks = locks
        self.clock = clock
        self.now = clock.now

    async def show(self, session_id: SessionId) -> Item | None:
        row = await self.thread.read(lambda connection: connection.execute(SQL["show"], (session_id,)).fetchone())
        return None if row is None else self._item(row)

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        ids = json.dumps(list(session_ids))
        rows = await self.thread.read(lambda connection: connection.execute(SQL["outcomes_of"], (ids,)).fetchall())
        with written_by_us():
            return {SessionId(name): None if outcome is None else Outcome(outcome) for name, outcome in rows}

    def outcomes(self, *, since: float | None = None, only: frozenset[Outcome] | None = None) -> AsyncIterator[Item]:
        return self.select(settled(since, only))

    def select(self, selection: Selection) -> AsyncIterator[Item]:
        return SqliteSelection.at_once(self.thread, self.locks, selection, self.clock).select()

    async def count(self, selection: Selection) -> dict[State | Outcome, int]:
        return await SqliteSelection.at_once(self.thread, self.locks, selection, self.clock).count()

    async def retrying(self, limit: int) -> list[Item]:
        def retrying(connection: sqlite3.Connection) -> list[Item]:
            return list(map(self._item, connection.execute(SQL["retrying"], (limit,))))

        return await self.thread.read(retrying)

    async def invalid_lines(self) -> list[KeptInvalidLine]:
        return await self.thread.read(
            lambda connection: [KeptInvalidLine(*row) for row in connection.execute(SQL["invalid_lines"])]
        )

    async def live_workers(self) -> list[WorkerHeartbeat]:
        rows = await self.thread.read(lambda connection: connection.execute(SQL["heartbeats"]).fetchall())
        with written_by_us():
            return [
                WorkerHeartbeat(owner, pid, started_at, seen_at, limit, tuple(map(pause_of, json.loads(pauses))))
                for owner, pid, started_at, seen_at, limit, pauses in rows
                if self.locks.is_alive(owner)
            ]

    async def lease_holders(self) -> list[LeaseHolder]:
        instants = self.clock.instants()
        ahead_s = instants["now"] - instants["steady"]
        query = partial(_fetch, name="lease_holders", values=instants)
        return [
            LeaseHolder(owner, in_flight, until + ahead_s)
            for owner, in_flight, until in await self.thread.read(query)
            if self.locks.is_alive(owner)
        ]

    async def stats(self) -> Stats:
        return await self.thread.read(lambda connection: stats(connection, self.clock, self.locks))

    async def history(self, since: float) -> list[HistorySlot]:
        def history(connection: sqlite3.Connection) -> list[Any]:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if 0 < version < HISTORY_SINCE:
                return []
            return _fetch(connection, "history", {"first": slot_of(since), "last": self.now()})

        return slots(await self.thread.read(history))

    async def audit(self) -> Audit:
        return await self.thread.read(lambda connection: audit(connection, self.clock, self.locks))

    async def backup(self, path: str) -> None:
        await anyio.to_thread.run_sync(back_up, self.path, path)

    def _item(self, row: Any) -> Item:
        return parse_item(row, **self.clock.instants(), is_alive=self.locks.is_alive)


def _fetch(connection: sqlite3.Connection, name: str, values: Mapping[str, float]) -> list[Any]:
    return connection.execute(SQL[name], values).fetchall()

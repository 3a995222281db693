"""The reading port: rows, heartbeats, counts, the audit, the backup."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import anyio.to_thread

from reaper.core.model import DEAD, Audit, Item, Outcome, SessionId, Stats, WorkerHeartbeat
from reaper.queues.sqlite.audit import audit, stats
from reaper.queues.sqlite.backup import back_up
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.rows import parse_item, written_by_us
from reaper.queues.sqlite.schema import statements
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.values import pause_of

PAGE_ROWS = 500
"""Rows of `outcomes` in memory at a time."""
SQL = statements("reader.sql")

Place = tuple[float, int]
"""Where a settled row stands among the others: when it was settled, and its ID."""
BEFORE_ALL: Place = (float("-inf"), -1)


class SqliteReader:
    """The reading port of an open ledger."""

    def __init__(self, path: str, thread: LedgerThread, locks: Locks, now: Callable[[], float]) -> None:
        self.path = path
        self.thread = thread
        self.locks = locks
        self.now = now

    async def show(self, session_id: SessionId) -> Item | None:
        row = await self.thread.read(lambda connection: connection.execute(SQL["show"], (session_id,)).fetchone())
        return None if row is None else parse_item(row, self.now())

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        ids = json.dumps(list(session_ids))
        rows = await self.thread.read(lambda connection: connection.execute(SQL["outcomes_of"], (ids,)).fetchall())
        with written_by_us():
            return {SessionId(name): None if outcome is None else Outcome(outcome) for name, outcome in rows}

    async def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]:
        chosen = frozenset(Outcome) if only is None else only
        place = BEFORE_ALL if since is None else (since, -1)
        while True:
            page = await self.thread.read(partial(_settled_page, after=place, only=chosen, now=self.now()))
            for _, item in page:
                yield item
            if len(page) < PAGE_ROWS:
                return
            place = page[-1][0]

    async def retrying(self, limit: int) -> list[Item]:
        def retrying(connection: sqlite3.Connection) -> list[Item]:
            return [parse_item(row, self.now()) for row in connection.execute(SQL["retrying"], (limit,))]

        return await self.thread.read(retrying)

    async def live_workers(self) -> list[WorkerHeartbeat]:
        rows = await self.thread.read(lambda connection: connection.execute(SQL["heartbeats"]).fetchall())
        with written_by_us():
            return [
                WorkerHeartbeat(owner, pid, started_at, seen_at, limit, tuple(map(pause_of, json.loads(pauses))))
                for owner, pid, started_at, seen_at, limit, pauses in rows
                if self.locks.is_alive(owner)
            ]

    async def stats(self) -> Stats:
        return await self.thread.read(lambda connection: stats(connection, self.now()))

    async def audit(self) -> Audit:
        return await self.thread.read(lambda connection: audit(connection, self.now()))

    async def backup(self, path: str) -> None:
        await anyio.to_thread.run_sync(back_up, self.path, path)


def _settled_page(
    connection: sqlite3.Connection, after: Place, only: frozenset[Outcome], now: float
) -> list[tuple[Place, Item]]:
    """Return the first items settled past a place. The index keeps dead letters apart, so two pages are merged."""
    rows: list[Any] = []
    for dead, chosen in ((True, only & DEAD), (False, only - DEAD)):
        if chosen:
            rows += connection.execute(SQL["settled_page"], (dead, *after, json.dumps(sorted(chosen)), PAGE_ROWS))
    places = sorted(((row[12], row[16]), row) for row in rows)[:PAGE_ROWS]
    return [(place, parse_item(row, now)) for place, row in places]

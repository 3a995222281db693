"""The operator port: due times, cancellations, new rounds of dead letters, the pause of the whole queue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict

from reaper.core.model import DEAD, Outcome, Pause, SessionId
from reaper.queues.sqlite.intake import count_by_source, reopen_row
from reaper.queues.sqlite.maintenance import cancel_row, drop_rows, end_lease, settle_cancelled
from reaper.queues.sqlite.schema import statements
from reaper.queues.sqlite.shared_values import PAUSE, write_setting
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.values import CancelResult, PostponeResult

SQL = statements("operators.sql")


class SqliteOperators:
    """The operator port of an open ledger."""

    def __init__(self, thread: LedgerThread, now: Callable[[], float]) -> None:
        self.thread = thread
        self.now = now

    async def postpone(self, session_id: SessionId, after_s: float) -> PostponeResult:
        def postpone(connection: sqlite3.Connection) -> PostponeResult:
            now = self.now()
            row = _state(connection, session_id, now)
            if row is None:
                return PostponeResult.UNKNOWN
            row_id, is_settled, in_flight = row
            if is_settled:
                return PostponeResult.SETTLED
            if in_flight:
                return PostponeResult.IN_FLIGHT
            end_lease(connection, row_id)  # it may have expired
            connection.execute(SQL["set_due"], (now + max(0.0, after_s), row_id))
            return PostponeResult.DONE

        return await self.thread.write(postpone)

    async def make_due(self, *, retries: bool) -> int:
        return await self.thread.write(
            lambda connection: connection.execute(SQL["make_due"], {"now": self.now(), "retries": retries}).rowcount
        )

    async def cancel(self, session_id: SessionId, *, reason: str, by: str) -> CancelResult:
        def cancel(connection: sqlite3.Connection) -> CancelResult:
            now = self.now()
            row = _state(connection, session_id, now)
            if row is None:
                return CancelResult.UNKNOWN
            row_id, is_settled, in_flight = row
            if is_settled:
                return CancelResult.SETTLED
            if in_flight:
                connection.execute(SQL["request_cancel"], (by, reason, row_id))
                return CancelResult.REQUESTED
            cancel_row(connection, row_id, now, by, reason)
            return CancelResult.DONE

        return await self.thread.write(cancel)

    async def reopen(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> int:
        def reopen(connection: sqlite3.Connection) -> int:
            rows = _dead(connection, session_ids)
            for row_id, outcome, source_id in rows:
                reopen_row(connection, row_id, outcome, due_at=self.now(), by=by, reason=reason)
                count_by_source(connection, source_id, accepted=1)
            return len(rows)

        return await self.thread.write(reopen)

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        def purge(connection: sqlite3.Connection) -> int:
            return drop_rows(connection, [(row_id, outcome) for row_id, outcome, _ in _dead(connection, session_ids)])

        return await self.thread.write(purge)

    async def pause(self, pause: Pause | None) -> None:
        text = None if pause is None else json.dumps(asdict(pause))
        await self.thread.write(lambda connection: write_setting(connection, PAUSE, text))


def _state(connection: sqlite3.Connection, session_id: SessionId, now: float) -> tuple[int, bool, bool] | None:
    """Return (row ID, settled, in flight). Settles a cancelled row whose lease expired first."""
    row = connection.execute(SQL["state"], (now, session_id)).fetchone()
    if row is None:
        return None
    row_id, is_settled, in_flight, cancelled = row
    if cancelled and not is_settled and not in_flight:
        settle_cancelled(connection, [row_id], now)
        is_settled = True
    return row_id, bool(is_settled), bool(in_flight)


def _dead(connection: sqlite3.Connection, session_ids: Sequence[SessionId]) -> list[tuple[int, Outcome, int]]:
    rows = connection.execute(SQL["settled_among"], (json.dumps(list(dict.fromkeys(session_ids))),))
    return [(row_id, Outcome(outcome), source_id) for row_id, outcome, source_id in rows if Outcome(outcome) in DEAD]

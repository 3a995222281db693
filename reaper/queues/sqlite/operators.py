"""The operator port: due times, cancellations, new rounds of dead letters, the pause of the whole queue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from reaper.core.model import DEAD, Outcome, Pause, SessionId
from reaper.queues.accounting import postponement
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.intake import count_by_source, reopen_row
from reaper.queues.sqlite.maintenance import drop_rows, settle_cancelled
from reaper.queues.sqlite.schema import statements
from reaper.queues.sqlite.shared_values import PAUSE, write_setting
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.values import CancelResult, PostponeResult

SQL = statements("operators.sql")


class SqliteOperators:
    """The operator port of an open ledger."""

    def __init__(self, thread: LedgerThread, clock: LedgerClock) -> None:
        self.thread = thread
        self.clock = clock
        self.now = clock.now

    async def postpone(
        self,
        session_ids: Sequence[SessionId],
        *,
        after_s: float = 0.0,
        at: float | None = None,
        by: str,
        reason: str = "",
    ) -> dict[SessionId, PostponeResult]:
        def postpone(connection: sqlite3.Connection) -> dict[SessionId, PostponeResult]:
            found = _find(connection, session_ids, self.clock)
            wait_s = None if at is not None else max(0.0, after_s)
            due_at = at if wait_s is None else self.now() + wait_s
            values = {"due_at": due_at, "wait_s": wait_s, "by": by, "reason": postponement(reason)}
            connection.execute(SQL["postpone"], {"rows": json.dumps([*found.waiting.values()]), **values})
            return (
                dict.fromkeys(session_ids, PostponeResult.UNKNOWN)
                | dict.fromkeys(found.waiting, PostponeResult.DONE)
                | dict.fromkeys(found.in_flight, PostponeResult.IN_FLIGHT)
                | dict.fromkeys(found.settled, PostponeResult.SETTLED)
            )

        return await self.thread.write(postpone)

    async def make_due(self, *, retries: bool) -> int:
        return await self.thread.write(
            lambda connection: (
                connection.execute(SQL["make_due"], {**self.clock.instants(), "retries": retries}).rowcount
            )
        )

    async def cancel(self, session_ids: Sequence[SessionId], *, reason: str, by: str) -> dict[SessionId, CancelResult]:
        def cancel(connection: sqlite3.Connection) -> dict[SessionId, CancelResult]:
            found = _find(connection, session_ids, self.clock)
            waiting = [*found.waiting.values()]
            asked = json.dumps([*waiting, *found.in_flight.values(), *found.gone])
            values = {"rows": asked, "by": by, "reason": reason}
            connection.execute(SQL["request_cancel"], values)
            settle_cancelled(connection, waiting, self.now())
            return (
                dict.fromkeys(session_ids, CancelResult.UNKNOWN)
                | dict.fromkeys(found.waiting, CancelResult.DONE)
                | dict.fromkeys(found.in_flight, CancelResult.REQUESTED)
                | dict.fromkeys(found.settled, CancelResult.SETTLED)
            )

        return await self.thread.write(cancel)

    async def reopen(
        self,
        session_ids: Sequence[SessionId],
        *,
        reason: str,
        by: str,
        only: frozenset[Outcome] = DEAD,
        after_s: float = 0.0,
    ) -> int:
        def reopen(connection: sqlite3.Connection) -> int:
            rows = _settled(connection, session_ids, only)
            for row in rows:
                due_at = self.now() + after_s
                reopen_row(connection, row.row_id, row.outcome, due_at=due_at, wait_s=after_s, by=by, reason=reason)
                count_by_source(connection, row.source_id, accepted=1)
            for row in rows:
                if row.cancel_by is not None:
                    values = {"rows": json.dumps([row.row_id]), "by": row.cancel_by, "reason": row.cancel_reason}
                    connection.execute(SQL["request_cancel"], values)
                    settle_cancelled(connection, [row.row_id], self.now())
            return len(rows)

        return await self.thread.write(reopen)

    async def purge(self, session_ids: Sequence[SessionId]) -> int:
        def purge(connection: sqlite3.Connection) -> int:
            return drop_rows(connection, [(row.row_id, row.outcome) for row in _settled(connection, session_ids, DEAD)])

        return await self.thread.write(purge)

    async def pause(self, pause: Pause | None) -> None:
        text = None if pause is None else json.dumps(asdict(pause))
        await self.thread.write(lambda connection: write_setting(connection, PAUSE, text))


@dataclass(slots=True)
class _Found:
    """Those of some IDs that have a row, by state, each with the number of its row."""

    waiting: dict[SessionId, int] = field(default_factory=dict)
    in_flight: dict[SessionId, int] = field(default_factory=dict)
    settled: dict[SessionId, int] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    """Those of the settled rows that are booked as gone, and may be re-opened."""


def _find(connection: sqlite3.Connection, session_ids: Sequence[SessionId], clock: LedgerClock) -> _Found:
    """Return the states of some IDs. Settles cancelled ones whose lease expired first."""
    found, over = _Found(), []
    rows = connection.execute(SQL["states_of"], {"steady": clock.steady(), "ids": json.dumps(list(session_ids))})
    for session_id, row_id, outcome, in_flight, cancelled in rows:
        is_settled = outcome is not None
        if outcome == Outcome.ALREADY_GONE:
            found.gone.append(row_id)
        elif cancelled and not is_settled and not in_flight:
            over.append(row_id)
            is_settled = True
        group = found.settled if is_settled else found.in_flight if in_flight else found.waiting
        group[session_id] = row_id
    settle_cancelled(connection, list(set(over)), clock.now())
    return found


class _Settled(NamedTuple):
    """A settled row. `cancel_by`: who asked to cancel it while it was in flight, or after a 404."""

    row_id: int
    outcome: Outcome
    source_id: int
    cancel_by: str | None
    cancel_reason: str | None


def _settled(
    connection: sqlite3.Connection, session_ids: Sequence[SessionId], only: frozenset[Outcome]
) -> list[_Settled]:
    rows = connection.execute(SQL["settled_among"], (json.dumps(list(dict.fromkeys(session_ids))),))
    return [_Settled(row_id, Outcome(outcome), *more) for row_id, outcome, *more in rows if Outcome(outcome) in only]

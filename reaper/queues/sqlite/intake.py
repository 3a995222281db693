"""The intake port: a batch with its position in one transaction, and new rounds of settled IDs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple

from reaper.core.model import Outcome, SessionId
from reaper.queues.accounting import ACCEPTED, DUPLICATE, INVALID, POSTPONED, reopened
from reaper.queues.base import RunSet
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.counters import count
from reaper.queues.sqlite.run_sets import include, own_set_id
from reaper.queues.sqlite.schema import statements
from reaper.queues.sqlite.thread import LedgerThread
from reaper.queues.values import MAX_INVALID_KEPT, Added, Batch, InvalidLine, Position, reopenable

MAX_DUPLICATES_NAMED = 100
SQL = statements("intake.sql")

Due = Sequence[tuple[SessionId, float, float | None]]
"""Session IDs, each with its due time and the length of that wait, None for a time that was named."""
Known = Mapping[str, tuple[int, Outcome | None]]
"""Rows by session ID: the row's ID and outcome."""


class SqliteIntake:
    """The intake port of an open ledger."""

    def __init__(self, thread: LedgerThread, clock: LedgerClock) -> None:
        self.thread = thread
        self.clock = clock
        self.now = clock.now

    async def add(
        self,
        batch: Batch,
        *,
        again: bool | frozenset[Outcome] = False,
        or_postpone: bool = False,
        by: str | None = None,
        default_after_s: float = 0.0,
        into: RunSet | None = None,
    ) -> Added:
        set_id = None if into is None else own_set_id(into, self.thread)

        def add(connection: sqlite3.Connection) -> Added:
            now = self.now()
            source_id = _source_id(connection, batch.source)
            after_s = max(0.0, default_after_s)
            due = [
                (new.session_id, now + after_s, after_s) if new.due_at is None else (new.session_id, new.due_at, None)
                for new in batch.items
            ]
            (newest,) = connection.execute(SQL["newest"]).fetchone()
            rows = ((session_id, source_id, now, due_at, wait_s) for session_id, due_at, wait_s in due)
            accepted = connection.executemany(SQL["insert"], rows).rowcount if due else 0
            duplicates: list[SessionId] = []
            postponed: set[str] = set()
            if accepted < len(due):
                known, outcomes = _known(connection, due, newest), reopenable(again)
                if outcomes:
                    accepted += _reopen_known(connection, due, known, outcomes, source_id, by)
                if or_postpone:
                    postponed = _postpone_known(connection, due, known, self.clock, by)
                duplicates = _duplicates(due, known, postponed, outcomes)
            if batch.invalid:
                _keep_invalid(connection, source_id, batch.invalid, now)
            count_by_source(connection, source_id, accepted, len(due) - accepted, len(batch.invalid))
            if batch.position is not None:
                connection.execute(SQL["keep_position"], astuple(batch.position))
            if set_id is not None:
                include(connection, set_id, json.dumps([session_id for session_id, _, _ in due]))
            named = tuple(duplicates[:MAX_DUPLICATES_NAMED])
            return Added(accepted, len(duplicates), len(batch.invalid), named, len(postponed))

        return await self.thread.write(add)

    async def positions(self) -> list[Position]:
        return await self.thread.read(
            lambda connection: [Position(*row) for row in connection.execute(SQL["positions"])]
        )


def reopen_row(
    connection: sqlite3.Connection,
    row_id: int,
    outcome: Outcome,
    *,
    due_at: float,
    wait_s: float | None,
    by: str | None,
    reason: str | None = None,
    source_id: int | None = None,
) -> None:
    """Start a new round of a settled row, for its old source unless another is given."""
    connection.execute(SQL["reopen"], (source_id, due_at, wait_s, by, reason, row_id))
    count(connection, reopened(outcome))


def count_by_source(
    connection: sqlite3.Connection, source_id: int, accepted: int = 0, duplicate: int = 0, invalid: int = 0
) -> None:
    """Count what came in twice, in all and by source: the audit compares the two."""
    for name, more in ((ACCEPTED, accepted), (DUPLICATE, duplicate), (INVALID, invalid)):
        if more:
            count(connection, name, more)
    connection.execute(SQL["count_by_source"], (accepted, duplicate, invalid, source_id))


def _source_id(connection: sqlite3.Connection, name: str) -> int:
    connection.execute(SQL["add_source"], (name,))
    (source_id,) = connection.execute(SQL["source_id"], (name,)).fetchone()
    return int(source_id)


def _known(connection: sqlite3.Connection, due: Due, newest: int) -> Known:
    """Return the rows among `due` that existed before the batch: those up to row ID `newest`."""
    rows = connection.execute(SQL["known"], (newest, json.dumps([session_id for session_id, _, _ in due])))
    return {session_id: (row_id, Outcome(outcome) if outcome else None) for session_id, row_id, outcome in rows}


def _reopen_known(
    connection: sqlite3.Connection,
    due: Due,
    known: Known,
    outcomes: frozenset[Outcome],
    source_id: int,
    by: str | None,
) -> int:
    """Start a new round of the known rows that ended so; return how many."""
    first_due = {session_id: (due_at, wait_s) for session_id, due_at, wait_s in reversed(due)}
    number = 0
    for session_id, (row_id, outcome) in known.items():
        if outcome in outcomes:
            due_at, wait_s = first_due[SessionId(session_id)]
            reopen_row(connection, row_id, outcome, due_at=due_at, wait_s=wait_s, by=by, source_id=source_id)
            number += 1
    return number


def _postpone_known(
    connection: sqlite3.Connection, due: Due, known: Known, clock: LedgerClock, by: str | None
) -> set[str]:
    """Give the known rows that wait their new due time; return the IDs of those."""
    first_due = {session_id: (due_at, wait_s) for session_id, due_at, wait_s in reversed(due)}
    postponed = set()
    for session_id, (row_id, outcome) in known.items():
        due_at, wait_s = first_due[SessionId(session_id)]
        values = {"id": row_id, "due_at": due_at, "wait_s": wait_s, "by": by, "reason": POSTPONED}
        if outcome is None and connection.execute(SQL["postpone"], {**values, "steady": clock.steady()}).rowcount:
            postponed.add(session_id)
    return postponed


def _duplicates(due: Due, known: Known, postponed: set[str], outcomes: frozenset[Outcome]) -> list[SessionId]:
    """Return the IDs that changed nothing: rows from before, unless they changed now, and repetitions in the batch."""
    duplicates: list[SessionId] = []
    taken: set[SessionId] = set()
    for session_id, _, _ in due:
        row = known.get(session_id)
        new = row is None or row[1] in outcomes or session_id in postponed
        if not new or session_id in taken:
            duplicates.append(session_id)
        taken.add(session_id)
    return duplicates


def _keep_invalid(connection: sqlite3.Connection, source_id: int, lines: Sequence[InvalidLine], now: float) -> None:
    connection.executemany(SQL["keep_invalid"], [(source_id, now, *astuple(line)) for line in lines])
    connection.execute(SQL["drop_old_invalid"], (MAX_INVALID_KEPT,))

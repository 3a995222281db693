"""What brings IDs in: a batch with its position, new rounds of settled IDs, the rows of a run set."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple

from reaper.core.model import DEAD, Outcome, SessionId
from reaper.queues.accounting import ACCEPTED, DUPLICATE, INVALID, reopened
from reaper.queues.sqlite.audit import count, drop
from reaper.queues.values import Added, Batch, InvalidLine, Position

INVALID_KEPT = 1_000
"""Lines that were not accepted, of which the newest are kept."""
DUPLICATES_NAMED = 100

_INSERT = """
INSERT INTO item (session_id, source_id, added_at, due_at) VALUES (?, ?, ?, ?) ON CONFLICT (session_id) DO NOTHING
"""
_REOPEN = """
UPDATE item SET round = round + 1, source_id = coalesce(?, source_id), due_at = ?, attempts = 0, sends = 0,
    recorded = 0, ambiguous = 0, finals_seen = 0, finals_before = 0, cancel_by = NULL, cancel_reason = NULL,
    outcome = NULL, status = NULL, detail = NULL, settled_at = NULL, by = ?, reason = ?, history = '[]'
WHERE id = ?
"""
_POSITION = 'INSERT OR REPLACE INTO position (path, device, inode, prefix_bytes, prefix_hash, "offset", line)'
_THESE = "session_id IN (SELECT value FROM json_each(?))"


def add(
    connection: sqlite3.Connection,
    batch: Batch,
    *,
    now: float,
    again: bool,
    by: str | None,
    default_after_s: float,
    set_id: int | None,
) -> Added:
    """Take a batch in, within the caller's transaction."""
    source_id = _source(connection, batch.source)
    later = now + max(0.0, default_after_s)
    due = [(i.session_id, later if i.due_at is None else i.due_at) for i in batch.items]
    (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM item").fetchone()
    rows = ((session_id, source_id, now, due_at) for session_id, due_at in due)
    accepted = connection.executemany(_INSERT, rows).rowcount if due else 0
    duplicates: list[SessionId] = []
    if accepted < len(due):
        known = _known(connection, due, newest)
        if again:
            accepted += _again(connection, due, known, source_id, by)
        duplicates = _duplicates(due, known, again)
    _keep_invalid(connection, source_id, batch.invalid, now)
    _count(connection, source_id, accepted, len(due) - accepted, len(batch.invalid))
    if batch.position is not None:
        _keep_position(connection, batch.position)
    if set_id is not None:
        ids = json.dumps([session_id for session_id, _ in due])
        connection.execute(
            f"INSERT OR IGNORE INTO temp.member (set_id, id) SELECT ?, id FROM item WHERE {_THESE}", (set_id, ids)
        )
    return Added(accepted, len(due) - accepted, len(batch.invalid), tuple(duplicates[:DUPLICATES_NAMED]))


def reopen(
    connection: sqlite3.Connection, session_ids: Sequence[SessionId], *, now: float, reason: str, by: str
) -> int:
    """Start a new round for the dead ones among the IDs, due now."""
    rows = _dead(connection, session_ids)
    connection.executemany(_REOPEN, [(None, now, by, reason, row_id) for row_id, _, _ in rows])
    for _, outcome, source_id in rows:
        count(connection, reopened(outcome))
        _count(connection, source_id, 1, 0, 0)
    return len(rows)


def purge(connection: sqlite3.Connection, session_ids: Sequence[SessionId]) -> int:
    """Drop the dead ones among the IDs; return how many."""
    return drop(connection, [(row_id, outcome) for row_id, outcome, _ in _dead(connection, session_ids)])


def _source(connection: sqlite3.Connection, name: str) -> int:
    connection.execute("INSERT INTO source (name) VALUES (?) ON CONFLICT (name) DO NOTHING", (name,))
    (source_id,) = connection.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()
    return int(source_id)


def _known(
    connection: sqlite3.Connection, due: Sequence[tuple[SessionId, float]], newest: int
) -> dict[str, tuple[int, Outcome | None]]:
    """Return the rows that were there before, by session ID: their row ID and outcome."""
    rows = connection.execute(
        f"SELECT session_id, id, outcome FROM item WHERE id <= ? AND {_THESE}",
        (newest, json.dumps([i for i, _ in due])),
    )
    return {session_id: (row_id, Outcome(outcome) if outcome else None) for session_id, row_id, outcome in rows}


def _again(
    connection: sqlite3.Connection,
    due: Iterable[tuple[SessionId, float]],
    known: Mapping[str, tuple[int, Outcome | None]],
    source_id: int,
    by: str | None,
) -> int:
    first_due = dict(reversed(list(due)))
    renewed = 0
    for session_id, (row_id, outcome) in known.items():
        if outcome is not None:
            connection.execute(_REOPEN, (source_id, first_due[SessionId(session_id)], by, None, row_id))
            count(connection, reopened(outcome))
            renewed += 1
    return renewed


def _duplicates(
    due: Iterable[tuple[SessionId, float]], known: Mapping[str, tuple[int, Outcome | None]], again: bool
) -> list[SessionId]:
    """Name those that changed nothing: rows from before, unless re-opened now, and repetitions within the batch."""
    named: list[SessionId] = []
    taken: set[SessionId] = set()
    for session_id, _ in due:
        row = known.get(session_id)
        new = row is None or (again and row[1] is not None)
        if not new or session_id in taken:
            named.append(session_id)
        taken.add(session_id)
    return named


def _keep_invalid(connection: sqlite3.Connection, source_id: int, lines: Sequence[InvalidLine], now: float) -> None:
    if not lines:
        return
    connection.executemany(
        "INSERT INTO invalid_line (source_id, at, line, reason, text) VALUES (?, ?, ?, ?, ?)",
        [(source_id, now, *astuple(line)) for line in lines],
    )
    connection.execute("DELETE FROM invalid_line WHERE id <= (SELECT max(id) FROM invalid_line) - ?", (INVALID_KEPT,))


def _keep_position(connection: sqlite3.Connection, position: Position) -> None:
    connection.execute(f"{_POSITION} VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(position))


def _count(connection: sqlite3.Connection, source_id: int, accepted: int, duplicate: int, invalid: int) -> None:
    """Count what came in twice, in all and by source: the audit compares the two."""
    for name, more in ((ACCEPTED, accepted), (DUPLICATE, duplicate), (INVALID, invalid)):
        if more:
            count(connection, name, more)
    connection.execute(
        "UPDATE source SET accepted = accepted + ?, duplicate = duplicate + ?, invalid = invalid + ? WHERE id = ?",
        (accepted, duplicate, invalid, source_id),
    )


def _dead(connection: sqlite3.Connection, session_ids: Sequence[SessionId]) -> list[tuple[int, Outcome, int]]:
    rows = connection.execute(
        f"SELECT id, outcome, source_id FROM item WHERE outcome IS NOT NULL AND {_THESE}",
        (json.dumps(list(dict.fromkeys(session_ids))),),
    )
    return [(row_id, Outcome(outcome), source_id) for row_id, outcome, source_id in rows if Outcome(outcome) in DEAD]

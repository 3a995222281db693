"""Rows and values: how an item is written down, read back, shown."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from reaper.core.errors import QueueError
from reaper.core.model import (
    DEAD,
    MAX_HISTORY,
    Item,
    Outcome,
    Pause,
    PauseReason,
    Send,
    SessionId,
    State,
    WorkerHeartbeat,
)
from reaper.queues.sqlite.schema import AT, IS_DEAD
from reaper.queues.values import Position

PAGE = 500
"""Rows of `outcomes` in memory at a time."""
LAST_INSTANT = 253_402_300_799
"""The end of the year 9999, the last that can be told."""

_ITEM = f"""
SELECT session_id, outcome, source.name, added_at, {AT}, round, attempts, sends, recorded, history, status, detail,
       settled_at, by, reason, lease_until, item.id
FROM item JOIN source ON source.id = source_id
"""


@contextmanager
def as_written() -> Iterator[None]:
    """Read what we wrote ourselves: what cannot be read so is damage. Raises QueueError."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        raise QueueError(
            f"a row of the ledger is damaged ({error}): restore a copy made with `reaper queue backup`"
        ) from error


def with_send(history: str, send: Send) -> str:
    """Return the recorded sends with one more; the oldest goes when there are too many."""
    with as_written():
        return json.dumps([*json.loads(history), fields_of(send)][-MAX_HISTORY:])


def fields_of(send: Send) -> dict[str, object]:
    """Return what is recorded of a send."""
    fields: dict[str, object] = {"at": send.at, "duration_s": send.duration_s, "status": send.status}
    if send.status is None:
        del fields["status"]
    if send.error is not None:
        fields["error"] = send.error
    if send.request_id is not None:
        fields["request_id"] = send.request_id
    return fields


def show(connection: sqlite3.Connection, session_id: SessionId, now: float) -> Item | None:
    """Return one row."""
    row = connection.execute(f"{_ITEM} WHERE session_id = ?", (session_id,)).fetchone()
    return None if row is None else _item(row, now)


def outcomes_of(connection: sqlite3.Connection, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
    """Return the outcomes of those of the IDs that have a row, None while open."""
    rows = connection.execute(
        "SELECT session_id, outcome FROM json_each(?) AS asked CROSS JOIN item ON session_id = asked.value",
        (json.dumps(list(session_ids)),),
    )
    with as_written():
        return {SessionId(name): None if outcome is None else Outcome(outcome) for name, outcome in rows}


def settled_page(
    connection: sqlite3.Connection, after: tuple[float, int], only: frozenset[Outcome], now: float
) -> list[tuple[tuple[float, int], Item]]:
    """Return a page of settled rows past `after` = (settled_at, id), each with its own such place."""
    rows: list[Any] = []
    for dead, chosen in ((True, only & DEAD), (False, only - DEAD)):
        if chosen:
            marks = ", ".join("?" * len(chosen))
            rows += connection.execute(
                f"{_ITEM} WHERE outcome IS NOT NULL AND {IS_DEAD} = ? AND (settled_at, item.id) > (?, ?)"
                f" AND outcome IN ({marks}) ORDER BY settled_at, item.id LIMIT {PAGE}",
                (dead, *after, *chosen),
            )
    places = sorted(((row[12], row[16]), row) for row in rows)[:PAGE]
    return [(place, _item(row, now)) for place, row in places]


def retrying(connection: sqlite3.Connection, most: int, now: float) -> list[Item]:
    """Return waiting rows that were sent before, the latest due first."""
    rows = connection.execute(
        f"{_ITEM} WHERE outcome IS NULL AND (sends > 0) = 1 AND receipt IS NULL"
        f" ORDER BY {AT} DESC, item.id DESC LIMIT {most}",
    )
    return [_item(row, now) for row in rows]


def positions(connection: sqlite3.Connection) -> list[Position]:
    """Return the positions of all followed files."""
    columns = 'path, device, inode, prefix_bytes, prefix_hash, "offset", line'
    return [Position(*row) for row in connection.execute(f"SELECT {columns} FROM position ORDER BY path")]


def live_workers(connection: sqlite3.Connection) -> list[WorkerHeartbeat]:
    """Return what the working processes told, the dead included."""
    columns = 'owner, pid, started_at, told_at, "limit", pauses'
    rows = connection.execute(f"SELECT {columns} FROM owner WHERE told_at IS NOT NULL ORDER BY started_at, owner")
    with as_written():
        return [
            WorkerHeartbeat(
                owner, pid, started_at, told_at, limit, tuple(_pause(fields) for fields in json.loads(pauses))
            )
            for owner, pid, started_at, told_at, limit, pauses in rows
        ]


def _pause(fields: dict[str, Any]) -> Pause:
    return Pause(PauseReason(fields["reason"]), fields["since"], fields["detail"], fields.get("until"))


def _item(row: Any, now: float) -> Item:
    (session_id, outcome, source, added_at, at, round_, attempts, sends, recorded, history) = row[:10]
    (status, detail, settled_at, by, reason, lease_until) = row[10:16]
    with as_written():
        _instants(added_at, at, settled_at)
        if outcome is not None:
            state = State.SETTLED
        elif at <= now:
            state = State.READY
        else:
            state = State.DELAYED if lease_until is None else State.IN_FLIGHT
        return Item(
            session_id=SessionId(session_id),
            state=state,
            outcome=None if outcome is None else Outcome(outcome),
            source=source,
            added_at=added_at,
            due_at=at,
            round=round_,
            attempts=attempts,
            sends=sends,
            unanswered=sends - recorded - (state is State.IN_FLIGHT),
            history=tuple(Send(**fields) for fields in json.loads(history)),
            status=status,
            detail=detail,
            settled_at=settled_at,
            by=by,
            reason=reason,
        )


def _instants(*instants: float | None) -> None:
    """Check that instants can be told. Raises ValueError or TypeError."""
    for at in instants:
        if at is not None and not 0 <= at <= LAST_INSTANT:
            raise ValueError(f"{at!r} is no instant")


def write_heartbeat(
    connection: sqlite3.Connection, owner: str, started_at: float, now: float, limit: int, pauses: Iterable[Pause]
) -> None:
    """Record how a working process stands."""
    connection.execute(
        'INSERT OR REPLACE INTO owner (owner, pid, started_at, told_at, "limit", pauses) VALUES (?, ?, ?, ?, ?, ?)',
        (owner, os.getpid(), started_at, now, limit, json.dumps([asdict(pause) for pause in pauses])),
    )


def deregister(connection: sqlite3.Connection, owner: str) -> None:
    """Forget what a process told."""
    connection.execute("DELETE FROM owner WHERE owner = ?", (owner,))


def set_pause(connection: sqlite3.Connection, pause: Pause | None) -> None:
    """Write down the operator's pause, or that there is none."""
    if pause is None:
        connection.execute("DELETE FROM setting WHERE name = 'pause'")
    else:
        connection.execute(
            "INSERT OR REPLACE INTO setting (name, value) VALUES ('pause', ?)", (json.dumps(asdict(pause)),)
        )


def paused(connection: sqlite3.Connection) -> Pause | None:
    """Return the operator's pause, even if its time is over."""
    row = connection.execute("SELECT value FROM setting WHERE name = 'pause'").fetchone()
    with as_written():
        return None if row is None else _pause(json.loads(row[0]))


def read_value(connection: sqlite3.Connection, name: str) -> str | None:
    """Return what is noted under a name."""
    row = connection.execute("SELECT value FROM setting WHERE name = ?", (f"note.{name}",)).fetchone()
    return None if row is None else str(row[0])


def compare_and_set(connection: sqlite3.Connection, name: str, text: str | None, was: str | None) -> bool:
    """Replace the note `was` by `text`; return False when another one stands there."""
    if read_value(connection, name) != was:
        return False
    connection.execute("DELETE FROM setting WHERE name = ?", (f"note.{name}",))
    if text is not None:
        connection.execute("INSERT INTO setting (name, value) VALUES (?, ?)", (f"note.{name}", text))
    return True

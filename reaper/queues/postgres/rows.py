"""Rows and values: how an item is read, what processes tell of themselves, the operator's pause."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from reaper.core.model import DEAD, Item, Outcome, Pause, PauseReason, Send, SessionId, State, WorkerHeartbeat
from reaper.queues.postgres.connection import Connection
from reaper.queues.postgres.schema import AT, IS_DEAD, NOW, epoch

PAGE = 500
"""Rows of `outcomes` in memory at a time."""
QUIET_S = 20.0
"""What a process told so long ago is not told on: it tells every five seconds while it works."""

_ITEM = f"""
SELECT session_id, outcome, source, {epoch("added_at")}, {epoch(AT)}, round, attempts, sends, recorded, history,
    status, detail, {epoch("settled_at")}, by, reason, {AT} <= {NOW}, lease_until IS NOT NULL, id
FROM reaper_session
"""
_WRITE_HEARTBEAT = f"""
INSERT INTO reaper_owner AS o (owner, pid, started_at, seen_at, told_at, "limit", pauses)
VALUES (%(owner)s, %(pid)s, coalesce(to_timestamp(%(started)s::float8), {NOW}), {NOW},
    CASE WHEN %(limit)s::integer IS NOT NULL THEN {NOW} END, %(limit)s, %(pauses)s)
ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at, told_at = coalesce(excluded.told_at, o.told_at),
    "limit" = coalesce(excluded."limit", o."limit"),
    pauses = CASE WHEN excluded.told_at IS NULL THEN o.pauses ELSE excluded.pauses END
"""
_READ_HEARTBEATS = f"""
SELECT owner, pid, {epoch("started_at")}, {epoch("told_at")}, "limit", pauses FROM reaper_owner
WHERE told_at > {NOW} - make_interval(secs => {QUIET_S}) ORDER BY started_at, owner
"""
_NEXT_AT = f"""
SELECT {
    epoch(
        f"least((SELECT min({AT}) FROM reaper_session WHERE outcome IS NULL AND sends = 0),"
        f" (SELECT min({AT}) FROM reaper_session WHERE outcome IS NULL AND sends > 0))"
    )
}
"""
Params = Mapping[str, Any]


def clean(text: str) -> str:
    """Return a text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def send_fields(send: Send) -> dict[str, Any]:
    """Return a send as it is written down."""
    fields = {name: value for name, value in asdict(send).items() if value is not None}
    return {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}


async def all_rows(connection: Connection, query: str, params: Params) -> list[tuple[Any, ...]]:
    """Return what one statement yields."""
    return await (await connection.execute(query, params)).fetchall()


async def one_row(connection: Connection, query: str, params: Params) -> tuple[Any, ...]:
    """Return the one row that a statement yields."""
    (row,) = await all_rows(connection, query, params)
    return row


async def next_at(connection: Connection) -> float | None:
    """Return when the next open row can be claimed."""
    (at,) = await one_row(connection, _NEXT_AT, {})
    return None if at is None else float(at)


async def show(connection: Connection, session_id: SessionId, now: float | None) -> Item | None:
    """Return one row."""
    asked = {"session_id": clean(session_id), "now": now}
    rows = await all_rows(connection, f"{_ITEM} WHERE session_id = %(session_id)s", asked)
    return _item(rows[0]) if rows else None


async def outcomes_of(connection: Connection, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
    """Return the outcomes of those of the IDs that have a row, None while open."""
    rows = await all_rows(
        connection,
        "SELECT session_id, outcome FROM reaper_session WHERE session_id = ANY(%(ids)s)",
        {"ids": [clean(each) for each in session_ids]},
    )
    return {SessionId(name): None if outcome is None else Outcome(outcome) for name, outcome in rows}


async def settled_page(
    connection: Connection, after: tuple[float | None, int], only: frozenset[Outcome], now: float | None
) -> list[tuple[tuple[float, int], Item]]:
    """Return a page of settled rows past `after` = (settled_at, id), each with its own such place."""
    asked = {"at": after[0], "id": after[1], "only": [outcome.value for outcome in only], "now": now}
    rows: list[tuple[Any, ...]] = []
    for condition, chosen in ((IS_DEAD, only & DEAD), (f"NOT {IS_DEAD}", only - DEAD)):
        if chosen:
            rows += await all_rows(
                connection,
                f"{_ITEM} WHERE outcome IS NOT NULL AND {condition} AND outcome = ANY(%(only)s)"
                " AND (settled_at, id) > (coalesce(to_timestamp(%(at)s::float8), '-infinity'), %(id)s)"
                f" ORDER BY reaper_session.settled_at, id LIMIT {PAGE}",
                asked,
            )
    places = sorted(((row[12], row[17]), row) for row in rows)[:PAGE]
    return [(place, _item(row)) for place, row in places]


async def retrying(connection: Connection, most: int, now: float | None) -> list[Item]:
    """Return waiting rows that were sent before, the latest due first."""
    waits = "outcome IS NULL AND sends > 0 AND receipt IS NULL"
    query = f"{_ITEM} WHERE {waits} ORDER BY {AT} DESC, id DESC LIMIT %(most)s"
    return [_item(row) for row in await all_rows(connection, query, {"most": most, "now": now})]


def _item(row: tuple[Any, ...]) -> Item:
    (session_id, outcome, source, added_at, at, round_, attempts, sends, recorded, history) = row[:10]
    (status, detail, settled_at, by, reason, is_due, is_leased, _) = row[10:]
    if outcome is not None:
        state = State.SETTLED
    elif is_due:
        state = State.READY
    else:
        state = State.IN_FLIGHT if is_leased else State.DELAYED
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
        history=tuple(Send(**fields) for fields in history),
        status=status,
        detail=detail,
        settled_at=settled_at,
        by=by,
        reason=reason,
    )


async def write_heartbeat(
    connection: Connection,
    owner: str,
    *,
    started: float | None,
    now: float | None,
    limit: int | None = None,
    pauses: Sequence[Pause] = (),
) -> None:
    """Record that a process lives and, with `limit`, how it stands."""
    text = clean(json.dumps([asdict(pause) for pause in pauses]))
    asked = {"owner": owner, "pid": os.getpid(), "started": started, "now": now, "limit": limit, "pauses": text}
    await connection.execute(_WRITE_HEARTBEAT, asked)


async def live_workers(connection: Connection, now: float | None) -> list[WorkerHeartbeat]:
    """Return what the working processes told of late."""
    return [
        WorkerHeartbeat(owner, pid, started_at, told_at, limit, tuple(_pause(fields) for fields in pauses))
        for owner, pid, started_at, told_at, limit, pauses in await all_rows(connection, _READ_HEARTBEATS, {"now": now})
    ]


async def set_pause(connection: Connection, pause: Pause | None) -> None:
    """Write down the operator's pause, or that there is none."""
    if pause is None:
        await connection.execute("DELETE FROM reaper_setting WHERE name = 'pause'")
        return
    await connection.execute(
        "INSERT INTO reaper_setting (name, value) VALUES ('pause', %s)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (json.dumps({**asdict(pause), "detail": clean(pause.detail)}),),
    )


async def paused(connection: Connection, now: float | None) -> Pause | None:
    """Return the operator's pause, unless its time is over."""
    rows = await all_rows(
        connection,
        "SELECT value FROM reaper_setting WHERE name = 'pause'"
        f" AND ((value->>'until') IS NULL OR to_timestamp((value->>'until')::float8) > {NOW})",
        {"now": now},
    )
    return _pause(rows[0][0]) if rows else None


async def read_value(connection: Connection, name: str) -> str | None:
    """Return what is noted under a name."""
    query = "SELECT value #>> '{}' FROM reaper_setting WHERE name = %(name)s"
    rows = await all_rows(connection, query, {"name": f"note.{name}"})
    return rows[0][0] if rows else None


async def compare_and_set(connection: Connection, name: str, text: str | None, was: str | None) -> bool:
    """Replace the note `was` by `text`, in one statement; return False when another one stands there."""
    asked = {
        "name": f"note.{name}",
        "text": None if text is None else clean(text),
        "was": None if was is None else clean(was),
    }
    match was, text:
        case None, None:
            return await read_value(connection, name) is None
        case None, _:
            query = (
                "INSERT INTO reaper_setting (name, value) VALUES (%(name)s, to_jsonb(%(text)s::text))"
                " ON CONFLICT (name) DO NOTHING"
            )
        case _, None:
            query = "DELETE FROM reaper_setting WHERE name = %(name)s AND value = to_jsonb(%(was)s::text)"
        case _:
            query = (
                "UPDATE reaper_setting SET value = to_jsonb(%(text)s::text)"
                " WHERE name = %(name)s AND value = to_jsonb(%(was)s::text)"
            )
    return (await connection.execute(query, asked)).rowcount == 1


def _pause(fields: dict[str, Any]) -> Pause:
    return Pause(PauseReason(fields["reason"]), fields["since"], fields["detail"], fields.get("until"))


async def server_now(connection: Connection) -> float:
    """Tell the server's time, Unix seconds."""
    return float((await one_row(connection, f"SELECT {epoch('clock_timestamp()')}", {}))[0])

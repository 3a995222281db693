"""The counters, the whole queue in numbers, the audit, and the end of old rows."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

from reaper.core.model import MAX_HISTORY, Audit, Outcome, Stats
from reaper.queues.accounting import (
    ACCEPTED,
    DUPLICATE,
    INVALID,
    LedgerCounts,
    balance_checks,
    dead_kept,
    pruned,
    settled,
)
from reaper.queues.sqlite.errors import damaged
from reaper.queues.sqlite.rows import as_written
from reaper.queues.sqlite.schema import AT, IS_DEAD

PRUNED_AT_ONCE = 1_000
"""Old rows dropped in one call, so that no other work waits for long."""

_STATUS = "json_extract(history, '$[#-1].status')"
_UNPROVEN = f"""
SELECT count(*) FROM item WHERE outcome IN ('stopped', 'already_gone') AND (
    recorded > 0 AND status = CASE WHEN json_valid(history) THEN {_STATUS} END
    AND CASE outcome WHEN 'stopped' THEN status BETWEEN 200 AND 299 ELSE status IN (404, 410) END
) IS NOT TRUE
"""
_CONTRADICTORY = f"""
SELECT count(*) FROM item WHERE (
    round >= 1 AND 0 <= attempts AND attempts <= recorded AND recorded <= sends
    AND CASE WHEN json_valid(history) THEN json_array_length(history) END = min(recorded, {MAX_HISTORY})
    AND (receipt IS NULL) = (lease_until IS NULL) AND (receipt IS NULL) = (owner IS NULL)
    AND (outcome IS NULL) = (settled_at IS NULL) AND (outcome IS NULL OR receipt IS NULL)
) IS NOT TRUE
"""
_OPEN = "FROM item INDEXED BY item_open WHERE outcome IS NULL"


def count(connection: sqlite3.Connection, name: str, more: int = 1) -> None:
    """Let a counter grow."""
    connection.execute("UPDATE counter SET value = value + ? WHERE name = ?", (more, name))


def count_each(connection: sqlite3.Connection, names: Sequence[str], more: int = 1) -> None:
    """Let several counters grow by the same."""
    marks = ", ".join("?" * len(names))
    connection.execute(f"UPDATE counter SET value = value + ? WHERE name IN ({marks})", (more, *names))


def counters(connection: sqlite3.Connection) -> dict[str, int]:
    """Return all counters."""
    return dict(connection.execute("SELECT name, value FROM counter"))


def stats(connection: sqlite3.Connection, now: float) -> Stats:
    """Count the open rows in their indexes; what is settled comes from the counters."""
    found = counters(connection)
    ready = later = 0
    oldest = now
    for retry in (0, 1):
        kind = f"{_OPEN} AND (sends > 0) = {retry} AND {AT}"
        ready += _one(connection, f"SELECT count(*) {kind} <= ?", now)
        later += _one(connection, f"SELECT count(*) {kind} > ?", now)
        first = connection.execute(f"SELECT {AT} {kind} <= ? ORDER BY {AT} LIMIT 1", (now,)).fetchone()
        oldest = oldest if first is None else min(oldest, first[0])
    in_flight = _in_flight(connection, now)
    return Stats(
        ready=ready,
        delayed=later - in_flight,
        in_flight=in_flight,
        accepted=found.get(ACCEPTED, 0),
        settled={outcome: found.get(settled(outcome), 0) for outcome in Outcome},
        dead=dead_kept(found),
        duplicate=found.get(DUPLICATE, 0),
        invalid=found.get(INVALID, 0),
        oldest_due_s=now - oldest,
    )


def audit(connection: sqlite3.Connection, now: float) -> Audit:
    """Compare the counters with the rows themselves, every one of them read. Raises DatabaseError for a damaged
    file: where an index does not name what its table holds, IDs are lost to whoever asks by it, and all figures right.
    """
    (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise damaged(" ".join(finding.split()))
    rows = connection.execute(
        "SELECT outcome, count(*) FROM item NOT INDEXED WHERE outcome IS NOT NULL GROUP BY outcome"
    )
    with as_written():
        kept = {Outcome(outcome): number for outcome, number in rows}
    by_source = connection.execute(
        "SELECT coalesce(sum(accepted), 0), coalesce(sum(duplicate), 0), coalesce(sum(invalid), 0) FROM source"
    ).fetchone()
    held = _one(connection, "SELECT count(*) FROM item NOT INDEXED WHERE outcome IS NULL AND lease_until > ?", now)
    figures = LedgerCounts(
        counters=counters(connection),
        kept=kept,
        waiting=_one(connection, "SELECT count(*) FROM item NOT INDEXED WHERE outcome IS NULL") - held,
        in_flight=held,
        accepted_by_source=by_source[0],
        duplicate_by_source=by_source[1],
        invalid_by_source=by_source[2],
        unproven=_one(connection, _UNPROVEN),
        contradictory=_one(connection, _CONTRADICTORY),
    )
    return Audit(stats(connection, now), balance_checks(figures))


def prune(connection: sqlite3.Connection, before: float) -> None:
    """Drop a portion of the rows settled before an instant, dead letters excepted."""
    rows = connection.execute(
        f"SELECT id, outcome FROM item INDEXED BY item_settled WHERE outcome IS NOT NULL AND {IS_DEAD} = 0"
        f" AND settled_at < ? ORDER BY settled_at LIMIT {PRUNED_AT_ONCE}",
        (before,),
    ).fetchall()
    drop(connection, [(row_id, Outcome(outcome)) for row_id, outcome in rows])


def drop(connection: sqlite3.Connection, rows: Sequence[tuple[int, Outcome]]) -> int:
    """Drop settled rows; their counts stay. Return how many."""
    if rows:
        connection.executemany("DELETE FROM item WHERE id = ?", [(row_id,) for row_id, _ in rows])
    for outcome, number in Counter(outcome for _, outcome in rows).items():
        count(connection, pruned(outcome), number)
    return len(rows)


def _in_flight(connection: sqlite3.Connection, now: float) -> int:
    return _one(
        connection,
        "SELECT count(*) FROM item INDEXED BY item_leased"
        " WHERE receipt IS NOT NULL AND outcome IS NULL AND lease_until > ?",
        now,
    )


def _one(connection: sqlite3.Connection, query: str, *values: object) -> int:
    (number,) = connection.execute(query, values).fetchone()
    return int(number)

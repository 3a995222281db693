"""Many results in one statement. Each step of a statement releases the interpreter and has to acquire it again.

A plain result, the settling of a first send, is written with all others of its kind by SQLite itself; the rest goes one
by one. So do all where one that seemed plain is not: its receipt is stale, or its cancellation was requested meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from reaper.core.model import LeaseResult, Outcome, Send, Settle
from reaper.queues.accounting import counts_of
from reaper.queues.sqlite.counters import count_each
from reaper.queues.sqlite.rows import fields_of
from reaper.queues.sqlite.schema import statements

SQL = statements("bulk_settle.sql")


def settle_plain(connection: sqlite3.Connection, results: Sequence[LeaseResult], now: float) -> set[int]:
    """Settle those of the results that are plain; return their places in `results`."""
    plain = set()
    rows = []
    kinds: dict[tuple[Outcome, int | None], list[Send]] = {}
    for number, (lease, decision, send) in enumerate(results):
        if isinstance(decision, Settle) and send is not None and lease.sends == 1:
            plain.add(number)
            outcome, status = decision.outcome, send.status
            rows.append((lease.receipt, int(decision.charged), outcome, status, decision.detail, [fields_of(send)]))
            kinds.setdefault((outcome, status), []).append(send)
    connection.execute("SAVEPOINT plain")
    if connection.execute(SQL["settle_plain"], (now, json.dumps(rows))).rowcount == len(rows):
        for (outcome, _), sends in kinds.items():
            count_each(connection, counts_of(outcome, sends[0]), len(sends))
    else:
        connection.execute("ROLLBACK TO plain")
        plain = set()
    connection.execute("RELEASE plain")
    return plain

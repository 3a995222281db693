"""Many applies in one statement. Each step of a statement lets go of the interpreter and has to get it back.

What is plain, a first send that settles, is written for all at once by SQLite itself; the rest goes one by one, and so
does all where one of the plain turns out not to be: its receipt is stale, or its cancellation was requested meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from reaper.core.model import LeaseResult, Outcome, Send, Settle
from reaper.queues.accounting import counts_of
from reaper.queues.sqlite.audit import count_each
from reaper.queues.sqlite.claims import apply
from reaper.queues.sqlite.rows import fields_of

FEW = 4
"""Up to so many, one by one costs no more."""

# A receipt begins with the number of its row.
SETTLE = """
UPDATE item SET attempts = attempts + json_extract(ended.value, '$[1]'), recorded = 1,
    outcome = json_extract(ended.value, '$[2]'), status = json_extract(ended.value, '$[3]'),
    detail = json_extract(ended.value, '$[4]'), history = json_extract(ended.value, '$[5]'),
    settled_at = ?, owner = NULL, receipt = NULL, lease_until = NULL
FROM json_each(?) AS ended
WHERE item.id = CAST(json_extract(ended.value, '$[0]') AS INTEGER) AND receipt = json_extract(ended.value, '$[0]')
    AND sends = 1 AND recorded = 0 AND cancel_by IS NULL
"""


def apply_all(connection: sqlite3.Connection, ends: Sequence[LeaseResult], now: float) -> list[bool]:
    """Carry out decisions as `apply` does; returns for each whether its receipt was good."""
    done = settle_plain(connection, ends, now) if len(ends) > FEW else set()
    return [number in done or apply(connection, end, now) for number, end in enumerate(ends)]


def settle_plain(connection: sqlite3.Connection, ends: Sequence[LeaseResult], now: float) -> set[int]:
    """Settle those of the ends that are plain; return their places."""
    plain = set()
    rows = []
    kinds: dict[tuple[Outcome, int | None], list[Send]] = {}
    for number, (lease, decision, send) in enumerate(ends):
        if isinstance(decision, Settle) and send is not None and lease.sends == 1:
            plain.add(number)
            outcome, status = decision.outcome, send.status
            rows.append((lease.receipt, int(decision.charged), outcome, status, decision.detail, [fields_of(send)]))
            kinds.setdefault((outcome, status), []).append(send)
    connection.execute("SAVEPOINT plain")
    if connection.execute(SETTLE, (now, json.dumps(rows))).rowcount == len(rows):
        for (outcome, _), sends in kinds.items():
            count_each(connection, counts_of(outcome, sends[0]), len(sends))
    else:
        connection.execute("ROLLBACK TO plain")
        plain = set()
    connection.execute("RELEASE plain")
    return plain

"""Many applies in two statements. Each step of a statement lets go of the interpreter and has to get it back.

What is plain, a first send that settles, is written for all at once by SQLite itself; the rest goes one by one.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence

from reaper.core.model import Decision, Lease, Send, Settle
from reaper.queues.books import counts_of
from reaper.queues.sqlite_audit import count
from reaper.queues.sqlite_rows import with_send
from reaper.queues.sqlite_work import apply

Ask = tuple[Lease, Decision, Send | None]

FEW = 4
"""Up to so many, one by one costs no more."""

# CROSS JOIN: the asked ones are few, the rows many.
_HELD = """
SELECT json_group_array(json_array(asked.key, item.id)) FROM json_each(?) AS asked
CROSS JOIN item ON session_id = json_extract(asked.value, '$[0]') AND receipt = json_extract(asked.value, '$[1]')
WHERE sends = 1 AND recorded = 0 AND cancel_by IS NULL
"""
_SETTLE = """
UPDATE item SET attempts = attempts + json_extract(ended.value, '$[1]'), recorded = 1,
    outcome = json_extract(ended.value, '$[2]'), status = json_extract(ended.value, '$[3]'),
    detail = json_extract(ended.value, '$[4]'), history = json_extract(ended.value, '$[5]'),
    settled_at = ?, owner = NULL, receipt = NULL, lease_until = NULL
FROM json_each(?) AS ended WHERE item.id = json_extract(ended.value, '$[0]')
"""


def apply_all(connection: sqlite3.Connection, asks: Sequence[Ask], now: float) -> list[bool]:
    """Carry out decisions as `apply` does; returns for each whether its receipt was good."""
    done = settle_plain(connection, asks, now) if len(asks) > FEW else set()
    return [number in done or apply(connection, *ask, now) for number, ask in enumerate(asks)]


def settle_plain(connection: sqlite3.Connection, asks: Sequence[Ask], now: float) -> set[int]:
    """Settle those of the asked that are plain; return their places in `asks`."""
    plain: Mapping[int, tuple[Lease, Settle, Send]] = {
        number: (lease, decision, send)
        for number, (lease, decision, send) in enumerate(asks)
        if isinstance(decision, Settle) and send is not None and lease.sends == 1
    }
    numbers = list(plain)
    asked = json.dumps([(lease.session_id, lease.receipt) for lease, _, _ in plain.values()])
    (found,) = connection.execute(_HELD, (asked,)).fetchone()
    # By row: a lease that is asked about twice is good once.
    held = {number: row_id for row_id, number in {row: numbers[place] for place, row in json.loads(found)}.items()}
    counts: Counter[str] = Counter()
    rows = []
    for number, row_id in held.items():
        _, settle, send = plain[number]
        counts.update(counts_of(settle.outcome, send))
        history = with_send("[]", send)
        rows.append((row_id, int(settle.charged), settle.outcome, send.status, settle.detail, history))
    if rows:
        connection.execute(_SETTLE, (now, json.dumps(rows)))
    for name, more in counts.items():
        count(connection, name, more)
    return set(held)

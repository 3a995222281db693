"""Many results in one statement. Each step of a statement releases the interpreter and has to acquire it again.

A plain result, the settling of a first send, is written with all others of its kind by SQLite itself; the rest goes one
by one. So do all of a kind where one that seemed plain is not: its receipt is stale, or its cancellation was requested
meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from reaper.core.model import LeaseResult, Send, Settle
from reaper.queues.accounting import counts_of
from reaper.queues.history import Ended
from reaper.queues.sqlite.counters import count_each
from reaper.queues.sqlite.rows import fields_of
from reaper.queues.sqlite.schema import statements

FEW_RESULTS = 4
"""Up to so many results of a kind, one by one costs no more than one statement for all."""
SQL = statements("bulk_settle.sql")


def settle_plain(connection: sqlite3.Connection, results: Sequence[LeaseResult], now: float, ended: Ended) -> set[int]:
    """Settle those of the results that are plain and of the same kind as others; return their places in `results`.

    Adds them to `ended`.
    """
    kinds: dict[tuple[Settle, int | None], list[int]] = {}
    for number, (lease, decision, send) in enumerate(results):
        if isinstance(decision, Settle) and send is not None and lease.sends == 1:
            kinds.setdefault((decision, send.status), []).append(number)
    done: set[int] = set()
    for (decision, status), numbers in kinds.items():
        if len(numbers) > FEW_RESULTS:
            sends = {results[number].lease.receipt: _send(results[number]) for number in numbers}
            if _settle_kind(connection, decision, status, sends, now):
                done.update(numbers)
                ended.outcomes.extend([decision.outcome] * len(numbers))
                ended.due_at.extend([results[number].lease.due_at for number in numbers])
    return done


def _settle_kind(
    connection: sqlite3.Connection, decision: Settle, status: int | None, sends: dict[str, Send], now: float
) -> bool:
    """Settle all of a kind, given by receipt; return False, and change nothing, where one of them is not plain."""
    histories = json.dumps({receipt: [fields_of(send)] for receipt, send in sends.items()})
    values = (int(decision.charged), decision.outcome, status, decision.detail, now, histories)
    connection.execute("SAVEPOINT plain")
    plain = connection.execute(SQL["settle_plain"], values).rowcount == len(sends)
    if plain:
        count_each(connection, counts_of(decision.outcome, next(iter(sends.values()))), len(sends))
    else:
        connection.execute("ROLLBACK TO plain")
    connection.execute("RELEASE plain")
    return plain


def _send(result: LeaseResult) -> Send:
    assert result.send is not None, "only what was sent is plain"
    return result.send

"""The whole queue: its settled rows, its numbers, and the audit: counters against rows, each row read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from reaper.core.model import Audit, AuditLine, Item, Outcome, SessionId, Stats
from reaper.queues import accounting as books
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.rows import item, pairs
from reaper.queues.redis.scripts import load

PAGE = 1_000
ROWS = 500
"""Settled rows in memory at a time."""
LOST = "inbox.lost"
"""Counts the inbox entries that somebody deleted after they were read and before they were taken in."""
_SETTLED, _STATS, _VERIFY = load("settled"), load("stats"), load("verify")


async def settled(engine: RedisConnection, since: float | None, only: frozenset[Outcome]) -> AsyncIterator[Item]:
    """Yield the settled rows of some outcomes, oldest settled first."""
    score, place = ("", 0) if since is None else (repr(since), -1)
    while True:
        now, rows = await engine.whole(engine.run(_SETTLED, score, place, ROWS, *sorted(only)))
        for session_id, _, _, flat, source in rows:
            if (found := item(SessionId(session_id), flat, source, float(now))) is not None:
                yield found
        if len(rows) < ROWS:
            return
        _, score, place, _, _ = rows[-1]


async def stats(engine: RedisConnection) -> Stats:
    """Count what waits in the indexes; what is settled comes from the counters."""
    return _stats(await engine.run(_STATS, *Outcome))


async def audit(engine: RedisConnection) -> Audit:
    """Compare rows with the indexes page by page, then in one view the indexes with the counters.

    A row that is in no index is missed by the pages and found by the counters.
    """
    contradictory = unproven = 0
    for name in ("first", "retry", "lease", *(f"out:{outcome}" for outcome in Outcome)):
        score, place, found = "", 0, PAGE
        while found == PAGE:
            found, score, place, wrong, unheard = await engine.run(_VERIFY, name, score, place, PAGE)
            contradictory += wrong
            unproven += unheard
    answer = await engine.run(_STATS, *Outcome)
    in_numbers = _stats(answer)
    _, _, in_flight, _, counters, kept, accepted, duplicate, invalid, is_open = answer
    counts = {name: int(value) for name, value in pairs(counters).items()}
    figures = books.LedgerCounts(
        counters=counts,
        kept=dict(zip(Outcome, kept, strict=True)),
        waiting=is_open - in_flight,
        in_flight=in_flight,
        accepted_by_source=accepted,
        duplicate_by_source=duplicate,
        invalid_by_source=invalid,
        unproven=unproven,
        contradictory=contradictory,
    )
    lost = AuditLine("inbox entries deleted before they were taken in = 0", counts.get(LOST, 0), 0)
    return Audit(in_numbers, (*books.balance_checks(figures), lost))


def _stats(answer: Any) -> Stats:
    ready, delayed, in_flight, oldest_due_s, flat, *_ = answer
    counts = {name: int(value) for name, value in pairs(flat).items()}
    return Stats(
        ready=ready,
        delayed=delayed,
        in_flight=in_flight,
        accepted=counts.get(books.ACCEPTED, 0),
        settled={outcome: counts.get(books.settled(outcome), 0) for outcome in Outcome},
        dead=books.dead_kept(counts),
        duplicate=counts.get(books.DUPLICATE, 0),
        invalid=counts.get(books.INVALID, 0),
        oldest_due_s=float(oldest_due_s),
    )

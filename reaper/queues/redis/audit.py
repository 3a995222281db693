"""Reads the ledger: rows, heartbeats, figures, and the audit that compares the counters with every row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from reaper.core.model import Audit, AuditLine, Item, Outcome, SessionId, Stats, WorkerHeartbeat
from reaper.queues import accounting
from reaper.queues.redis import rows
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.scripts import load

PAGE = 1_000
ROWS = 500
"""Settled rows in memory at a time."""
HEARTBEAT_LIFE_S = 20.0
"""A worker whose last heartbeat is older is not reported: it sends one every 5 s."""
LOST = "inbox.lost"
"""Counts the inbox entries that somebody deleted after they were read and before they were taken in."""
_SHOW, _OUTCOMES_OF, _SETTLED, _RETRYING = load("show"), load("outcomes_of"), load("settled"), load("retrying")
_HEARTBEATS, _STATS, _VERIFY = load("heartbeats"), load("stats"), load("verify")


@dataclass(slots=True, eq=False)
class Ledger:
    """The reading port of one open queue."""

    connection: RedisConnection

    async def show(self, session_id: SessionId) -> Item | None:
        now, flat, source = await self.connection.run_shielded(self.connection.run(_SHOW, session_id))
        return rows.item(session_id, flat, source, float(now))

    async def outcomes_of(self, session_ids: Sequence[SessionId]) -> dict[SessionId, Outcome | None]:
        found: dict[SessionId, Outcome | None] = {}
        for start in range(0, len(session_ids), PAGE):
            asked = session_ids[start : start + PAGE]
            answers = await self.connection.run_shielded(self.connection.run(_OUTCOMES_OF, *asked))
            known = zip(asked, answers, strict=True)
            found |= {name: Outcome(outcome) if outcome else None for name, outcome in known if outcome is not None}
        return found

    async def outcomes(
        self, *, since: float | None = None, only: frozenset[Outcome] | None = None
    ) -> AsyncIterator[Item]:
        score, place = ("", 0) if since is None else (repr(since), -1)
        chosen = sorted(Outcome if only is None else only)
        while True:
            work = self.connection.run(_SETTLED, score, place, ROWS, *chosen)
            now, page = await self.connection.run_shielded(work)
            for session_id, _, _, flat, source in page:
                if (item := rows.item(SessionId(session_id), flat, source, float(now))) is not None:
                    yield item
            if len(page) < ROWS:
                return
            _, score, place, _, _ = page[-1]

    async def retrying(self, limit: int) -> list[Item]:
        now, found = await self.connection.run_shielded(self.connection.run(_RETRYING, limit))
        items = (rows.item(SessionId(name), flat, source, float(now)) for name, flat, source in found)
        return [item for item in items if item is not None]

    async def live_workers(self) -> list[WorkerHeartbeat]:
        found = await self.connection.run_shielded(self.connection.run(_HEARTBEATS, HEARTBEAT_LIFE_S))
        return sorted((rows.heartbeat(*one) for one in found), key=lambda one: (one.started_at, one.owner))

    async def stats(self) -> Stats:
        return _stats(await self.connection.run_shielded(self.connection.run(_STATS, *Outcome)))

    async def audit(self) -> Audit:
        return await self.connection.run_shielded(self._audit())

    async def _audit(self) -> Audit:
        """Compare rows with the indexes page by page, then in one view the indexes with the counters.

        A row that is in no index is missed by the pages and found by the counters.
        """
        contradictory = unproven = 0
        for name in ("first", "retry", "lease", *(f"out:{outcome}" for outcome in Outcome)):
            score, place, found = "", 0, PAGE
            while found == PAGE:
                found, score, place, wrong, without_send = await self.connection.run(_VERIFY, name, score, place, PAGE)
                contradictory += wrong
                unproven += without_send
        answer = await self.connection.run(_STATS, *Outcome)
        _, _, in_flight, _, counters, kept, accepted, duplicate, invalid, is_open = answer
        counts = {name: int(value) for name, value in rows.pairs(counters).items()}
        figures = accounting.LedgerCounts(
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
        return Audit(_stats(answer), (*accounting.balance_checks(figures), lost))


def _stats(answer: Any) -> Stats:
    ready, delayed, in_flight, oldest_due_s, flat, *_ = answer
    counts = {name: int(value) for name, value in rows.pairs(flat).items()}
    return Stats(
        ready=ready,
        delayed=delayed,
        in_flight=in_flight,
        accepted=counts.get(accounting.ACCEPTED, 0),
        settled={outcome: counts.get(accounting.settled(outcome), 0) for outcome in Outcome},
        dead=accounting.dead_kept(counts),
        duplicate=counts.get(accounting.DUPLICATE, 0),
        invalid=counts.get(accounting.INVALID, 0),
        oldest_due_s=float(oldest_due_s),
    )

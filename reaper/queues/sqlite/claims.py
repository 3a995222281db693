"""The work port: claims, the ends of leases, and the upkeep beside them."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from reaper.core.errors import QueueError
from reaper.core.model import Lease, LeaseResult, Outcome, Pause, Release, SessionId
from reaper.queues.accounting import FINALS, ClaimedRow, apply_decision, interleave_retries
from reaper.queues.base import RunSet
from reaper.queues.history import Ended
from reaper.queues.sqlite.bulk_settle import settle_plain
from reaper.queues.sqlite.clocks import LedgerClock
from reaper.queues.sqlite.counters import count_each, count_history
from reaper.queues.sqlite.maintenance import (
    dead_owners,
    deregister,
    end_long_waits,
    prune,
    prune_history,
    release_dead,
    settle_cancelled,
)
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.rows import with_send, written_by_us
from reaper.queues.sqlite.run_sets import SqliteRunSet, is_small, own_set_id
from reaper.queues.sqlite.schema import refuse_newer, set_checkpointing, statements
from reaper.queues.sqlite.shared_values import PAUSE, read_setting
from reaper.queues.sqlite.thread import LedgerThread, Work
from reaper.queues.values import is_over, pause_of

SQL = statements("claims.sql")


class SqliteWork:
    """The work port of an open ledger."""

    def __init__(self, thread: LedgerThread, locks: Locks, clock: LedgerClock) -> None:
        self.owner = locks.owner
        self.thread = thread
        self.locks = locks
        self.clock = clock
        self.now = clock.now
        self._started_at = clock.now()
        self._has_heartbeat = False
        self._claimed = 0
        self._sets = 0

    def new_set(self) -> RunSet:
        self._sets += 1
        return SqliteRunSet(self.thread, self.clock, self._sets)

    async def claim(self, limit: int, *, lease_s: float, within: RunSet | None = None) -> list[Lease]:
        set_id = None if within is None else own_set_id(within, self.thread)

        def claim(connection: sqlite3.Connection) -> list[Lease]:
            self.locks.register()
            if self.clock.must_check_waits():
                end_long_waits(connection, self.now())
            leases = claim_rows(
                connection,
                limit,
                clock=self.clock,
                lease_s=lease_s,
                owner=self.owner,
                turn=self._claimed,
                set_id=set_id,
            )
            self._claimed += len(leases)
            return leases

        def release(leases: list[Lease]) -> Work[object]:
            unsent = [LeaseResult(lease, Release(0.0), None) for lease in leases]
            return lambda connection: apply_results(connection, unsent, self.now())

        return await self.thread.write(claim, undo=release)

    async def apply(self, results: Sequence[LeaseResult]) -> list[bool]:
        return await self.thread.write(lambda connection: apply_results(connection, results, self.now()))

    async def next_at(self) -> float | None:
        def next_at(connection: sqlite3.Connection) -> float | None:
            now, steady = self.now(), self.clock.steady()
            found = [now + until - steady for (until,) in connection.execute(SQL["next_lease"])]
            for retry in (0, 1):
                for kind in (0, 1):
                    rows = connection.execute(SQL["next_due"], {"retry": retry, "kind": kind})
                    found += [due_at if kind else min(due_at, now) for (due_at,) in rows]
            return min(found, default=None)

        return await self.thread.read(next_at)

    async def paused(self) -> Pause | None:
        text = await self.thread.read(lambda connection: read_setting(connection, PAUSE))
        if text is None:
            return None
        with written_by_us():
            pause = pause_of(json.loads(text))
        return None if is_over(pause, self.now()) else pause

    async def maintain(self, keep_settled_s: float) -> int:
        def maintain(connection: sqlite3.Connection) -> int:
            set_checkpointing(connection, self.locks.try_become_checkpointer())
            refuse_newer(connection)
            if self.clock.must_check_waits():
                end_long_waits(connection, self.now())
            released = release_dead(connection, dead_owners(connection, self.locks), self.locks, self.clock)
            now = self.now()
            believed = min(now, self.clock.believed(connection))
            prune(connection, believed - keep_settled_s)
            prune_history(connection, now, believed)
            return released

        return await self.thread.write(maintain)

    async def heartbeat(self, limit: int, pauses: Sequence[Pause]) -> None:
        def heartbeat(connection: sqlite3.Connection) -> None:
            self.locks.register()
            texts = json.dumps([asdict(pause) for pause in pauses])
            values = (self.owner, os.getpid(), self._started_at, self.now(), limit, texts)
            connection.execute(SQL["write_heartbeat"], values)
            self._has_heartbeat = True

        await self.thread.write(heartbeat)

    async def close(self) -> None:
        """Delete this worker's heartbeat, finish what was posted, close the ledger."""
        if self._has_heartbeat:
            self._has_heartbeat = False
            with suppress(QueueError):  # without its lock file the worker counts as gone all the same
                await self.thread.write(lambda connection: deregister(connection, self.owner))
        await self.thread.stop()


def claim_rows(
    connection: sqlite3.Connection,
    limit: int,
    *,
    clock: LedgerClock,
    lease_s: float,
    owner: str,
    turn: int,
    set_id: int | None,
) -> list[Lease]:
    """Claim up to `limit` ready rows. `turn` is how many this process claimed before: it tells its claims apart.

    A receipt begins with its row's ID: an apply goes straight to the row.
    """
    if set_id is None:
        query = SQL["find"]
    else:
        query = SQL["find_in_small_set" if is_small(connection, set_id) else "find_in_large_set"]

    instants = clock.instants()

    def ready(retry: bool) -> list[Any]:
        while True:
            values = {"retry": retry, "set_id": set_id, "limit": limit, **instants}
            rows: list[Any] = json.loads(connection.execute(query, values).fetchone()[0])
            cancelled = [row[0] for row in rows if row[-1]]
            if not cancelled:
                return rows
            settle_cancelled(connection, cancelled, instants["now"])

    chosen = interleave_retries(iter(ready(False)), iter(ready(True)), limit, turn)
    if not chosen:
        return []
    (finals,) = connection.execute(SQL["counter"], (FINALS,)).fetchone()
    until = instants["steady"] + lease_s
    ids = json.dumps([row[0] for row in chosen])
    connection.execute(SQL["claim"], {"owner": owner, "turn": turn, "until": until, "finals": finals, "ids": ids})
    return [_lease(row, f"{row[0]}.{owner}.{turn}", finals, instants["now"] + lease_s) for row in chosen]


def _lease(row: Any, receipt: str, finals: int, until: float) -> Lease:
    _, session_id, round_, attempts, sends, recorded, ambiguous, finals_seen, source, due_at, _ = row
    return Lease(
        session_id=SessionId(session_id),
        receipt=receipt,
        round=round_,
        attempts=attempts,
        sends=sends + 1,
        unanswered=sends - recorded,
        ambiguous=bool(ambiguous),
        others_final=sends > 0 and finals > finals_seen,
        source=source,
        expires_at=until,
        due_at=due_at,
    )


def apply_results(connection: sqlite3.Connection, results: Sequence[LeaseResult], now: float) -> list[bool]:
    """Write decisions and end their leases; return for each whether its receipt was good."""
    ended = Ended()
    done = settle_plain(connection, results, now, ended)
    good = [number in done or apply_one(connection, result, now, ended) for number, result in enumerate(results)]
    count_history(connection, ended, now)
    return good


def apply_one(connection: sqlite3.Connection, result: LeaseResult, now: float, ended: Ended) -> bool:
    """Write one decision and end its lease; return False when the receipt is stale. Adds what it settled to `ended`."""
    lease, decision, send = result
    row = connection.execute(SQL["claimed_row"], (lease.session_id, lease.receipt)).fetchone()
    if row is None:
        return False
    row_id, history, attempts, sends, recorded, ambiguous, finals_seen, finals_before, due_at, cancelled = row
    claimed = ClaimedRow(
        attempts, sends, recorded, bool(ambiguous), finals_seen, finals_before, due_at, cancel_requested=bool(cancelled)
    )
    updated = apply_decision(claimed, decision, send, now)
    outcome = updated.outcome
    by_request = outcome is Outcome.CANCELLED and claimed.cancel_requested
    connection.execute(
        SQL["end_lease"],
        (
            updated.attempts,
            updated.sends,
            updated.recorded,
            updated.ambiguous,
            updated.finals_seen,
            updated.due_at,
            updated.wait_s,
            updated.wait_s,
            history if send is None else with_send(history, send),
            outcome,
            updated.status,
            updated.detail,
            None if outcome is None else now,
            by_request,
            by_request,
            outcome is Outcome.ALREADY_GONE,
            outcome is Outcome.ALREADY_GONE,
            row_id,
        ),
    )
    if updated.counts:
        count_each(connection, updated.counts)
    if outcome is not None:
        ended.outcomes.append(outcome)
        if outcome is not Outcome.CANCELLED:
            ended.due_at.append(lease.due_at)
    return True

"""Applies that come together: one statement for the plain ones does to the ledger what one by one does.

Whether calls come together is a matter of moments, so here the batch is made by hand.
"""

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reaper.core.model import Lease, LeaseResult, Outcome, Release, Retry, Send, Settle
from reaper.queues.base import Queue
from reaper.queues.history import Ended
from reaper.queues.sqlite.bulk_settle import FEW_RESULTS, settle_plain
from reaper.queues.sqlite.claims import apply_one, apply_results
from reaper.queues.sqlite.thread import LedgerThread
from tests.support.queues.harness import LEASE_S, NOW, START, STOPPED, Clock, ended, ids, names, open_for_work, sent

pytestmark = pytest.mark.anyio

GONE = Settle(Outcome.ALREADY_GONE, "after_ambiguous")
FORBIDDEN = Settle(Outcome.FORBIDDEN, charged=False)
SINGLE, MANY = 4 + FEW_RESULTS, FEW_RESULTS + 1
ALL = SINGLE + 3 * MANY
"""The results of `asked`: what goes one by one, and three kinds of which there are enough for a statement each."""


async def claimed(path: Path, most: int) -> tuple[Queue, LedgerThread, list[Lease]]:
    """Open a new ledger with IDs that are all claimed; the first was sent before."""
    queue, ledger = await open_for_work(path, clock=Clock())
    await queue.add(ids(*(f"s{number:02}" for number in range(most))))
    (first,) = await queue.claim(1, lease_s=LEASE_S)
    await ended(queue, first, NOW, sent(429))
    leases = await queue.claim(most, lease_s=LEASE_S)
    return queue, ledger.thread, sorted(leases, key=lambda lease: lease.session_id)


def asked(leases: list[Lease]) -> list[LeaseResult]:
    """Ask for something else of each; the last three kinds are plain and many."""
    decisions: list[tuple[Any, Send | None]] = [
        (STOPPED, sent()),  # by its second send
        (Settle(Outcome.PROTECTED), None),
        (Retry(5.0), sent(502)),
        (Release(7.0), sent(429)),
        *[(FORBIDDEN, sent(403))] * FEW_RESULTS,  # plain, and too few
        *[(STOPPED, Send(START, 0.5, 204, request_id=f"req-{number}")) for number in range(MANY)],
        *[(GONE, sent(404))] * MANY,
        *[(Settle(Outcome.ALREADY_GONE), sent(404))] * MANY,  # all alike but for the detail
    ]
    return [LeaseResult(lease, *decision) for lease, decision in zip(leases, decisions, strict=True)]


def contents(connection: sqlite3.Connection) -> list[Any]:
    """Return all that the ledger says of its IDs, but for the names of processes."""
    items = connection.execute(
        "SELECT session_id, json(history), attempts, sends, recorded, ambiguous, due_at, outcome, status,"
        " detail, settled_at, receipt IS NULL, lease_until, owner IS NULL FROM item ORDER BY session_id"
    ).fetchall()
    return [items, connection.execute("SELECT name, value FROM counter ORDER BY name").fetchall()]


async def test_what_is_settled_by_one_statement_is_as_if_settled_one_by_one(tmp_path: Path) -> None:
    def together(ends: list[LeaseResult], connection: sqlite3.Connection) -> list[bool]:
        return apply_results(connection, ends, START + 1)

    def singly(ends: list[LeaseResult], connection: sqlite3.Connection) -> list[bool]:
        return [apply_one(connection, end, START + 1, Ended()) for end in ends]

    found = []
    for work in (together, singly):
        queue, thread, leases = await claimed(tmp_path / f"{work.__name__}.db", ALL)
        ends = asked(leases)
        assert await thread.write(partial(work, ends)) == [True] * ALL
        found.append(await thread.read(contents))
        assert (await queue.audit()).balanced
        await queue.close()
    assert found[0] == found[1]


async def test_only_what_is_plain_is_settled_by_one_statement(tmp_path: Path) -> None:
    queue, thread, leases = await claimed(tmp_path / "ledger.db", ALL)
    ends = asked(leases)
    assert await thread.write(lambda c: settle_plain(c, ends, START + 1, Ended())) == set(range(SINGLE, ALL))
    assert [item.session_id async for item in queue.outcomes()] == [f"s{number:02}" for number in range(SINGLE, ALL)]
    await queue.close()


async def test_one_late_settle_among_them_leaves_its_kind_to_be_settled_singly(tmp_path: Path) -> None:
    queue, thread, leases = await claimed(tmp_path / "ledger.db", 6)
    assert await ended(queue, leases[5], NOW, None)
    assert names(await queue.claim(1, lease_s=LEASE_S)) == ["s05"]
    ends: list[LeaseResult] = [LeaseResult(lease, STOPPED, sent()) for lease in leases]
    before = await thread.read(contents)
    assert await thread.write(lambda c: settle_plain(c, ends, START + 1, Ended())) == set()
    assert await thread.read(contents) == before
    assert await thread.write(lambda c: apply_results(c, ends, START + 1)) == [True] * 5 + [False]
    assert (await queue.stats()).settled[Outcome.STOPPED] == 5
    assert (await queue.audit()).balanced
    await queue.close()

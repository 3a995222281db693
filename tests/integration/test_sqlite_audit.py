"""The ledger under the magnifying glass: no count can be altered unnoticed, no hot question reads the whole table."""

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reaper.core.errors import QueueError
from reaper.core.model import Outcome, SessionId
from reaper.core.times import LAST_INSTANT
from reaper.queues.sqlite import audit, bulk_settle, claims, maintenance, reader, run_sets
from reaper.queues.values import Batch, NewItem
from tests.support.queues.harness import STOPPED, claim_one, ended, ids, open_for_work, sent, stop_one

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.mark.parametrize(
    "query",
    [
        claims.SQL["claimable"],
        claims.SQL["claimable_of_large_set"],
        claims.SQL["claimed_row"],
        claims.SQL["next_due"],
        claims.SQL["next_lease"],
        maintenance.SQL["old"],
        maintenance.SQL["leased_by"],
        maintenance.SQL["owners"].partition("UNION ")[2],
        maintenance.SQL["expired_cancelled"],
        reader.SQL["show"],
        maintenance.SQL["end_long_waits"],
        run_sets.SQL["next_of_large"],
        run_sets.SQL["next_lease_of_large"],
        *(audit.SQL[name] for name in ("count_due_now", "count_due", "count_later", "count_all_later")),
    ],
)
async def test_no_question_of_the_hot_path_reads_or_sorts_the_whole_table(path: Path, query: str) -> None:
    plan = await explain(path, query)
    assert "USING" in plan
    # Leases are few.
    few = r".* item USING (COVERING )?INDEX item_leased.*\n(SEARCH temp.*\n)?USE TEMP B-TREE FOR (ORDER BY|DISTINCT)"
    assert "TEMP B-TREE" not in re.sub(few, "", plan)
    assert not [line for line in plan.splitlines() if line.startswith("SCAN item") and "INDEX" not in line]


async def test_applies_that_come_together_go_straight_to_their_rows(path: Path) -> None:
    assert "SEARCH item USING INTEGER PRIMARY KEY" in await explain(path, bulk_settle.SQL["settle_plain"])


async def test_a_small_set_is_searched_by_its_own_rows(path: Path) -> None:
    plan = await explain(path, claims.SQL["claimable_of_small_set"])
    assert plan.splitlines()[0].startswith("SEARCH temp.member USING PRIMARY KEY")
    assert "SEARCH item USING INTEGER PRIMARY KEY" in plan


async def explain(path: Path, query: str) -> str:
    """Return how SQLite would carry out a query on a new ledger."""
    queue, ledger = await open_for_work(path)
    unnamed = [0] * query.count("?")
    values = unnamed or {"now": 1.0, "steady": 1.0, "retry": 0, "kind": 0, "set_id": 1, "limit": 1, "most": 1}
    rows = await ledger.thread.read(lambda c: c.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall())
    await queue.close()
    return "\n".join(row[3] for row in rows)


TAMPERINGS = [
    *(f"UPDATE intake_source SET {column} = {column} + 1" for column in ("accepted", "duplicate", "invalid")),
    "DELETE FROM item WHERE outcome = 'stopped'",
    "DELETE FROM item WHERE outcome IS NULL",
    "UPDATE item SET outcome = 'rejected' WHERE outcome = 'stopped'",
    "UPDATE item SET outcome = NULL, settled_at = NULL WHERE outcome = 'stopped'",
    "UPDATE item SET outcome = 'exhausted' WHERE outcome = 'stopped'",
    "UPDATE item SET outcome = 'protected', settled_at = 1 WHERE outcome IS NULL",
    "UPDATE item SET recorded = recorded + 1",
    "UPDATE item SET attempts = attempts + 1 WHERE outcome = 'stopped'",
    "UPDATE item SET sends = sends - 1 WHERE outcome = 'stopped'",
    "UPDATE item SET status = 502 WHERE outcome = 'stopped'",
    "UPDATE item SET status = NULL WHERE outcome = 'stopped'",
    "UPDATE item SET history = '[]' WHERE outcome = 'stopped'",
    "UPDATE item SET history = '{' WHERE outcome = 'stopped'",
    "UPDATE item SET history = replace(history, '204', '502') WHERE outcome = 'stopped'",
    "UPDATE item SET receipt = 'x' WHERE outcome IS NULL",
]


async def test_every_count_altered_by_hand_is_noticed(path: Path) -> None:
    queue, _ = await open_for_work(path)
    await queue.add(ids("a", "b"))
    await stop_one(queue)
    with sqlite3.connect(path) as connection:
        counters = [row[0] for row in connection.execute("SELECT name FROM counter")]
    connection.close()
    assert len(counters) == 6 + 3 * len(Outcome)
    changes = [
        *TAMPERINGS,
        *(f"UPDATE counter SET value = value + 1 WHERE name = '{name}'" for name in counters),
        *(f"UPDATE counter SET value = value - 1 WHERE name = '{name}'" for name in counters),
        "DELETE FROM counter WHERE name = 'settled.stopped'",
    ]
    for change in changes:
        with sqlite3.connect(path, isolation_level=None) as hand:
            saved = list(hand.iterdump())
            assert hand.execute(change).rowcount > 0, change
            assert not (await queue.audit()).balanced, change
            tables = ("counter", "item", "intake_source")
            for table in tables:
                hand.execute(f"DELETE FROM {table}")
            for line in saved:
                if line.startswith(tuple(f'INSERT INTO "{table}"' for table in tables)):
                    hand.execute(line)
        hand.close()
        assert (await queue.audit()).balanced, f"put back after: {change}"
    await queue.close()


async def test_an_outcome_and_its_counts_are_one_step(path: Path) -> None:
    """When the counters cannot be written, neither is the outcome: no crash in between leaves one without the other."""
    queue, ledger = await open_for_work(path)
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    refuse = "CREATE TEMP TRIGGER no BEFORE UPDATE ON counter BEGIN SELECT RAISE(ABORT, 'not now'); END"
    await ledger.thread.read(lambda c: c.execute(refuse).fetchall())
    with pytest.raises(QueueError):
        await ended(queue, lease, STOPPED, sent())
    await ledger.thread.read(lambda c: c.execute("DROP TRIGGER temp.no").fetchall())
    stats = await queue.stats()
    assert (stats.in_flight, stats.settled[Outcome.STOPPED]) == (1, 0)
    assert (await queue.audit()).balanced
    assert await ended(queue, lease, STOPPED, sent())
    assert (await queue.audit()).balanced
    await queue.close()


async def test_a_large_kind_is_not_read_to_its_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_COUNTED", 100)
    queue, ledger = await open_for_work(path)
    await queue.add(Batch("test", [NewItem(SessionId(f"s{number}")) for number in range(30_000)]))
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    await ledger.thread.read(lambda c: c.set_progress_handler(step, 100))
    assert (await queue.stats()).ready == 30_000
    await ledger.thread.read(lambda c: c.set_progress_handler(None, 0))
    assert steps < 100, "hundreds of instructions of SQLite"
    await queue.close()


@pytest.mark.parametrize("column", ["added_at", "settled_at"])
async def test_a_row_whose_times_no_clock_can_show_is_damaged(path: Path, column: str) -> None:
    queue, _ = await open_for_work(path)
    await queue.add(ids("a"))
    await stop_one(queue)
    for at, sound in ((0.0, True), (LAST_INSTANT, True), (-1.0, False), (LAST_INSTANT + 1, False)):
        with sqlite3.connect(path, isolation_level=None) as hand:
            hand.execute(f"UPDATE item SET {column} = ?", (at,))
        hand.close()
        if sound:
            assert await queue.show(SessionId("a")) is not None
            continue
        with pytest.raises(QueueError, match="a row of the ledger is damaged"):
            await queue.show(SessionId("a"))
    assert datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp() == LAST_INSTANT
    await queue.close()

"""The ledger under the magnifying glass: no count can be altered unnoticed, no hot question reads the whole table."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reaper.core.errors import QueueError
from reaper.core.model import Outcome, SessionId
from reaper.queues.sqlite.bulk_settle import SETTLE
from reaper.queues.sqlite.claims import CLAIMABLE, CLAIMABLE_OF_LARGE_SET, CLAIMABLE_OF_SMALL_SET
from reaper.queues.sqlite.queue import SqliteQueue, open_ledger
from reaper.queues.sqlite.rows import LAST_INSTANT
from reaper.queues.sqlite.schema import IS_DEAD
from tests.support.queues.harness import STOPPED, claim_one, ended, ids, sent, stop_one

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def open_for_work(path: Path) -> SqliteQueue:
    queue, _ = await open_ledger(str(path), create=True, read_only=False, worker=True)
    return queue


@pytest.mark.parametrize(
    "query",
    [
        CLAIMABLE,
        CLAIMABLE_OF_LARGE_SET,
        "SELECT id FROM item INDEXED BY item_settled WHERE outcome IS NOT NULL AND "
        f"{IS_DEAD} = 0 AND settled_at < :now ORDER BY settled_at LIMIT 1000",
        "SELECT id FROM item WHERE outcome IS NOT NULL AND "
        f"{IS_DEAD} = 1 AND (settled_at, id) > (:now, 5) ORDER BY settled_at, id LIMIT 500",
        "SELECT id FROM item WHERE session_id = :now AND receipt = :retry",
        "SELECT DISTINCT owner FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL",
    ],
)
async def test_no_question_of_the_hot_path_reads_or_sorts_the_whole_table(path: Path, query: str) -> None:
    queue = await open_for_work(path)
    plan = await queue._thread.read(lambda c: explain(c, query))
    assert "USING" in plan
    assert "TEMP B-TREE" not in plan
    assert not [line for line in plan.splitlines() if line.startswith("SCAN item") and "INDEX" not in line]
    await queue.close()


async def test_applies_that_come_together_go_straight_to_their_rows(path: Path) -> None:
    queue = await open_for_work(path)
    settle = SETTLE.replace("?", ":now")
    assert "SEARCH item USING INTEGER PRIMARY KEY" in await queue._thread.read(lambda c: explain(c, settle))
    await queue.close()


async def test_a_small_set_is_searched_by_its_own_rows(path: Path) -> None:
    queue = await open_for_work(path)
    plan = await queue._thread.read(lambda c: explain(c, CLAIMABLE_OF_SMALL_SET))
    assert plan.splitlines()[0].startswith("SEARCH temp.member USING PRIMARY KEY")
    assert "SEARCH item USING INTEGER PRIMARY KEY" in plan
    await queue.close()


def explain(connection: sqlite3.Connection, query: str) -> str:
    values = {"now": 1.0, "retry": 0, "set_id": 1}
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values))


TAMPERINGS = [
    *(f"UPDATE source SET {column} = {column} + 1" for column in ("accepted", "duplicate", "invalid")),
    "DELETE FROM item WHERE outcome = 'stopped'",
    "DELETE FROM item WHERE outcome IS NULL",
    "UPDATE item SET outcome = 'rejected' WHERE outcome = 'stopped'",
    "UPDATE item SET outcome = NULL, settled_at = NULL WHERE outcome = 'stopped'",
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
    queue = await open_for_work(path)
    await queue.add(ids("a", "b"))
    await stop_one(queue)
    counters = await queue._thread.read(lambda c: [row[0] for row in c.execute("SELECT name FROM counter")])
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
            for table in ("counter", "item", "source"):
                hand.execute(f"DELETE FROM {table}")
            for line in saved:
                if line.startswith(('INSERT INTO "counter"', 'INSERT INTO "item"', 'INSERT INTO "source"')):
                    hand.execute(line)
        hand.close()
        assert (await queue.audit()).balanced, f"put back after: {change}"
    await queue.close()


async def test_an_outcome_and_its_counts_are_one_step(path: Path) -> None:
    """When the counters cannot be written, neither is the outcome: no crash in between leaves one without the other."""
    queue = await open_for_work(path)
    await queue.add(ids("a"))
    lease = await claim_one(queue)
    refuse = "CREATE TEMP TRIGGER no BEFORE UPDATE ON counter BEGIN SELECT RAISE(ABORT, 'not now'); END"
    await queue._thread.read(lambda c: c.execute(refuse).fetchall())
    with pytest.raises(QueueError):
        await ended(queue, lease, STOPPED, sent())
    await queue._thread.read(lambda c: c.execute("DROP TRIGGER temp.no").fetchall())
    stats = await queue.stats()
    assert (stats.in_flight, stats.settled[Outcome.STOPPED]) == (1, 0)
    assert (await queue.audit()).balanced
    assert await ended(queue, lease, STOPPED, sent())
    assert (await queue.audit()).balanced
    await queue.close()


@pytest.mark.parametrize("column", ["added_at", "due_at", "settled_at"])
async def test_a_row_whose_times_no_clock_can_show_is_damaged(path: Path, column: str) -> None:
    queue = await open_for_work(path)
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

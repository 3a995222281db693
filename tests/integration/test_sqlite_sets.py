"""A run set is searched in the cheaper of two ways: row by row, or along the queue. Both find the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaper.core.model import SessionId
from reaper.queues.accounting import open_count
from reaper.queues.base import Queue
from reaper.queues.sqlite import run_sets
from reaper.queues.sqlite.counters import counters, open_rows
from reaper.queues.sqlite.open import Ledger
from reaper.queues.sqlite.run_sets import SqliteRunSet, is_small
from tests.support.queues.harness import LEASE_S, ids, names, open_for_work, stop_one

pytestmark = pytest.mark.anyio


async def set_of(queue: Queue, *session_ids: str) -> SqliteRunSet:
    made = queue.new_set()
    assert isinstance(made, SqliteRunSet)
    await made.include([SessionId(each) for each in session_ids])
    return made


async def goes_row_by_row(ledger: Ledger, run_set: SqliteRunSet) -> bool:
    return await ledger.thread.read(lambda connection: is_small(connection, run_set.set_id))


@pytest.mark.parametrize(
    ("mine", "others", "limit", "row_by_row"),
    [
        (10, 30, 5_000, True),
        (10, 9, 5_000, False),  # it is most of the queue
        (10, 0, 5_000, False),
        (10, 100, 10, False),  # too many to look at each
        (10, 100, 11, True),
        (0, 0, 5_000, True),
    ],
)
async def test_how_a_set_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: int, others: int, limit: int, row_by_row: bool
) -> None:
    monkeypatch.setattr(run_sets, "SMALL_SET", limit)
    queue, ledger = await open_for_work(tmp_path / "ledger.db")
    if others:
        await queue.add(ids(*(f"other-{number}" for number in range(others))))
    chosen = [f"mine-{number}" for number in range(mine)]
    if mine:
        await queue.add(ids(*chosen))
    run_set = await set_of(queue, *chosen)
    assert await goes_row_by_row(ledger, run_set) == row_by_row
    leases = await queue.claim(mine + others + 1, lease_s=LEASE_S, within=run_set)
    assert sorted(names(leases)) == sorted(chosen)
    await queue.close()


async def test_the_way_follows_what_is_still_open(tmp_path: Path) -> None:
    queue, ledger = await open_for_work(tmp_path / "ledger.db")
    await queue.add(ids("a", "b", "c", "d", "e", "f"))
    run_set = await set_of(queue, "e", "f")
    ways = []
    for _ in range(4):
        ways.append(await goes_row_by_row(ledger, run_set))
        await stop_one(queue)
        counted = await ledger.thread.read(counters)
        assert await ledger.thread.read(open_rows) == open_count(counted)
    assert ways == [True, False, False, False]
    await queue.close()

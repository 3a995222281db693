"""Several processes on one ledger: who checkpoints, what the dead leave, and what a queue that was closed leaves."""

import os
import sqlite3
from pathlib import Path

import pytest

from reaper.queues.sqlite.open import Ledger, open_ledger
from tests.support.left_behind import descriptors
from tests.support.queues.harness import LEASE_S, abandon, claim_one, ids, names, open_for_work

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "state" / "ledger.db"


async def test_only_one_open_queue_checkpoints_and_another_takes_over(path: Path) -> None:
    async def pages(ledger: Ledger) -> int:
        return await ledger.thread.read(lambda c: int(c.execute("PRAGMA wal_autocheckpoint").fetchone()[0]))

    (first, its_ledger), (second, other_ledger) = await open_for_work(path), await open_for_work(path)
    assert (await pages(its_ledger) > 0, await pages(other_ledger)) == (True, 0)
    await second.maintain(1e9)
    assert await pages(other_ledger) == 0
    await first.close()
    await second.maintain(1e9)
    assert await pages(other_ledger) > 0
    await second.close()


async def test_opening_frees_the_leases_of_the_dead(path: Path) -> None:
    (dead, its_ledger), (living, _) = await open_for_work(path), await open_for_work(path)
    await dead.add(ids("a", "b"))
    await claim_one(dead)
    await claim_one(living)
    await abandon(its_ledger)
    queue, _ = await open_for_work(path)
    assert names(await queue.claim(5, lease_s=LEASE_S)) == ["a"]
    assert set(os.listdir(f"{path}.owners")) == {".checkpoint", living.owner, queue.owner}
    await queue.close()
    await living.close()


async def test_a_claim_or_a_heartbeat_registers_a_process_that_is_no_worker(path: Path) -> None:
    (claiming, _), (beating, _) = [
        await open_ledger(str(path), create=True, read_only=False, worker=False) for _ in range(2)
    ]
    await claiming.add(ids("a"))
    await claim_one(claiming)
    await beating.heartbeat(4, [])
    other, _ = await open_ledger(str(path), create=False, read_only=False, worker=True)
    await other.maintain(1e9)
    assert await other.claim(1, lease_s=LEASE_S) == []
    assert [reaper.owner for reaper in await other.live_workers()] == [beating.owner]
    for queue in (claiming, beating, other):
        await queue.close()


async def test_a_queue_that_was_closed_leaves_no_file_no_row_and_no_descriptor(path: Path) -> None:
    kept, _ = await open_ledger(str(path), create=True, read_only=False, worker=True)

    def locks_open() -> int:
        return len(descriptors(f"{path}.owners"))

    before = locks_open()
    for _ in range(3):
        queue, _ = await open_ledger(str(path), create=False, read_only=False, worker=True)
        await queue.heartbeat(4, [])
        await kept.heartbeat(4, [])
        assert len(await queue.live_workers()) == 2
        await queue.close()
    assert locks_open() == before == 2
    assert {name for name in os.listdir(f"{path}.owners") if not name.startswith(".")} == {kept.owner}
    await kept.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM process").fetchone() == (0,)
    connection.close()


async def test_the_lock_file_of_a_dead_process_is_removed(path: Path) -> None:
    queue, _ = await open_ledger(str(path), create=True, read_only=False, worker=True)
    dead = Path(f"{path}.owners") / "0123456789abcdef"
    dead.touch()
    await queue.maintain(1e9)
    assert not dead.exists()
    await queue.close()

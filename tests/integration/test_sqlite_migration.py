"""Ledgers of older schemas: migrated in one transaction by the first that writes, read as they are by reading verbs."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reaper.core.errors import QueueError
from reaper.core.model import LeaseResult, Outcome, SessionId, State
from reaper.queues.sqlite import schema
from reaper.queues.sqlite.migration import migrate
from reaper.queues.sqlite.open import open_ledger
from tests.support.queues.harness import LEASE_S, STOPPED, names, open_for_work, sent

pytestmark = pytest.mark.anyio

DUMP = Path(__file__).parents[1] / "support" / "queues" / "schema_1.sql"
OLD_STATEMENTS = (
    "SELECT owner FROM owner UNION SELECT DISTINCT owner FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL",
    "SELECT item.id, source.name FROM item INDEXED BY item_open CROSS JOIN source ON source.id = source_id"
    " WHERE outcome IS NULL AND (sends > 0) = 0 AND COALESCE(lease_until, due_at) <= 1.0"
    " ORDER BY COALESCE(lease_until, due_at), item.id LIMIT 5",
    "INSERT INTO source (name) VALUES ('x') ON CONFLICT (name) DO NOTHING",
    "INSERT OR REPLACE INTO owner (owner, pid, started_at, told_at, \"limit\", pauses) VALUES ('x', 1, 1, 1, 1, '[]')",
    "SELECT session_id, source.name FROM item JOIN source ON source.id = source_id WHERE session_id = 'env_a'",
)
WAITING = ["env_a", "env_b", "env_c", "null"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as ledger:
        ledger.executescript(DUMP.read_text())
        ledger.execute("PRAGMA journal_mode = WAL")
    return path


def schema_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as ledger:
        return int(ledger.execute("PRAGMA user_version").fetchone()[0])


async def test_nothing_is_lost_and_waits_get_their_length(path: Path) -> None:
    queue, ledger = await open_for_work(path)
    assert schema_of(path) == 3
    assert (await queue.audit()).balanced
    stats = await queue.stats()
    assert (stats.accepted, stats.dead, stats.in_flight) == (13, 1, 0)
    waits = await ledger.thread.read(
        lambda c: dict(c.execute("SELECT session_id, wait_s FROM item WHERE outcome IS NULL").fetchall())
    )
    assert [waits[name] for name in WAITING] == [0.0] * 4
    assert waits["env_retry_late"] == pytest.approx(3600.0, abs=5)
    assert waits["env_timed"] is None
    assert waits["env_delayed"] is None
    found = await queue.show(SessionId("env_held_cancelled"))
    assert found is not None
    assert found.outcome is Outcome.CANCELLED  # its holder is dead
    claimed = names(await queue.claim(20, lease_s=LEASE_S))
    assert {*claimed} >= {*WAITING, "env_held"}
    await queue.close()


@pytest.mark.parametrize("statement", OLD_STATEMENTS)
async def test_statements_of_schema_1_fail_and_say_why(path: Path, statement: str) -> None:
    await (await open_for_work(path))[0].close()
    said = pytest.raises(sqlite3.OperationalError, match=r"a newer reaper migrated this ledger \(schema 3\)")
    with closing(sqlite3.connect(path)) as ledger, said:
        ledger.execute(statement)


async def test_a_new_ledger_refuses_them_too(tmp_path: Path) -> None:
    await (await open_for_work(tmp_path / "new.db"))[0].close()
    said = pytest.raises(sqlite3.OperationalError, match="a newer reaper migrated")
    with closing(sqlite3.connect(tmp_path / "new.db")) as ledger, said:
        ledger.execute(OLD_STATEMENTS[0])


async def test_a_migration_that_fails_leaves_the_ledger_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(path)) as ledger:
        before = list(ledger.iterdump())
    broken = schema.SQL["from_2_to_3"] + ";\nSELECT * FROM nowhere"
    monkeypatch.setitem(schema.SQL, "from_2_to_3", broken)
    with pytest.raises(QueueError, match="nowhere"):
        await open_for_work(path)
    assert schema_of(path) == 1
    with closing(sqlite3.connect(path)) as ledger:
        assert list(ledger.iterdump()) == before


async def test_two_that_write_may_come_at_once(path: Path) -> None:
    opened = await asyncio.gather(*(open_for_work(path) for _ in range(2)))
    for queue, _ in opened:
        assert (await queue.stats()).accepted == 13
        await queue.close()


async def test_a_reader_reads_it_as_it_is_and_goes_on_when_it_is_migrated(path: Path) -> None:
    reading, _ = await open_ledger(str(path), create=False, read_only=True, worker=False)
    before = await reading.stats()
    assert (before.accepted, before.dead) == (13, 1)
    assert (await reading.audit()).balanced
    found = await reading.show(SessionId("env_retry_late"))
    assert found is not None
    assert found.attempts == 1
    assert [item.session_id async for item in reading.outcomes()] == ["env_stopped", "env_gone", "env_refused"]
    assert len(await reading.retrying(5)) == 2
    run_set = reading.new_set()
    assert await run_set.include_due() >= len(WAITING)
    assert await run_set.next_at() is not None
    assert schema_of(path) == 1
    writing, _ = await open_for_work(path)
    assert schema_of(path) == 3
    after = await reading.stats()
    assert (after.accepted, after.dead) == (13, 1)
    found = await reading.show(SessionId("env_a"))
    assert found is not None
    assert found.state is State.READY
    await writing.close()
    await reading.close()


async def test_a_copy_of_it_is_a_ledger_of_schema_1(path: Path, tmp_path: Path) -> None:
    reading, _ = await open_ledger(str(path), create=False, read_only=True, worker=False)
    copy = tmp_path / "copy.db"
    await reading.backup(str(copy))
    await reading.close()
    assert schema_of(copy) == 1
    queue, _ = await open_for_work(copy)
    assert (await queue.audit()).balanced
    await queue.close()


async def test_one_of_schema_2_is_read_as_it_is_and_gets_its_history_by_the_first_that_writes(path: Path) -> None:
    with closing(sqlite3.connect(path)) as ledger:
        migrate(ledger, schema.SQL["from_1_to_2"], 2)
        ledger.commit()
    reading, _ = await open_ledger(str(path), create=False, read_only=True, worker=False)
    assert await reading.history(0.0) == []
    assert (await reading.audit()).balanced
    assert schema_of(path) == 2
    writing, _ = await open_for_work(path)
    assert schema_of(path) == 3
    leases = await writing.claim(20, lease_s=LEASE_S)
    assert await writing.apply([LeaseResult(lease, STOPPED, sent()) for lease in leases]) == [True] * len(leases)
    for queue in (writing, reading):
        assert sum(slot.settled[Outcome.STOPPED] for slot in await queue.history(0.0)) == len(leases)
        assert (await queue.audit()).balanced
        await queue.close()


async def test_a_newer_reaper_that_migrates_a_ledger_in_use_ends_its_user(path: Path) -> None:
    queue, _ = await open_for_work(path)
    await queue.maintain(1e9)
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("PRAGMA user_version = 4")
    with pytest.raises(QueueError, match=r"migrated by a newer reaper \(schema 4, this one knows 3\)"):
        await queue.maintain(1e9)
    await queue.close()

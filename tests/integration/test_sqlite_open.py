"""The ledger's file: private, checked before use, and one clear sentence for everything that can be wrong with it."""

import errno
import getpass
import os
import sqlite3
import stat
from functools import partial
from pathlib import Path

import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.base import Queue
from reaper.queues.sqlite import transactions
from reaper.queues.sqlite.open import open_ledger
from reaper.queues.values import Batch, InvalidLine
from tests.support.queues.harness import claim_one, ids, open_for_work, stop_one

pytestmark = pytest.mark.anyio

NOTES = b"session-1\nsession-2\n" * 200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "state" / "ledger.db"


async def open_to_read(path: Path) -> Queue:
    queue, _ = await open_ledger(str(path), create=True, read_only=True, worker=False)
    return queue


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_everything_it_makes_is_private(path: Path) -> None:
    before = os.umask(0)
    try:
        queue, created = await open_ledger(str(path), create=True, read_only=False, worker=True)
    finally:
        os.umask(before)
    await queue.add(ids("a"))
    assert created
    assert (mode(path.parent), mode(path.parent.parent)) == (0o700, 0o700)
    files = {name: mode(path.parent / name) for name in os.listdir(path.parent)}
    assert files == {
        "ledger.db": 0o600,
        "ledger.db-wal": 0o600,
        "ledger.db-shm": 0o600,
        "ledger.db.owners": 0o700,
    }
    locks = path.parent / "ledger.db.owners"
    assert {name: mode(locks / name) for name in os.listdir(locks)} == {queue.owner: 0o600, ".checkpoint": 0o600}
    await queue.backup(str(path.parent / "copy.db"))
    assert mode(path.parent / "copy.db") == 0o600
    await queue.close()
    assert os.listdir(locks) == [".checkpoint"]
    queue, created = await open_ledger(str(path), create=True, read_only=False, worker=False)
    assert not created
    await queue.close()


def read_pragma(name: str, connection: sqlite3.Connection) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


async def test_it_is_opened_for_durability(path: Path) -> None:
    queue, ledger = await open_for_work(path)
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    for pragma, value in wanted.items():
        assert await ledger.thread.read(partial(read_pragma, pragma)) == value
    await queue.close()


@pytest.mark.parametrize("read_only", [True, False])
async def test_a_ledger_is_not_made_by_those_who_may_not(path: Path, read_only: bool) -> None:
    with pytest.raises(QueueError, match=r"there is no ledger at .*/some/state/ledger\.db"):
        await open_ledger(str(path), create=read_only, read_only=read_only, worker=False)
    assert not path.parent.exists()


async def test_a_reader_reads_beside_the_daemon_and_writes_nothing(path: Path) -> None:
    queue, _ = await open_for_work(path)
    await queue.add(ids("a", "b"))
    reader = await open_to_read(path)
    await claim_one(queue)
    assert (await reader.stats()).in_flight == 1
    run_set = reader.new_set()
    assert await run_set.include_due() == 2
    assert (await run_set.view()).in_flight == 1
    for call in (reader.add(ids("c")), reader.claim(1, lease_s=1), reader.maintain(1), reader.heartbeat(1, [])):
        with pytest.raises(QueueError, match="open for reading only"):
            await call
    await reader.close()
    await queue.close()


@pytest.fixture
def notes(path: Path) -> Path:
    """A text file in the ledger's place."""
    path.parent.mkdir(parents=True)
    path.write_bytes(NOTES)
    return path


async def test_what_is_no_database_is_refused_and_left_alone(notes: Path) -> None:
    for opening in (open_for_work, open_to_read):
        with pytest.raises(QueueError, match="is not a ledger"):
            await opening(notes)
    with notes.open("rb") as file:
        assert file.read() == NOTES


async def test_another_programs_database_is_refused(path: Path) -> None:
    os.makedirs(path.parent)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(QueueError, match="another program's database"):
        await open_for_work(path)


async def test_a_directory_is_refused(path: Path) -> None:
    os.makedirs(path)
    with pytest.raises(QueueError, match="is not a file"):
        await open_for_work(path)


async def test_a_newer_schema_is_refused_with_both_numbers(path: Path) -> None:
    await (await open_for_work(path))[0].close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(QueueError, match=r"newer reaper \(schema 7, this one knows 3\): use that version"):
        await open_to_read(path)


async def test_an_empty_file_left_by_a_crash_becomes_a_ledger(path: Path) -> None:
    os.makedirs(path.parent)
    os.close(os.open(path, os.O_CREAT))
    with pytest.raises(QueueError, match="is empty"):
        await open_to_read(path)
    queue, _ = await open_for_work(path)
    assert (await queue.add(ids("a"))).accepted == 1
    await queue.close()


def spoil(path: Path, from_page: int) -> None:
    with path.open("r+b") as file:
        for page in range(from_page, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)


async def test_a_damaged_ledger_is_named_so_and_nothing_more_is_written(path: Path) -> None:
    queue, _ = await open_for_work(path)
    await queue.add(ids(*(f"s{number}" for number in range(3_000))))
    await queue.close()
    spoil(path, from_page=25)
    queue, _ = await open_for_work(path)
    with pytest.raises(QueueError, match=r"is damaged .*restore a copy made with `reaper queue backup`"):
        await queue.audit()
    with pytest.raises(QueueError, match="is damaged"):
        await queue.pause(None)
    await queue.close()
    spoil(path, from_page=1)
    with pytest.raises(QueueError, match="is damaged"):
        await open_for_work(path)
    with pytest.raises(QueueError, match="is damaged"):
        await (await open_to_read(path)).stats()


async def test_another_users_ledger_is_refused_with_the_command_to_use(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await open_for_work(path))[0].close()
    owner = getpass.getuser()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    for opening in (open_for_work, open_to_read):
        with pytest.raises(QueueError, match=f"belongs to user {owner}: run `sudo -u {owner} reaper"):
            await opening(path)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.EACCES, "cannot be used by this user"),
        (errno.EROFS, "is on a read-only file system"),
        (errno.ENOSPC, "there is no room for"),
    ],
)
async def test_a_state_directory_that_takes_no_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(QueueError, match=sentence):
        await open_for_work(path)


async def test_a_full_disk_loses_nothing_and_is_survived(path: Path) -> None:
    queue, ledger = await open_for_work(path)
    await queue.add(ids("a", "b"))
    size = await ledger.thread.read(lambda c: int(c.execute("PRAGMA page_count").fetchone()[0]))
    await ledger.thread.read(lambda c: c.execute(f"PRAGMA max_page_count = {size}").fetchone())
    with pytest.raises(QueueError, match="is full: make room") as refused:
        await queue.add(ids(*(f"s{number}" for number in range(5_000))))
    assert isinstance(refused.value, QueueUnavailableError), "it is an outage"
    assert (await queue.stats()).accepted == 2
    await stop_one(queue)
    await ledger.thread.read(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    await queue.add(ids("c"))
    assert (await queue.audit()).balanced
    await queue.close()


async def test_a_lock_held_too_long_is_said_and_survived(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "BUSY_S", 0.02)
    queue, _ = await open_for_work(path)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(QueueUnavailableError, match="locked by another process for too long"):
        await queue.add(ids("a"))
    assert (await queue.stats()).accepted == 0
    blocker.execute("ROLLBACK")
    blocker.close()
    assert (await queue.add(ids("a"))).accepted == 1
    await queue.close()


async def test_only_the_newest_invalid_lines_are_kept(path: Path) -> None:
    queue, _ = await open_for_work(path)
    for start in (0, 7_000):
        await queue.add(Batch("f", invalid=[InvalidLine(start + n, "bad", "?") for n in range(7_000)]))
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT count(*), min(line), max(line) FROM invalid_line").fetchone()
    connection.close()
    assert kept == (10_000, 4_000, 13_999)
    assert (await queue.stats()).invalid == 14_000
    await queue.close()


async def test_a_copy_is_one_file(path: Path) -> None:
    queue, _ = await open_for_work(path)
    copy = path.parent / "copy.db"
    await queue.backup(str(copy))
    with sqlite3.connect(copy) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()
    assert [name for name in os.listdir(path.parent) if name.startswith("copy")] == ["copy.db"]
    await queue.close()

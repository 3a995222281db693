"""The ledger is a file: under whatever name, and whatever becomes of it while a process has it open."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from reaper.core.errors import QueueError
from reaper.queues.base import Queue
from reaper.queues.sqlite import schema as sqlite_schema
from reaper.queues.sqlite.open import open_ledger
from tests.support.queues.harness import LEASE_S, claim_one, ids, names, open_for_work, stop_one
from tests.support.queues.sqlite_file import held, open_as

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
async def queue(path: Path, anyio_backend: str) -> Queue:
    """Two IDs, one of them in flight."""
    queue = await open_as(path)
    await queue.add(ids("a", "b"))
    await claim_one(queue)
    return queue


async def lost(queue: Queue, sentence: str) -> str:
    """Check that nothing can be read or written any more; return how it is said."""
    with pytest.raises(QueueError, match=sentence) as caught:
        await queue.add(ids("too-late"))
    for call in (queue.stats(), queue.claim(1, lease_s=LEASE_S), queue.add(ids("again"))):
        with pytest.raises(QueueError, match=sentence):
            await call
    await queue.close()
    return str(caught.value)


async def test_what_was_deleted_is_put_back_and_the_process_has_to_end(path: Path, queue: Queue) -> None:
    for suffix in ("", "-wal", "-shm"):
        os.unlink(f"{path}{suffix}")
    said = await lost(queue, "ledger.db was deleted or moved away under this process")
    assert said.endswith("it was put back with all that it held")
    assert await held(path) == {"a", "b"}
    assert os.stat(path).st_mode & 0o777 == 0o600


async def test_a_deleted_file_whose_log_is_left_is_put_back_whole(path: Path, queue: Queue) -> None:
    os.unlink(path)
    await lost(queue, "was deleted")
    assert f"{path.name}-wal" not in os.listdir(path.parent), (
        "it would be taken for the log of the file that was put back"
    )
    assert await held(path) == {"a", "b"}


async def test_a_deleted_directory_is_not_made_anew(path: Path, queue: Queue) -> None:
    shutil.rmtree(path.parent)
    assert "was not saved" in await lost(queue, "was deleted")
    assert not path.parent.exists()


@pytest.mark.parametrize("way", ["deleted first", "renamed over", "without its log"])
async def test_a_ledger_that_was_replaced_is_left_alone(path: Path, tmp_path: Path, queue: Queue, way: str) -> None:
    new = tmp_path / "new.db"
    other = await open_as(new)
    await other.add(ids("n"))
    await other.close()
    if way != "without its log":
        for suffix in ("-wal", "-shm"):
            os.unlink(f"{path}{suffix}")
    os.rename(new, path)
    said = await lost(queue, "was replaced by another file under this process")
    (copy,) = path.parent.glob("ledger.db.rescued-*")
    assert f"its last state is in {copy}" in said
    assert await held(path) == {"n"}
    assert await held(copy) == {"a", "b"}


async def test_a_ledger_that_another_process_made_meanwhile_is_left_alone(path: Path, queue: Queue) -> None:
    for suffix in ("", "-wal", "-shm"):
        os.unlink(f"{path}{suffix}")
    other = await open_as(path)
    await other.add(ids("n"))
    await lost(queue, "was replaced by another file")
    assert (await other.add(ids("m"))).accepted == 1
    await other.close()
    assert await held(path) == {"m", "n"}


VICTIM = """
import asyncio, sys
from reaper.queues.sqlite.open import open_ledger
from tests.support.queues.harness import ids
async def main():
    queue, _ = await open_ledger(sys.argv[1], create=True, read_only=False, worker=True)
    await queue.add(ids("later"))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        await queue.add(ids("too-late"))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    await queue.close()
asyncio.run(main())
"""


def overwrite_under_a_process(path: Path, copy: Path) -> str:
    """Return what a process says whose ledger is overwritten: one of its own, whose locks end with it."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        shutil.copyfile(copy, path)
        said: str = victim.communicate("\n", timeout=30)[0]
    return said


@pytest.mark.parametrize("older", [True, False])
async def test_a_ledger_that_was_overwritten_in_place(path: Path, tmp_path: Path, queue: Queue, older: bool) -> None:
    """As `cp backup.db reaper.db` does it: the inode stays. An older state of the file, or a copy made by a backup."""
    copy = tmp_path / "copy.db"
    if older:
        await queue.close()
        shutil.copyfile(path, copy)
        queue = await open_as(path)
        await queue.add(ids(*(f"s{number}" for number in range(2_000))))
    else:
        await queue.backup(str(copy))
    await queue.close()
    said = overwrite_under_a_process(path, copy)
    assert said.startswith("QueueError: ")
    assert "was overwritten with other content" in said
    assert await held(path) == {"a", "b"}


@pytest.mark.parametrize("suffixes", [("-wal", "-shm"), ("-wal",), ("-shm",)])
async def test_a_deleted_log_is_put_back(path: Path, queue: Queue, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        os.unlink(f"{path}{suffix}")
    await lost(queue, "a part of the ledger, was deleted or replaced under this process")
    assert await held(path) == {"a", "b"}


async def test_beside_a_new_log_the_former_state_is_kept_as_a_copy(path: Path, queue: Queue) -> None:
    """Another process has begun a new log: what both committed cannot be one ledger any more, and both are kept."""
    for suffix in ("-wal", "-shm"):
        os.unlink(f"{path}{suffix}")
    os.close(os.open(f"{path}-wal", os.O_CREAT))
    said = await lost(queue, "was deleted or replaced")
    (copy,) = path.parent.glob("ledger.db.rescued-*")
    assert str(copy) in said
    assert await held(copy) == {"a", "b"}


async def test_a_link_that_leads_elsewhere_now(path: Path, tmp_path: Path, queue: Queue) -> None:
    await queue.close()
    name = tmp_path / "name.db"
    name.symlink_to(path)
    queue = await open_as(name)
    name.unlink()
    name.symlink_to(tmp_path / "other.db")
    other = await open_as(name)
    await lost(queue, "was replaced by another file")
    assert list(path.parent.glob("*rescued*")) == [], "nothing became of the file itself"
    await other.close()
    assert await held(path) == {"a", "b"}


async def test_a_moved_ledger_is_whole_where_it_is(path: Path, tmp_path: Path, queue: Queue) -> None:
    os.rename(path.parent, tmp_path / "elsewhere")
    await lost(queue, "was deleted or moved away")
    assert not path.parent.exists()
    assert await held(tmp_path / "elsewhere" / path.name) == {"a", "b"}


async def test_a_ledger_that_was_moved_away_from_its_log_is_whole_when_it_is_moved_back(
    path: Path, tmp_path: Path, queue: Queue
) -> None:
    os.rename(path, tmp_path / "away.db")
    assert "whole where it was moved to" in await lost(queue, "was deleted or moved away")
    assert os.listdir(path.parent) == [f"{path.name}.owners"], "another ledger's file would get our log"
    os.rename(tmp_path / "away.db", path)
    assert await held(path) == {"a", "b"}


async def test_what_is_read_from_a_deleted_ledger_is_refused_too(path: Path, queue: Queue) -> None:
    reader, _ = await open_ledger(str(path), create=False, read_only=True, worker=False)
    os.unlink(path)
    with pytest.raises(QueueError, match="was deleted"):
        await reader.stats()
    await reader.close()
    await lost(queue, "was deleted")


async def test_a_file_that_goes_after_the_last_call_is_not_closed_over(path: Path, queue: Queue) -> None:
    await stop_one(queue)
    for suffix in ("-wal", "-shm"):
        os.unlink(f"{path}{suffix}")
    await queue.close()
    assert await held(path) == {"a"}


@pytest.mark.parametrize("what", ["file", "directory"])
async def test_deleted_lock_files_are_made_anew(
    path: Path, queue: Queue, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its lock file a process counts as dead, and what it sends would be sent again by another."""
    if what == "file":
        os.unlink(f"{path}.owners/{queue.owner}")
    else:
        shutil.rmtree(f"{path}.owners")
    await queue.paused()
    other, _ = await open_for_work(path)
    await other.maintain(1e9)
    assert names(await other.claim(5, lease_s=LEASE_S)) == ["b"]
    assert sum("was deleted and is made anew" in record.message for record in caplog.records) == 1
    await queue.maintain(1e9)
    await queue.close()
    await other.close()


@pytest.mark.parametrize("becomes", ["other", "nothing"])
async def test_a_ledger_that_is_replaced_while_it_is_opened(
    path: Path, tmp_path: Path, queue: Queue, becomes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.close()
    await (await open_as(tmp_path / "other.db")).close()
    real = sqlite_schema.connect

    def replaced(name: str, *, read_only: bool) -> sqlite3.Connection:
        connection = real(name, read_only=read_only)
        if becomes == "other":
            os.rename(tmp_path / "other.db", path)
        else:
            os.unlink(path)
        return connection

    monkeypatch.setattr("reaper.queues.sqlite.open.connect", replaced)
    with pytest.raises(QueueError, match="was replaced while it was opened: try again"):
        await open_as(path)

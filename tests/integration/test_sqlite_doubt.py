"""Refusals of the file system that prove nothing, and mistakes in the set-up: what the ledger makes of each."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from pathlib import Path
from typing import NoReturn

import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.open import disk_fault
from reaper.queues.sqlite.errors import translated_os
from reaper.queues.sqlite.file import prepare_directory, prepare_file
from reaper.queues.sqlite.migration import ReadingConnection
from reaper.queues.sqlite.open import open_ledger
from reaper.queues.sqlite.outage import is_read_only, shortage
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.watch import FileWatch

pytestmark = pytest.mark.anyio


def fail(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_directory_that_cannot_be_made_is_named() -> None:
    with pytest.raises(QueueError, match=r"/proc/reaper/ledger\.db"):
        prepare_directory("/proc/reaper/ledger.db")


def test_without_a_list_of_mounts_no_file_counts_as_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "ledger.db")
    assert prepare_file(path, create=True)
    monkeypatch.setattr("reaper.queues.sqlite.file.MOUNTS", str(tmp_path / "no list"))
    assert not prepare_file(path, create=True)


def test_a_disk_that_tells_nothing_lacks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "ledger.db")
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path / "nowhere"))
    assert shortage(path) is None
    monkeypatch.setattr(os, "statvfs", fail)
    assert shortage(path) is None
    assert not is_read_only(str(tmp_path / "not" / "made" / "yet.db"))


def test_a_full_disk_is_named_though_the_ledger_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    assert disk_fault(url) is None
    now = os.statvfs(tmp_path)
    full = os.statvfs_result([*now[:4], 0, *now[5:]])
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert f"the disk of the ledger {tmp_path}/ledger.db is full (no space left on " in (disk_fault(url) or "")
    assert disk_fault("postgresql://h/d") is None


async def test_files_that_change_while_they_are_opened_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileWatch, "opened", lambda _: False)
    with pytest.raises(QueueError, match="was replaced while it was opened: try again"):
        await open_ledger(str(tmp_path / "ledger.db"), create=True, read_only=False, worker=True)


async def test_a_disk_that_takes_no_writes_from_the_start_is_a_mistake_and_no_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise QueueUnavailableError("is on a read-only file system")

    monkeypatch.setattr("reaper.queues.sqlite.open.prepare_file", refuse)
    monkeypatch.setattr("reaper.queues.sqlite.errors.is_read_only", lambda _: True)
    with pytest.raises(QueueError, match="read-only") as caught:
        await open_ledger(str(tmp_path / "ledger.db"), create=True, read_only=False, worker=True)
    assert not isinstance(caught.value, QueueUnavailableError)


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOENT, "make it, or name another"), (errno.EIO, "cannot be used")]
)
def test_other_refusals_say_what_they_are(number: int, words: str) -> None:
    assert words in str(translated_os(OSError(number, os.strerror(number)), "/x/ledger.db"))


def test_missing_rights_are_no_outage() -> None:
    error = translated_os(OSError(errno.EACCES, os.strerror(errno.EACCES)), "/x/ledger.db")
    assert not isinstance(error, QueueUnavailableError)
    assert "/x/ledger.db cannot be used by this user: check the rights" in str(error)


def test_a_lock_file_that_cannot_be_seen_counts_as_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    locks = Locks(str(tmp_path), "me")
    locks.register()
    inode = (tmp_path / "me").stat().st_ino
    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
        broken.setattr(os, "stat", fail)
        locks.restore()
    assert (tmp_path / "me").stat().st_ino == inode
    assert not caplog.records
    locks.release()


def test_a_ledger_that_cannot_be_seen_counts_as_there_and_a_second_name_is_a_warning_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
        watch = FileWatch(str(path), str(path))
        assert watch.opened()
        with monkeypatch.context() as broken:
            broken.setattr(os, "stat", fail)
            assert watch.finding() is None
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                (tmp_path / "second").hardlink_to(path)
                assert watch.finding() is None
                assert watch.finding() is None
                (tmp_path / "second").unlink()
                assert watch.finding() is None
        assert len([record for record in caplog.records if "second name" in record.message]) == 2
        path.unlink()
        assert "was deleted or moved away" in str(watch.finding())
    connection.close()


def test_a_statement_that_fails_by_itself_ends_no_view_of_schema_1(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db", factory=ReadingConnection) as connection:
        connection.execute("CREATE TABLE item (id)")
        connection.execute("PRAGMA user_version = 1")
        connection.read_as("CREATE TEMP VIEW seen AS SELECT id FROM item")
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            connection.execute("SELECT * FROM nowhere")
        assert connection.execute("SELECT count(*) FROM seen").fetchone() == (0,)
    connection.close()

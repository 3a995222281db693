"""Two that start at once, files that come in between, and locks that cannot be had."""

from __future__ import annotations

import errno
import os
import pwd
import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reaper.core.errors import QueueError
from reaper.queues.accounting import COUNTERS
from reaper.queues.sqlite import schema as sqlite_schema
from reaper.queues.sqlite.file import prepare_file
from reaper.queues.sqlite.owners import Locks
from reaper.queues.sqlite.schema import connect
from tests.support.queues.harness import ids, open_for_work

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def empty(path: Path) -> Path:
    path.parent.mkdir()
    path.touch()
    return path


def test_a_file_that_somebody_makes_meanwhile_is_theirs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = os.mkdir

    def make_both(directory: str, mode: int) -> None:
        make(directory, mode)
        path.write_bytes(b"theirs")

    monkeypatch.setattr(os, "mkdir", make_both)
    assert not prepare_file(str(path), create=True)
    assert path.read_bytes() == b"theirs"


def test_a_directory_that_somebody_makes_meanwhile_is_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = os.mkdir

    def too_late(directory: str, mode: int) -> None:
        make(directory, mode)
        raise FileExistsError(directory)

    monkeypatch.setattr(os, "mkdir", too_late)
    assert prepare_file(str(path), create=True)
    assert path.exists()


def test_tables_that_somebody_makes_meanwhile_are_used(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(sqlite3.Connection):
        """Finds, once it uses the log, that another process made the tables in between."""

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "PRAGMA journal_mode = WAL" and sqlite3.connect is slow:
                monkeypatch.undo()
                connect(str(empty), read_only=False).close()
            return super().execute(sql, *values)

    slow = partial(sqlite3.connect, factory=Late)
    monkeypatch.setattr(sqlite3, "connect", slow)
    ours = connect(str(empty), read_only=False)
    (counters,) = ours.execute("SELECT count(*) FROM counter").fetchone()
    assert counters == len(COUNTERS)
    ours.close()


def test_the_log_is_waited_for_while_somebody_writes(empty: Path) -> None:
    writer = sqlite3.connect(empty, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.1, lambda: writer.execute("ROLLBACK"))
    end.start()
    ours = connect(str(empty), read_only=False)
    assert ours.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ours.close()
    end.join()
    writer.close()


def test_the_log_is_not_waited_for_without_end(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_schema, "BUSY_S", 0.05)
    writer = sqlite3.connect(empty, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(QueueError, match="locked by another process for too long"):
        connect(str(empty), read_only=False)
    writer.close()


def test_a_file_that_went_away_cannot_be_opened(path: Path) -> None:
    with pytest.raises(QueueError, match="cannot be opened"):
        connect(str(path), read_only=True)


def test_a_user_without_a_name_is_named_by_number(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(QueueError, match=rf"belongs to user '#{os.getuid()}': run `sudo -u '#{os.getuid()}' reaper"):
        prepare_file(str(empty), create=True)


@pytest.mark.parametrize("ours", [True, False])
def test_in_a_directory_that_may_not_be_searched_its_owner_counts(
    empty: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    stat = os.stat

    def closed(seen: str, **more: Any) -> os.stat_result:
        if seen == str(empty):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), seen)
        return stat(seen, **more)

    if not ours:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    says = "cannot be used by this user" if ours else "belongs to user"
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", closed)
        with pytest.raises(QueueError, match=says):
            prepare_file(str(empty), create=True)


async def test_locks_that_cannot_be_made_are_named(empty: Path) -> None:
    locks = f"{empty}.owners"
    os.close(os.open(locks, os.O_CREAT))
    with pytest.raises(QueueError, match=r"owners/\.checkpoint cannot be used"):
        await open_for_work(empty)
    with pytest.raises(QueueError, match="owners/me cannot be used"):
        Locks(locks, "me").register()


def test_in_doubt_an_owner_lives(tmp_path: Path) -> None:
    locks = Locks(str(tmp_path), "me")
    assert locks.is_alive("x" * 300), "a name that no file can have: who knows"
    assert not locks.is_alive("nobody")


def test_without_a_directory_nobody_is_listed(tmp_path: Path) -> None:
    assert Locks(str(tmp_path / "none"), "me").listed() == set()


@pytest.mark.parametrize(
    "damage", ["history = 'no list'", "outcome = 'unheard of'", "added_at = 1e300", "added_at = -1"]
)
async def test_a_row_that_cannot_be_read_is_damage(path: Path, damage: str) -> None:
    queue, _ = await open_for_work(path)
    await queue.add(ids("a"))
    with sqlite3.connect(path, isolation_level=None) as hand:
        hand.execute("PRAGMA ignore_check_constraints = 1")
        hand.execute(f"UPDATE item SET {damage}")
    hand.close()
    with pytest.raises(QueueError, match="a row of the ledger is damaged"):
        await queue.show(ids("a").items[0].session_id)
    await queue.close()

"""Writers on one ledger take turns: one that works without a rest does not keep the other waiting."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from reaper.queues.sqlite import transactions
from reaper.queues.sqlite.transactions import begin_read, begin_write

WORK_S, REST_S = 0.004, 0.0003
TURNS = 25


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(_open(tmp_path)) as opened:
        yield opened


def _open(folder: Path) -> sqlite3.Connection:
    opened = sqlite3.connect(str(folder / "ledger.db"), isolation_level=None, timeout=10.0)
    opened.execute("PRAGMA journal_mode = WAL")
    return opened


def test_a_writer_gets_its_turn_beside_one_that_hardly_rests(connection: sqlite3.Connection, tmp_path: Path) -> None:
    turns_of_other, over = 0, threading.Event()

    def work_without_rest() -> None:
        nonlocal turns_of_other
        with closing(_open(tmp_path)) as other:
            while not over.is_set():
                begin_write(other)
                time.sleep(WORK_S)
                other.execute("COMMIT")
                turns_of_other += 1
                time.sleep(REST_S)

    thread = threading.Thread(target=work_without_rest)
    thread.start()
    waited = 0
    try:
        for _ in range(TURNS):
            time.sleep(2 * WORK_S)
            asked_at = turns_of_other
            begin_write(connection)
            waited += turns_of_other - asked_at
            connection.execute("COMMIT")
    finally:
        over.set()
        thread.join()
    # One or two. With SQLite's own wait the other took 82 turns for each of ours.
    assert waited < 10 * TURNS


def test_a_writer_waits_no_longer_than_it_may(
    connection: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "BUSY_S", 0.2)
    with closing(_open(tmp_path)) as other:
        begin_write(other)
        begun = time.monotonic()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            begin_write(connection)
        assert 0.2 <= time.monotonic() - begun < 5
        begin_read(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.execute("COMMIT")
        other.execute("COMMIT")
    begin_write(connection)


def test_what_is_no_wait_for_others_is_raised_at_once(connection: sqlite3.Connection) -> None:
    begin_write(connection)
    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        begin_write(connection)
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (10_000,)

"""A copy of the ledger is whole and good, or it is not there."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reaper.core.errors import QueueError, UsageError
from reaper.queues.sqlite.open import open_ledger
from tests.support.queues.harness import ids

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ledger(tmp_path: Path, anyio_backend: str) -> Path:
    """A ledger of some hundred pages, closed."""
    path = tmp_path / "ledger.db"
    queue, _ = await open_ledger(str(path), create=True, read_only=False, worker=True)
    await queue.add(ids(*(f"s{number}" for number in range(3_000))))
    await queue.close()
    return path


async def back_up(ledger: Path, copy: Path) -> None:
    queue, _ = await open_ledger(str(ledger), create=False, read_only=True, worker=False)
    try:
        await queue.backup(str(copy))
    finally:
        await queue.close()


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_where_there_is_no_room_no_half_copy_is_left(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with no_file_larger_than(64 * 1024), pytest.raises(QueueError, match=r"there/copy\.db"):
        await back_up(ledger, tmp_path / "there" / "copy.db")
    assert os.listdir(tmp_path / "there") == []


async def test_a_copy_of_a_damaged_ledger_is_refused_and_removed(ledger: Path, tmp_path: Path) -> None:
    with ledger.open("r+b") as file:
        for page in range(25, os.stat(ledger).st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
    with pytest.raises(QueueError, match=r"copy\.db is damaged"):
        await back_up(ledger, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_a_copy_needs_a_place(ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UsageError, match=r"none/copy\.db cannot be written: its directory does not exist: name another"
    ):
        await back_up(ledger, tmp_path / "none" / "copy.db")
    with pytest.raises(UsageError, match=r"ledger\.db/copy\.db cannot be written: Not a directory"):
        await back_up(ledger, ledger / "copy.db")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(QueueError, match=r"room|space"):
        await back_up(ledger, tmp_path / "copy.db")

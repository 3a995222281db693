"""The folder of a demo or a sandbox goes with it; one that was killed leaves it, and the next one removes it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from pathlib import Path

import anyio
import pytest

from reaper.cli.commands.temporary_folder import remove_abandoned, temporary_folder
from reaper.core.errors import UsageError
from reaper.queues.sqlite.thread import LedgerThread
from tests.support.left_behind import threads


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_folder_is_private_and_goes_with_the_demo(tmp_path: Path) -> None:
    with temporary_folder("demo") as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "reaper.db").touch()
        assert remove_abandoned("demo") == [], "a demo that lives keeps its folder"
        assert (folder / "reaper.db").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_being_opened_does_not_make_the_folder_anew(tmp_path: Path) -> None:
    async def start(folder: Path) -> None:
        def connect() -> sqlite3.Connection:
            time.sleep(0.3)
            folder.mkdir(exist_ok=True)
            raise sqlite3.OperationalError("the demo is over")

        with anyio.move_on_after(0.05):
            await LedgerThread(str(folder / "reaper.db")).start(connect, lambda: None)

    before = threads("reaper-ledger")
    with temporary_folder("demo") as folder:
        anyio.run(start, folder)
    for thread in threads("reaper-ledger") - before:
        thread.join(5.0)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_demo_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    abandoned = tmp_path / "reaper-demo-old"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    (abandoned / "reaper.db").touch()
    others = tmp_path / "reaper-sandbox-old"
    others.mkdir()
    (others / "lock").touch()
    assert remove_abandoned("demo") == [abandoned]
    assert list(tmp_path.iterdir()) == [others]


def test_what_is_no_folder_of_a_demo_stays(tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    aim.mkdir()
    (aim / "lock").touch()
    (tmp_path / "reaper-demo-link").symlink_to(aim)
    unlocked = tmp_path / "reaper-demo-without-a-lock"
    unlocked.mkdir()
    (tmp_path / "reaper-demo-file").touch()
    assert remove_abandoned("demo") == []
    assert {path.name for path in tmp_path.iterdir()} == {
        "aim", "reaper-demo-link", "reaper-demo-without-a-lock", "reaper-demo-file",
    }  # fmt: skip


def test_without_a_directory_for_temporary_files_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: str) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    for name in ("gettempdir", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, none)
    assert remove_abandoned("sandbox") == []
    said = "of the sandbox cannot be made: No usable temporary directory .*; set TMPDIR to a directory"
    with pytest.raises(UsageError, match=said), temporary_folder("sandbox"):
        pass


def test_the_folder_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "reaper-demo-theirs"
    folder.mkdir()
    (folder / "lock").touch()
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert remove_abandoned("demo") == []

"""A copy takes the ledger's place after a check and while nothing works on it, or nothing is changed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reaper.core.errors import QueueError, UsageError
from reaper.queues.open import restore_ledger
from reaper.queues.sqlite.open import open_ledger
from reaper.queues.sqlite.restore import restore
from tests.support.queues.harness import LEASE_S, claim_one, ids, names, open_for_work
from tests.support.spoils import SCHEMA_1

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
async def copy(path: Path, tmp_path: Path, anyio_backend: str) -> Path:
    """A copy that holds a and b, a in flight; in the ledger, closed since, is c as well."""
    queue, _ = await open_for_work(path)
    await queue.add(ids("a", "b"))
    await claim_one(queue)
    await queue.backup(str(tmp_path / "copy.db"))
    await queue.add(ids("c"))
    await queue.close()
    return tmp_path / "copy.db"


async def held(path: Path) -> set[str]:
    queue, _ = await open_for_work(path)
    found = set(names(await queue.claim(9, lease_s=LEASE_S)))
    assert (await queue.audit()).balanced
    await queue.close()
    return found


async def test_a_copy_takes_the_place_and_the_former_ledger_is_kept(path: Path, copy: Path) -> None:
    former = restore(str(path), str(copy))
    assert former is not None
    assert await held(copy) == {"a", "b"}
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert await held(path) == {"a", "b"}, "what was in flight when the copy was made is claimable: its owner is dead"
    assert await held(Path(former)) == {"a", "b", "c"}


async def test_a_copy_makes_a_ledger_where_there_is_none(copy: Path, tmp_path: Path) -> None:
    new = tmp_path / "another" / "state" / "ledger.db"
    assert restore(str(new), str(copy)) is None
    assert await held(new) == {"a", "b"}


async def test_through_a_link_the_file_behind_it_is_replaced(path: Path, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "name.db").symlink_to(path)
    restore(str(tmp_path / "name.db"), str(copy))
    assert os.readlink(tmp_path / "name.db") == str(path)
    assert await held(path) == {"a", "b"}


HOLD = """
import asyncio, sys
from reaper.queues.sqlite.open import open_ledger
async def main():
    queue, _ = await open_ledger(sys.argv[1], create=False, read_only=sys.argv[2] == "reads", worker=False)
    print("open", flush=True)
    sys.stdin.readline()
    await queue.close()
asyncio.run(main())
"""
CRASH = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("UPDATE item SET due_at = 0")
connection.commit()
os._exit(9)
"""


def crash_after_a_commit(path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False).returncode == 9
    assert os.stat(f"{path}-wal").st_size


@pytest.mark.parametrize("how", ["writes", "reads"])
def test_while_a_process_has_the_ledger_open_nothing_is_changed(path: Path, copy: Path, how: str) -> None:
    def seen() -> dict[str, int]:
        return {name: os.stat(path.parent / name).st_ino for name in os.listdir(path.parent)}

    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        before = seen()
        with pytest.raises(QueueError, match=r"a process works on the ledger .*: stop every reaper on it first"):
            restore(str(path), str(copy))
        assert seen() == before
        other.communicate("\n", timeout=30)
    assert restore(str(path), str(copy))


async def test_the_log_of_a_crashed_process_goes_aside_with_its_ledger(path: Path, copy: Path) -> None:
    """The log must never stand beside the new file: SQLite would mix the two."""
    crash_after_a_commit(path)
    former = restore(str(path), str(copy))
    assert former is not None
    assert f"{path.name}-wal" not in os.listdir(path.parent)
    with sqlite3.connect(former) as connection:
        assert connection.execute("SELECT DISTINCT due_at FROM item").fetchall() == [(0.0,)]
    connection.close()
    assert await held(path) == {"a", "b"}


def spoil(copy: Path, how: str) -> None:
    match how:
        case "damaged":
            with copy.open("r+b") as file:
                for page in range(2, copy.stat().st_size // 4096):
                    file.seek(page * 4096)
                    file.write(b"\xff" * 64)
        case "newer":
            connection = sqlite3.connect(copy)
            connection.execute("PRAGMA user_version = 99")
            connection.close()
        case "text":
            copy.write_text("ses-1\n" * 5_000)
        case "another program's":
            copy.unlink()
            connection = sqlite3.connect(copy)
            connection.execute("CREATE TABLE theirs (x)")
            connection.close()
        case "empty":
            copy.write_bytes(b"")
        case _:
            copy.unlink()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("damaged", "damaged"),
        ("newer", "newer reaper"),
        ("text", "copy.* is not a ledger: name a copy that `reaper queue backup` made$"),
        ("another program's", "another program's database"),
        ("empty", "is empty"),
        ("missing", "there is no file"),
    ],
)
async def test_a_copy_that_is_none_is_refused(path: Path, copy: Path, how: str, sentence: str) -> None:
    spoil(copy, how)
    with pytest.raises(UsageError, match=sentence):
        restore(str(path), str(copy))
    assert await held(path) == {"a", "b", "c"}


async def test_the_ledger_itself_is_no_copy(path: Path, copy: Path) -> None:
    with pytest.raises(UsageError, match="is the ledger itself"):
        restore(str(path), str(path))


@pytest.mark.parametrize("step", ["link", "rename"])
async def test_a_disk_that_refuses_leaves_the_ledger(
    path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(QueueError, match="there is no room"):
        restore(str(path), str(copy))
    monkeypatch.undo()
    for former in path.parent.glob("*.before-*"):
        former.unlink()
    assert await held(path) == {"a", "b", "c"}


async def test_a_shared_queue_has_its_engines_tools() -> None:
    with pytest.raises(UsageError, match="engine's own tools"):
        await restore_ledger("redis://localhost", "copy.db")


async def test_two_ledgers_open_in_one_process_do_not_matter(path: Path, copy: Path, tmp_path: Path) -> None:
    other, _ = await open_ledger(str(tmp_path / "other.db"), create=True, read_only=False, worker=False)
    assert restore(str(path), str(copy))
    await other.close()


class Died(BaseException):
    """Stands for kill -9: nothing of the program runs any more."""


@pytest.mark.parametrize(("step", "call"), [("link", 1), ("rename", 0), ("rename", 1), ("rename", 2)])
async def test_a_restore_that_died_between_its_steps_is_taken_back_by_the_next(
    path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    """Before the call, or after it; meanwhile no reaper opens the ledger without its log."""
    crash_after_a_commit(path)
    calls = 0
    real = getattr(os, step)

    def die(*args: str) -> None:
        nonlocal calls
        calls += 1
        if step == "rename" and calls > call:
            raise Died
        real(*args)
        if step == "link":
            raise Died

    with monkeypatch.context() as patched:
        patched.setattr(os, step, die)
        with pytest.raises(Died):
            restore(str(path), str(copy))
    left = [name for name in os.listdir(path.parent) if ".before-" in name or ".restored-" in name]
    assert any(".before-" in name for name in left)
    with pytest.raises(QueueError, match=r"restore of the ledger .* was cut short: run .* once more"):
        await open_for_work(path)
    monkeypatch.setattr(time, "strftime", lambda _: "LATER")  # under the same name, the log would lie where it belongs
    former = restore(str(path), str(copy))
    assert former is not None
    assert not [name for name in os.listdir(path.parent) if ".restored-" in name]
    assert await held(path) == {"a", "b"}
    with sqlite3.connect(former) as connection:
        assert connection.execute("SELECT DISTINCT due_at FROM item").fetchall() == [(0.0,)], "its log was lost"
    connection.close()
    assert await held(Path(former)) == {"a", "b", "c"}


async def test_a_ledger_that_was_made_meanwhile_is_not_replaced(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "another" / "ledger.db"
    real = os.link

    def late(source: str, target: str) -> None:
        new.write_bytes(b"somebody's")
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(QueueError, match="meanwhile"):
        restore(str(new), str(copy))
    assert os.listdir(new.parent) == [new.name]
    assert new.read_bytes() == b"somebody's"


async def test_a_copy_of_the_schema_before_is_put_in_place_and_migrated_by_the_first_writer(
    path: Path, copy: Path
) -> None:
    os.unlink(copy)
    old = sqlite3.connect(copy)
    old.executescript(SCHEMA_1.read_text())
    old.close()
    assert restore(str(path), str(copy))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    await held(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)

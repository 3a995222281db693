"""The spool among programs that do not keep its rules, and users who may not be trusted."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.intake.spool import QUIET_S, RETRY_S, Spool
from reaper.queues.open import open_queue
from reaper.queues.values import Added, Batch
from tests.support.intake import RecordingReport
from tests.support.spool import Scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "spool")
    made.spool.prepare()
    yield made
    made.spool.close()


@pytest.mark.parametrize(
    "name", [b"build-\xe9t\xe9.txt", b"\xff\xfe", b"a\nb\x1b[31m", b"x" * 255, "\u202e.txt".encode()]
)
async def test_a_name_of_any_bytes_is_taken_and_shown_escaped(tmp_path: Path, name: bytes) -> None:
    report, now = RecordingReport(), 0.0
    opened = await open_queue(f"sqlite:///{tmp_path}/ledger.db", create=True, read_only=False, worker=False)
    queue = opened.queue
    spool = Spool(queue, tmp_path / "spool", now=lambda: now)
    spool.prepare()
    for content in (b"env_1\nno id\n", b"env_2\n"):
        (tmp_path / "spool/new" / os.fsdecode(name)).write_bytes(content)
        await spool.poll(report)
        now += QUIET_S
        await spool.poll(report)
    spool.close()
    stats = await queue.stats()
    await queue.close()
    assert stats.accepted == 2
    assert len(os.listdir(tmp_path / "spool/done")) == 2
    assert report.failures == []
    for source in [source for _, source, _ in report.added]:
        assert source.isprintable()
        source.encode()


async def test_the_name_of_a_file_shows_no_token(scene: Scene) -> None:
    scene.put("archal_ws_secret", b"env_1\n")
    await scene.poll()
    assert "secret" not in str(scene.report.added) + str(scene.queue.batches)


async def test_a_slow_producer_is_read_line_by_line_and_told_of_once(scene: Scene) -> None:
    path = scene.put("slow", b"env_1\nenv_2_")
    assert await scene.poll() == Added(1, 0, 0)
    for number in (2, 3, 4):
        with path.open("ab") as file:
            file.write(b"tail\nenv_%d_" % (number + 1))
        assert await scene.poll(after_s=QUIET_S / 2) == Added(1, 0, 0)
    assert scene.queue.ids == ["env_1", "env_2_tail", "env_3_tail", "env_4_tail"]
    assert scene.names("new") == ["slow"]
    assert await scene.poll(after_s=QUIET_S - 0.1) is None
    assert await scene.poll(after_s=0.1) == Added(1, 0, 0)
    assert (scene.queue.ids[4:], scene.names("new"), scene.names("done")) == (["env_5_"], [], ["slow"])
    assert [("grew after" in note, "rename" in note) for note in scene.report.notes] == [(True, True)]


async def test_what_is_written_after_the_move_is_read_and_told(scene: Scene) -> None:
    """A producer that waits longer than any patience still has the file open, wherever it lies."""
    with scene.put("slow", b"env_1\nenv_2").open("ab") as file:
        await scene.poll()
        await scene.poll(after_s=QUIET_S)
        assert (scene.names("done"), scene.queue.ids) == (["slow"], ["env_1", "env_2"])
        file.write(b"_tail\nenv_3\nenv_4")
        file.flush()
        assert await scene.poll(after_s=60.0) == Added(2, 0, 0)
        assert await scene.poll(after_s=QUIET_S) == Added(1, 0, 0)
    assert scene.queue.ids == ["env_1", "env_2", "env_2_tail", "env_3", "env_4"]
    assert "grew after" in scene.report.notes[0]
    assert await scene.poll(after_s=60.0) is None


async def test_a_file_of_new_that_is_written_anew_is_read_from_its_start(scene: Scene) -> None:
    path = scene.put("list", b"env_1\nenv_2\n")
    await scene.poll()
    path.write_bytes(b"env_01\nenv_1\nenv_2\nenv_3\n")
    os.utime(path, ns=(1, 1))
    await scene.poll()
    assert sorted(scene.queue.ids) == ["env_01", "env_1", "env_2", "env_3"]
    assert "written anew" in scene.report.notes[-1]


async def test_a_json_document_is_taken_when_it_is_whole(scene: Scene) -> None:
    path = scene.put("list.json", b'{"sessions": [\n{"id": "env_1"},\n')
    await scene.poll()
    assert await scene.poll(after_s=QUIET_S / 2) is None
    with path.open("ab") as file:
        file.write(b'{"id": "env_2"}\n]}')
    assert await scene.poll() is None
    assert await scene.poll(after_s=QUIET_S) == Added(2, 0, 0)
    assert (scene.queue.ids, scene.names("done")) == (["env_1", "env_2"], ["list.json"])
    scene.put("half.json", b'["env_3", ')
    scene.put("big.json", b'["env_4",' + b" " * (8 << 20) + b'"env_5"]')
    await scene.poll()
    await scene.poll(after_s=QUIET_S)
    assert (len(scene.queue.ids), scene.names("bad")) == (2, ["big.json", "half.json"])


async def test_a_document_whose_writer_pauses_is_taken_when_it_is_whole_after_all(scene: Scene) -> None:
    file = scene.put("a.json", b'["env_1",')
    await scene.poll()
    await scene.poll(after_s=QUIET_S)
    assert (scene.names("bad"), scene.queue.ids) == (["a.json"], [])
    (scene.root / "bad" / "a.json").write_bytes(b'["env_1", "env_2"')
    await scene.poll(after_s=1)
    await scene.poll(after_s=QUIET_S)
    assert scene.queue.ids == []
    (scene.root / "bad" / "a.json").write_bytes(b'["env_1", "env_2"]')
    await scene.poll(after_s=1)
    await scene.poll(after_s=QUIET_S)
    assert (scene.queue.ids, scene.names("bad"), scene.names("done")) == (["env_1", "env_2"], [], ["a.json"])
    refused, completed = scene.report.notes
    assert "ends too early" in refused
    assert completed == f"{file} was completed after all, taken in and moved to done/"
    (scene.root / "done" / "a.json").write_bytes(b'["env_1", "env_2"]}')
    await scene.poll(after_s=1)
    await scene.poll(after_s=QUIET_S)
    assert (scene.names("bad"), scene.names("done")) == (["a.json"], []), "what cannot be read is never pruned"


async def test_what_is_no_regular_file_is_never_opened(scene: Scene) -> None:
    os.mkfifo(scene.root / "new/fifo")
    (scene.root / "new/dir").mkdir()
    (scene.root / "new/null").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(scene.root / "new")  # the path of a socket is short
        listener.bind("sock")
        os.chdir(here)
        scene.put("zz", b"env_1\n")
        assert await scene.poll() == Added(1, 0, 0)
    assert (scene.names("bad"), scene.names("new")) == (["dir", "fifo", "null", "sock"], ["zz"])
    kinds = [note.split("it is a ")[1].split(",")[0] for note in scene.report.notes]
    assert kinds == ["directory", "FIFO", "symbolic link", "socket"]


async def test_a_taken_name_never_overwrites_and_never_is_too_long(scene: Scene) -> None:
    long = "x" * 251 + ".txt"
    (scene.root / "done/link").symlink_to("/nowhere")
    for number in range(3):
        scene.put(long, b"env_%d\n" % number)
        scene.put("link", b"env_%d\n" % number)
        await scene.poll()
        await scene.poll(after_s=QUIET_S)
    assert scene.names("new") == []
    assert scene.names("done") == ["link", "link.1", "link.2", "link.3", long[:253] + ".1", long[:253] + ".2", long]
    assert {(scene.root / "done" / name).read_bytes() for name in scene.names("done") if "x" in name} == {
        b"env_0\n", b"env_1\n", b"env_2\n",
    }  # fmt: skip


async def test_a_file_that_cannot_be_moved_is_told_of_once_and_read_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, fails = os.rename, True

    def refuse(name: str, to: str, **rooms: int) -> None:
        if fails and name == "a":
            raise PermissionError(1, "Operation not permitted")
        rename(name, to, **rooms)

    monkeypatch.setattr(os, "rename", refuse)
    scene.put("a", b"env_1\n")
    scene.put("b", b"env_2\n")
    await scene.poll()
    for _ in range(5):
        await scene.poll(after_s=QUIET_S)
    assert (scene.names("new"), scene.names("done"), scene.queue.lines) == (["a"], ["b"], 2)
    assert ["cannot be moved to done/" in note for note in scene.report.notes] == [True]
    # It grows: it is taken up again, and moved when that is possible.
    with (scene.root / "new/a").open("ab") as file:
        file.write(b"env_3\n")
    await scene.poll()
    fails = False
    await scene.poll(after_s=RETRY_S)
    assert (scene.names("new"), scene.queue.ids) == ([], ["env_1", "env_2", "env_3"])


async def test_an_error_that_nobody_foresaw_costs_one_file(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    add = scene.queue.add

    async def break_on(batch: Batch, **options: Any) -> Added:
        if batch.source.endswith("b"):
            raise ZeroDivisionError("nobody foresaw this")
        return await add(batch, **options)

    monkeypatch.setattr(scene.queue, "add", break_on)
    for name in ("a", "b", "c"):
        scene.put(name, b"env_%s\n" % name.encode())
    await scene.poll()
    await scene.poll(after_s=QUIET_S)
    assert (scene.queue.ids, scene.names("new"), scene.names("done")) == (["env_a", "env_c"], ["b"], ["a", "c"])
    assert len(scene.report.failures) == 1
    assert "nobody foresaw this" in scene.report.failures[0]
    assert "test_spool_trouble.py:" in scene.report.failures[0]
    monkeypatch.setattr(scene.queue, "add", add)
    await scene.poll(after_s=RETRY_S)
    assert (scene.queue.ids, scene.names("new")) == (["env_a", "env_c", "env_b"], [])


async def test_one_row_that_cannot_be_added_does_not_stop_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = scene.queue.add

    async def break_on(batch: Batch, **options: Any) -> Added:
        if any(item.session_id == "env_7" for item in batch.items):
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
        return await add(batch, **options)

    monkeypatch.setattr(scene.queue, "add", break_on)
    scene.put("a", b"".join(b"env_%d\n" % number for number in range(20)))
    assert await scene.poll() == Added(19, 0, 1)
    assert scene.report.wrong[0][2].startswith("it could not be added: internal error: UnicodeEncodeError")


async def test_a_queue_that_is_unavailable_is_no_fault_of_the_file(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = scene.queue.add

    async def refuse(batch: Batch, **options: Any) -> Added:
        raise QueueUnavailableError("the disk is full")

    scene.put("a", b"env_1\nenv_2")
    monkeypatch.setattr(scene.queue, "add", refuse)
    for _ in range(3):
        with pytest.raises(QueueUnavailableError):
            await scene.poll(after_s=QUIET_S)
    assert scene.names("new") == ["a"]
    monkeypatch.setattr(scene.queue, "add", add)
    assert await scene.poll() == Added(2, 0, 0)
    assert (scene.names("done"), scene.report.failures) == (["a"], [])

"""The spool among programs that do not keep its rules, and users who may not be trusted."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reaper.core.errors import ConfigError, QueueUnavailableError, UsageError
from reaper.intake.spool import QUIET_S, RETRY_S, Spool
from reaper.queues.open import open_queue
from reaper.queues.values import Added, Batch
from tests.support.intake import RecordingQueue, RecordingReport

pytestmark = pytest.mark.anyio
REAPER, PRODUCER, STRANGER, GROUP = 20001, 20002, 20003, 20010
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as several users: needs root")


class Scene:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.queue = RecordingQueue()
        self.report = RecordingReport()
        self.now = 0.0
        self.spool = Spool(self.queue, root, now=lambda: self.now)

    def put(self, name: str | bytes, content: bytes, folder: str = "new") -> Path:
        path = self.root / folder / os.fsdecode(name)
        path.write_bytes(content)
        return path

    async def poll(self, *, after_s: float = 0.0) -> Added | None:
        self.now += after_s
        return await self.spool.poll(self.report)

    def names(self, folder: str) -> list[str]:
        return sorted(os.listdir(self.root / folder))


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


@pytest.mark.parametrize("room", ["tmp", "new", "done", "bad"])
def test_a_link_in_place_of_a_directory_is_refused_at_the_start(tmp_path: Path, room: str) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / room).symlink_to(tmp_path / "foreign")
    with pytest.raises(ConfigError, match=rf"intake\.spool_dir: .*/{room} is a symbolic link"):
        Spool(RecordingQueue(), tmp_path / "spool").prepare()


async def test_the_spool_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "spool").symlink_to(tmp_path / "real")
    scene = Scene(tmp_path / "spool")
    scene.spool.prepare()
    scene.put("a", b"env_1\n")
    assert await scene.poll() == Added(1, 0, 0)
    scene.spool.close()


async def test_a_link_in_place_of_done_leads_nowhere(scene: Scene, tmp_path: Path) -> None:
    """Neither the rename nor the pruning may follow it; the other directories go on."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "backup").write_text("precious")
    (scene.root / "done").rmdir()
    (scene.root / "done").symlink_to(foreign)
    scene.put("a", b"env_1\n")
    assert await scene.poll() == Added(1, 0, 0)
    for _ in range(3):
        await scene.poll(after_s=RETRY_S)
    assert scene.spool.prune(-3600.0) == 0
    assert (os.listdir(foreign), scene.names("new")) == (["backup"], ["a"])
    assert ["symbolic link" in sentence for sentence in scene.report.failures] == [True]
    (scene.root / "done").unlink()
    await scene.poll(after_s=RETRY_S)
    assert (scene.report.back, scene.names("done")) == ([str(scene.root)], ["a"])


async def test_a_link_in_place_of_new_is_not_read(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/ledger.db").write_text("env_9\n")
    (scene.root / "new").rmdir()
    (scene.root / "new").symlink_to(tmp_path / "foreign")
    with pytest.raises(UsageError, match="new is a symbolic link"):
        await scene.poll()
    assert (scene.queue.ids, os.listdir(tmp_path / "foreign"), scene.names("bad")) == ([], ["ledger.db"], [])


async def test_a_link_that_comes_between_the_check_and_the_use_is_not_followed(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "foreign").mkdir()
    scene.put("a", b"env_1\n")
    await scene.poll()
    rename = os.rename

    def replace_before(name: str, to: str, **rooms: int) -> None:
        rename(scene.root / "done", scene.root / "was-done")
        (scene.root / "done").symlink_to(tmp_path / "foreign")
        rename(name, to, **rooms)

    monkeypatch.setattr(os, "rename", replace_before)
    await scene.poll(after_s=QUIET_S)
    assert (os.listdir(tmp_path / "foreign"), scene.names("was-done")) == ([], ["a"])


@pytest.mark.parametrize("missing", [(), ("bad", "done"), ("new", "tmp", "bad", "done")])
async def test_a_spool_that_was_made_anew_is_opened_again(scene: Scene, missing: tuple[str, ...]) -> None:
    scene.put("a", b"env_1\n")
    await scene.poll()
    shutil.rmtree(scene.root)
    with pytest.raises(FileNotFoundError):
        await scene.poll()
    scene.root.mkdir()
    for room in {"tmp", "new", "done", "bad"} - set(missing):
        (scene.root / room).mkdir()
    await scene.poll()
    scene.put("b", b"env_2\n")
    await scene.poll()
    await scene.poll(after_s=QUIET_S)
    assert (scene.queue.ids, scene.names("done")) == (["env_1", "env_2"], ["b"])


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


# --- other users --------------------------------------------------------------------------------------------------


@contextmanager
def user(uid: int, gid: int = GROUP) -> Iterator[None]:
    """Act as another user, as far as the kernel is concerned."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


PRODUCE = """
import os, sys
os.setgroups([]); os.setgid({gid}); os.setuid({uid}); os.umask(0o027)
spool, name = sys.argv[1:]
open(f"{{spool}}/tmp/{{name}}", "w").write(f"env_{{name}}\\n")
os.rename(f"{{spool}}/tmp/{{name}}", f"{{spool}}/new/{{name}}")
"""


def produce(uid: int, gid: int, spool: Path, name: str) -> int:
    code = PRODUCE.format(uid=uid, gid=gid)
    return subprocess.run([sys.executable, "-c", code, str(spool), name], capture_output=True).returncode


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """The recipe of docs/files.md."""
    for path in [tmp_path, *tmp_path.parents][:-2]:
        path.chmod(path.stat().st_mode | 0o011)
    spool = tmp_path / "spool"
    for name, mode in (("", 0o750), ("tmp", 0o3770), ("new", 0o3770), ("done", 0o700), ("bad", 0o700)):
        (spool / name).mkdir()
        os.chown(spool / name, REAPER, GROUP)
        (spool / name).chmod(mode)
    yield spool
    shutil.rmtree(spool)


@as_root
async def test_programs_of_other_users_write_by_their_group(shared: Path) -> None:
    assert produce(PRODUCER, GROUP, shared, "a") == 0
    assert produce(STRANGER, STRANGER, shared, "b") != 0, "not of the group"
    with user(STRANGER), pytest.raises(PermissionError):  # sticky: nobody deletes the file of another
        (shared / "new/a").unlink()
    with user(REAPER):
        scene = Scene(shared)
        scene.spool.prepare()
        assert await scene.poll() == Added(1, 0, 0)
        await scene.poll(after_s=QUIET_S)
        assert (scene.queue.ids, os.listdir(shared / "done")) == (["env_a"], ["a"])
        scene.spool.close()


@as_root
async def test_a_file_that_a_sticky_directory_keeps_is_passed_over(shared: Path) -> None:
    os.chown(shared / "new", 0, GROUP)  # of root, and sticky: only its owner may move a file
    (shared / "new").chmod(0o3770)
    assert produce(PRODUCER, GROUP, shared, "a") == 0
    with user(REAPER):
        scene = Scene(shared)
        scene.spool.prepare()
        scene.put("b", b"env_b\n")
        await scene.poll()
        for _ in range(3):
            await scene.poll(after_s=QUIET_S)
        scene.spool.close()
    assert (scene.queue.ids, sorted(os.listdir(shared / "new"))) == (["env_a", "env_b"], ["a"])
    assert scene.queue.lines == 2
    assert ["cannot be moved" in note for note in scene.report.notes] == [True]


@as_root
@pytest.mark.parametrize("room", ["tmp", "new", "done", "bad"])
def test_a_directory_of_another_user_is_refused(shared: Path, room: str) -> None:
    os.chown(shared / room, STRANGER, GROUP)
    (shared / room).chmod(0o777)
    with user(REAPER), pytest.raises(ConfigError, match=rf"{room} belongs to another user \({STRANGER}\)"):
        Spool(RecordingQueue(), shared).prepare()


@as_root
async def test_a_directory_that_is_given_to_another_user_later_is_left_alone(shared: Path) -> None:
    spool, report = Spool(RecordingQueue(), shared), RecordingReport()
    with user(REAPER):
        spool.prepare()
        await spool.poll(report)
    os.chown(shared / "new", STRANGER, GROUP)
    (shared / "new").chmod(0o777)
    with user(REAPER), pytest.raises(UsageError, match="belongs to another user"):
        await spool.poll(report)
    spool.close()


@as_root
async def test_a_file_that_may_not_be_read_is_set_aside(shared: Path) -> None:
    assert produce(PRODUCER, GROUP, shared, "a") == 0
    (shared / "new/a").chmod(0o600)
    with user(REAPER):
        scene = Scene(shared)
        scene.spool.prepare()
        await scene.poll()
        assert os.listdir(shared / "new") == ["a"], "cp -p gives it its rights at the end"
        await scene.poll(after_s=QUIET_S)
        assert (os.listdir(shared / "bad"), os.listdir(shared / "new")) == (["a"], [])
        scene.spool.close()
    assert "cannot be read: Permission denied; it was moved to" in scene.report.notes[0]
    assert stat.S_IMODE((shared / "bad/a").stat().st_mode) == 0o600

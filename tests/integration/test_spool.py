import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from reaper.core.errors import ConfigError, QueueError, UsageError
from reaper.intake.events import add_up
from reaper.intake.line_reader import BATCH_LINES
from reaper.intake.poller import Intake
from reaper.intake.spool import QUIET_S, Spool
from reaper.queues.values import Added
from tests.support.intake import RecordingQueue, RecordingReport

pytestmark = pytest.mark.anyio


class Scene:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.queue = RecordingQueue()
        self.report = RecordingReport()
        self.now = 0.0
        self.spool = Spool(self.queue, root, default_after_s=60.0, now=lambda: self.now)
        self.spool.prepare()

    def put(self, name: str, content: bytes) -> None:
        (self.root / "tmp" / name).write_bytes(content)
        (self.root / "tmp" / name).rename(self.root / "new" / name)

    async def poll(self) -> Added | None:
        return await self.spool.poll(self.report)

    async def settle(self) -> Added | None:
        """Poll, and again when the files have not changed for long enough to be moved."""
        first = await self.poll()
        self.now += QUIET_S
        second = await self.poll()
        return first if second is None else second if first is None else add_up(first, second)

    def names(self, folder: str) -> list[str]:
        return sorted(os.listdir(self.root / folder))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "deep" / "spool")
    yield made
    made.spool.close()


async def test_files_are_taken_in_by_name_and_moved(scene: Scene) -> None:
    assert await scene.poll() is None
    scene.put("2", b"b\nbad id\nlast")
    scene.put("1", b"a\n")
    scene.put(".hidden", b"h\n")
    assert await scene.poll() == Added(2, 0, 1)
    assert (scene.names("new"), scene.names("done")) == ([".hidden", "1", "2"], [])
    assert scene.spool.is_settling
    scene.now += QUIET_S
    assert await scene.poll() == Added(1, 0, 0)
    assert not scene.spool.is_settling
    assert scene.queue.ids == ["a", "b", "last"]
    assert (scene.names("new"), scene.names("done"), scene.names("bad")) == ([".hidden"], ["1", "2"], [])
    assert scene.queue.options[0] == {"default_after_s": 60.0}
    assert scene.report.wrong == [(str(scene.root / "new" / "2"), 2, scene.report.wrong[0][2])]
    assert [kind for kind, _, _ in scene.report.added] == ["spool"] * 3
    assert (scene.root / "new").stat().st_mode & 0o777 == 0o700


def test_all_that_it_makes_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Spool(RecordingQueue(), tmp_path / "deep" / "er" / "spool").prepare()
    finally:
        os.umask(before)
    made = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert made == dict.fromkeys(
        ["deep", "deep/er", "deep/er/spool", *(f"deep/er/spool/{room}" for room in ("tmp", "new", "done", "bad"))],
        0o700,
    )


async def test_a_name_used_again_gets_a_suffix(scene: Scene) -> None:
    for content in (b"a\n", b"b\n", b"c\n"):
        scene.put("x", content)
        await scene.settle()
    assert scene.names("done") == ["x", "x.1", "x.2"]
    assert (scene.root / "done" / "x.2").read_bytes() == b"c\n"


async def test_what_can_never_be_read_is_set_aside_and_told(scene: Scene, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("stolen\n")
    (scene.root / "new" / "link").symlink_to(outside)
    (scene.root / "new" / "dir").mkdir()
    os.mkfifo(scene.root / "new" / "fifo")
    scene.put("elf", b"\x7fELF\0")
    scene.put("good", b"a\n")
    assert await scene.settle() == Added(1, 0, 0)
    assert scene.queue.ids == ["a"]
    assert scene.names("bad") == ["dir", "elf", "fifo", "link"]
    assert (scene.names("new"), outside.read_text()) == ([], "stolen\n")
    assert sorted(note.split("; it was moved to ")[1] for note in scene.report.notes) == [
        str(scene.root / "bad" / name) for name in scene.names("bad")
    ]


async def test_a_crash_between_commit_and_move_is_harmless(scene: Scene) -> None:
    total = BATCH_LINES + 1
    scene.put("x", b"".join(b"s%d\n" % number for number in range(total)))
    scene.queue.fail_after, scene.queue.fail_committed = 1, True
    with pytest.raises(QueueError):
        await scene.settle()
    assert scene.names("new") == ["x"]
    assert await scene.settle() == Added(0, 1, 0)
    assert (len(scene.queue.ids), scene.names("new"), scene.names("done")) == (total, [], ["x"])


async def test_done_files_are_pruned_by_age(scene: Scene) -> None:
    scene.put("x", b"a\n")
    await scene.settle()
    # However old the producer's file is, it counts from the move.
    os.utime(scene.root / "done" / "x", (0, 0))
    assert scene.spool.prune(3600) == 0
    assert scene.names("done") == ["x"]
    assert scene.spool.prune(-1) == 1
    assert scene.names("done") == []


async def test_a_spool_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"intake\.spool_dir"):
        Spool(RecordingQueue(), tmp_path / "file").prepare()


class Flaky:
    """A source that follows a script: a message to fail with, or None."""

    def __init__(self, name: str, script: list[Exception | None], over: anyio.Event) -> None:
        self.name = name
        self.script = script
        self.over = over
        self.polls = 0
        self.is_settling = self.is_missing = False

    async def poll(self, report: object) -> Added | None:
        self.polls += 1
        if not self.script:
            self.over.set()
            return None
        if (error := self.script.pop(0)) is not None:
            raise error
        return None

    def count_files(self) -> None: ...

    def close(self) -> None:
        self.closed = True


async def test_one_failing_source_is_told_of_once_and_stops_no_other() -> None:
    report, over = RecordingReport(), anyio.Event()
    script = [UsageError("x is a mess"), UsageError("x is a mess"), PermissionError(13, "no way", "/x"), None]
    sources = [Flaky("/x", list(script), anyio.Event()), Flaky("/y", [None] * 6, over)]
    async with anyio.create_task_group() as group:
        group.start_soon(Intake(sources, 0.001, report).run)
        with anyio.fail_after(10):
            await over.wait()
        group.cancel_scope.cancel()
    assert report.failures == ["x is a mess", "/x cannot be used now: no way"]
    assert report.back == ["/x"]
    assert sources[1].polls == 7


async def test_an_error_that_nobody_foresaw_ends_no_other_source() -> None:
    report = RecordingReport()
    sources = [Flaky("/x", [ZeroDivisionError("odd")] * 3, anyio.Event()), Flaky("/y", [None] * 5, anyio.Event())]
    intake = Intake(sources, 0.001, report)
    for _ in range(4):
        try:
            await intake.poll()
        except ZeroDivisionError:
            pytest.fail("it ended the daemon")
    assert [sentence.split(" at ")[0] for sentence in report.failures] == [
        "/x cannot be taken in now: internal error: ZeroDivisionError: odd"
    ]
    assert report.back == ["/x"]
    assert sources[1].polls == 4


async def test_a_queue_that_fails_ends_the_loop() -> None:
    with pytest.raises(QueueError, match="full"):
        await Intake([Flaky("/x", [QueueError("the disk is full")], anyio.Event())], 0.001, RecordingReport()).run()


async def test_files_beside_the_rooms_are_named_once(scene: Scene) -> None:
    (scene.root / "batch.txt").write_text("a\n")
    assert await scene.poll() is None
    assert await scene.poll() is None
    assert [note for note in scene.report.notes if "batch.txt" in note] == [
        "batch.txt lies directly in the spool and is not read: move it to new/"
    ]


async def test_what_cannot_be_deleted_stays_and_costs_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("1", "2"):
        scene.put(name, b"a\n")
    await scene.settle()
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int) -> None:
        if path.endswith("1"):
            raise PermissionError(1, "Operation not permitted", path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    assert scene.spool.prune(-60.0) == 1
    assert scene.names("done") == ["1"]
    (scene.root / "done" / "1").rename(scene.root / "1")
    (scene.root / "done").rmdir()
    assert scene.spool.prune(-60.0) == 0

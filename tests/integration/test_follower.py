import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from reaper.core.errors import QueueError, UsageError
from reaper.intake.follower import Follower
from reaper.intake.line_reader import BATCH_LINES
from reaper.queues.values import Added
from tests.support.intake import RecordingQueue, RecordingReport

pytestmark = pytest.mark.anyio


class Scene:
    """A followed file, the queue and a follower that can be restarted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queue = RecordingQueue()
        self.report = RecordingReport()
        self.follower = Follower(self.queue, str(path))

    def append(self, text: str, path: Path | None = None) -> None:
        with (path or self.path).open("a") as file:
            file.write(text)

    def rotate(self, number: int = 1) -> Path:
        return self.path.rename(self.path.with_name(f"{self.path.name}.{number}"))

    async def poll(self) -> Added | None:
        return await self.follower.poll(self.report)

    def restart(self) -> None:
        """As after a crash: only what the queue keeps is known."""
        self.follower.close()
        self.follower = Follower(self.queue, str(self.path))


@pytest.fixture
def scene(tmp_path: Path) -> Any:
    made = Scene(tmp_path / "ids.log")
    yield made
    made.follower.close()


async def test_lines_are_taken_as_their_newlines_come(scene: Scene) -> None:
    assert await scene.poll() is None
    scene.append("a\nb\nhalf")
    assert await scene.poll() == Added(2, 0, 0)
    assert await scene.poll() is None
    scene.append("-whole\nno id\n")
    assert await scene.poll() == Added(1, 0, 1)
    assert scene.queue.ids == ["a", "b", "half-whole"]
    assert scene.report.wrong[0][:2] == (str(scene.path), 4)
    assert [added for _, _, added in scene.report.added] == [Added(2, 0, 0), Added(1, 0, 1)]


async def test_a_restart_goes_on_at_the_committed_line(scene: Scene) -> None:
    scene.append("a\nb\nhal")
    await scene.poll()
    scene.restart()
    scene.append("f\nbad id\n")
    assert await scene.poll() == Added(1, 0, 1)
    assert (scene.queue.lines, scene.queue.ids) == (3, ["a", "b", "half"])
    assert scene.report.wrong[0][1] == 4
    assert scene.report.notes == []


@pytest.mark.parametrize("committed", [False, True])
async def test_after_a_queue_error_no_line_is_lost_or_repeated(scene: Scene, committed: bool) -> None:
    total = BATCH_LINES * 3 + 7
    scene.append("".join(f"s{number}\n" for number in range(total)))
    scene.queue.fail_after, scene.queue.fail_committed = 1, committed
    with pytest.raises(QueueError):
        await scene.poll()
    await scene.poll()
    assert (scene.queue.lines, len(scene.queue.ids)) == (total, total)


async def test_a_cancelled_poll_goes_on_where_the_queue_is(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    total = BATCH_LINES * 4
    scene.append("".join(f"s{number}\n" for number in range(total)))
    with anyio.CancelScope() as scope:
        add = scene.queue.add

        async def add_then_cancel(*args: Any, **options: Any) -> Added:
            scope.cancel()
            return await add(*args, **options)

        monkeypatch.setattr(scene.queue, "add", add_then_cancel)
        await scene.poll()
    assert scope.cancelled_caught
    assert 0 < scene.queue.lines < total
    monkeypatch.setattr(scene.queue, "add", add)
    await scene.poll()
    assert (scene.queue.lines, len(scene.queue.ids)) == (total, total)


async def test_a_rotated_file_is_read_to_its_end_and_its_last_line_when_its_newline_comes(scene: Scene) -> None:
    scene.append("a\n")
    await scene.poll()
    old = scene.rotate()
    scene.append("b\nla", old)
    assert await scene.poll() == Added(1, 0, 0)
    scene.append("new1\n")
    await scene.poll()
    assert scene.queue.ids == ["a", "b", "new1"]
    scene.append("st", old)
    assert await scene.poll() is None
    scene.append("\nlater\n", old)
    assert await scene.poll() == Added(2, 0, 0)
    assert scene.queue.ids == ["a", "b", "new1", "last", "later"]
    assert [note.split(" was ")[1] for note in scene.report.notes] == [
        "rotated in the middle of a line, which is taken when its newline comes"
    ]


async def test_the_last_line_of_a_rotated_file_survives_a_restart(scene: Scene) -> None:
    scene.append("a\nla")
    await scene.poll()
    old = scene.rotate()
    scene.append("new1\n")
    await scene.poll()
    scene.restart()
    scene.append("st\n", old)
    await scene.poll()
    assert scene.queue.ids == ["a", "new1", "last"]
    assert scene.queue.lines == 3


async def test_a_last_line_that_is_deleted_before_its_newline_is_told_of(scene: Scene) -> None:
    scene.append("a\nla")
    await scene.poll()
    old = scene.rotate()
    scene.append("b\n")
    await scene.poll()
    old.unlink()
    await scene.poll()
    assert "a rotated file of it was deleted after its line 1" in scene.report.notes[-1]


async def test_a_file_rotated_while_nobody_looked_is_found_beside_it(scene: Scene) -> None:
    scene.append("a\nb\n")
    await scene.poll()
    scene.restart()
    old = scene.rotate()
    scene.append("c\nd\n", old)
    scene.append("e\n")
    await scene.poll()
    assert (scene.queue.ids, scene.queue.lines) == (["a", "b", "c", "d", "e"], 5)
    scene.restart()
    assert await scene.poll() is None
    assert scene.report.notes == []


async def test_a_rotated_file_that_is_gone_is_told_of(scene: Scene) -> None:
    scene.append("a\n")
    await scene.poll()
    scene.restart()
    keep_inode = os.open(scene.rotate(), os.O_RDONLY)
    scene.path.with_name("ids.log.1").unlink()
    scene.append("b\n")
    assert await scene.poll() == Added(1, 0, 0)
    os.close(keep_inode)
    assert "another file than before" in scene.report.notes[0]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("content", ["", "x\n", "x\nyyy\nzzzz\nmore\n"])
async def test_a_file_begun_anew_is_read_from_its_start(scene: Scene, restarted: bool, content: str) -> None:
    scene.append("a\nbbb\nlong\n")
    await scene.poll()
    if restarted:
        scene.restart()
    scene.path.write_text(content)
    await scene.poll()
    scene.append("later\n")
    await scene.poll()
    assert scene.queue.ids == ["a", "bbb", "long", *content.split(), "later"]
    assert scene.queue.kept[str(scene.path)].offset == len(content) + 6
    assert len(scene.report.notes) == 1


async def test_pieces_of_lines_of_an_overwritten_file_are_never_taken(scene: Scene, tmp_path: Path) -> None:
    scene.append("ses-1\nses-2")
    await scene.poll()
    scene.path.write_text("other-1-other-1\nother-2\n")
    await scene.poll()
    assert scene.queue.ids == ["ses-1", "other-1-other-1", "other-2"]


async def test_the_prefix_grows_with_the_file(scene: Scene) -> None:
    known = []
    for size in (3, 500, 5000):
        scene.append("x" * (size - 1) + "\n")
        await scene.poll()
        known.append(scene.queue.kept[str(scene.path)])
        scene.restart()
        assert await scene.poll() is None
    assert [position.prefix_bytes for position in known] == [3, 503, 1024]
    assert len({position.prefix_hash for position in known}) == 3
    assert scene.report.notes == []


async def test_what_cannot_be_followed_is_said(scene: Scene) -> None:
    scene.path.mkdir()
    with pytest.raises(UsageError, match="not a regular file"):
        await scene.poll()
    scene.path.rmdir()
    os.mkfifo(scene.path)
    with pytest.raises(UsageError, match="not a regular file"):
        await scene.poll()

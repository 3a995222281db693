"""Followed files that become shorter, or are written anew in place: what is lost is told of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reaper.queues.values import Added, Position
from tests.support.followed import Scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "ids.log")
    yield made
    made.follower.close()


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_copytruncate_copied_is_read_and_the_gap_is_told_of(scene: Scene, restarted: bool) -> None:
    scene.write("a1")
    await scene.poll()
    if restarted:
        scene.restart()
    scene.write("a2", restamp=False)
    shutil.copy(scene.path, scene.path.with_name("ids.log.1"))
    os.truncate(scene.path, 0)
    scene.write("b1", restamp=False)
    await scene.poll()
    await scene.poll()
    assert scene.queue.ids == ["a1", "a2", "b1"]
    assert ["after the copy and before it was truncated" in note for note in scene.report.notes] == [True]


async def test_a_writer_that_does_not_append_leaves_a_hole(scene: Scene) -> None:
    """After a truncation it goes on at its old offset; the file begins with NULs then."""
    with scene.path.open("w") as writer:
        writer.write("a1\na2\n")
        writer.flush()
        await scene.poll()
        os.truncate(scene.path, 0)
        writer.write("b1\nb2\n")
    await scene.poll()
    assert scene.queue.ids == ["a1", "a2", "b1", "b2"]
    scene.restart()
    scene.write("b3")
    await scene.poll()
    assert scene.queue.ids == ["a1", "a2", "b1", "b2", "b3"]
    assert scene.report.wrong == []


async def test_a_truncation_without_a_copy_is_told_of(scene: Scene) -> None:
    scene.write("a1")
    await scene.poll()
    os.truncate(scene.path, 0)
    await scene.poll()
    assert ["was truncated" in note and "not seen" in note for note in scene.report.notes] == [True]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_list_that_is_written_anew_in_place_is_read_whole(scene: Scene, restarted: bool) -> None:
    """An inventory, sorted, that grew in its middle: its first bytes are the same, and it is longer."""
    first = [f"env_{number:05}" for number in range(0, 3000, 10)]
    scene.path.write_text("".join(f"{one}\n" for one in first))
    await scene.poll()
    if restarted:
        scene.restart()
    second = sorted([*first, *(f"env_{number:05}x" for number in range(1501, 2000, 10))])
    with scene.path.open("r+") as file:
        file.write("".join(f"{one}\n" for one in second))
    await scene.poll()
    assert set(scene.queue.ids) == {*first, *second}
    assert len(scene.report.notes) == 1


async def test_a_position_of_an_older_version_is_trusted_once(scene: Scene) -> None:
    scene.write("a1", "a2")
    await scene.poll()
    key = str(scene.path)
    kept = scene.queue.kept[key]
    old_hash = kept.prefix_hash.split(":")[1]
    scene.queue.kept[key] = Position(key, kept.device, kept.inode, kept.prefix_bytes, old_hash, kept.offset, kept.line)
    scene.restart()
    scene.write("a3")
    assert await scene.poll() == Added(1, 0, 0)
    assert scene.report.notes == []
    assert scene.queue.kept[key].prefix_hash.startswith("2:")

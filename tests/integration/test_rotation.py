"""Followed files among programs that rotate and rewrite them, logrotate itself included; no line is lost in silence."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reaper.core.errors import UsageError
from reaper.intake.follower import Follower
from tests.support.followed import Scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "ids.log")
    yield made
    made.follower.close()


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("rotations", [1, 2, 5])
async def test_every_generation_between_is_read_oldest_first(scene: Scene, restarted: bool, rotations: int) -> None:
    scene.write("never")  # a generation of before the first reading
    scene.rotate()
    scene.written = []
    scene.write("a1", "a2")
    await scene.poll()
    if restarted:
        scene.restart()
    scene.write("a3")
    for number in range(rotations):
        scene.rotate()
        scene.write(f"b{number}", f"c{number}")
    await scene.poll()
    assert scene.queue.ids == scene.written
    assert scene.queue.lines == len(scene.written), "no line is read twice"
    assert scene.report.notes == []
    scene.restart()
    assert await scene.poll() is None


@pytest.mark.parametrize(
    "name",
    ["ids.log-20260102", "ids.log-2026-01-02.1", "ids.log.2026-01-02_10", "ids-20260102.log", "ids.log-1700000000"],
)
async def test_generations_are_known_by_the_names_that_rotation_gives(scene: Scene, name: str) -> None:
    scene.write("a1")
    await scene.poll()
    scene.restart()
    scene.path.rename(scene.path.with_name("ids.log.1"))
    scene.write("b1")
    scene.path.rename(scene.path.with_name(name))
    scene.write("c1")
    await scene.poll()
    assert scene.queue.ids == ["a1", "b1", "c1"]
    assert scene.report.notes == []


@pytest.mark.parametrize("name", ["ids.log.old", "ids.log~", "ids.logs", "ids.log-backup"])
async def test_another_newer_neighbour_is_told_of_and_not_read(scene: Scene, name: str) -> None:
    scene.write("a1")
    await scene.poll()
    scene.write("alien", path=scene.path.with_name(name))
    scene.rotate()
    scene.write("b1")
    await scene.poll()
    await scene.poll()
    assert scene.queue.ids == ["a1", "b1"]
    assert [f"{name} beside" in note and "not seen" in note for note in scene.report.notes] == [True]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("name", ["ids.2026-01-0{}_12-00.log", "ids__2026-01-0{}.log", "ids-{}.log", "ids{}.log"])
async def test_generations_under_a_name_that_we_do_not_know_are_told_of(
    scene: Scene, name: str, restarted: bool
) -> None:
    """As loguru, pm2, log4j 2 and winston name them: the rotated file itself shows that they do."""
    scene.write("a1")
    await scene.poll()
    if restarted:
        scene.restart()
    for number in range(3):
        scene.write(f"b{number}")
        scene.path.rename(scene.path.with_name(name.format(number)))
    scene.write("c1")
    await scene.poll()
    await scene.poll()
    assert scene.queue.ids == ["a1", "b0", "c1"]
    unread = [name.format(number) for number in (1, 2)]
    assert [f"{one} beside" in note for one, note in zip(unread, scene.report.notes, strict=True)] == [True, True]
    scene.write("c2")
    scene.path.rename(scene.path.with_name(name.format(3)))
    scene.write("d1")
    await scene.poll()
    assert (scene.queue.ids[3:], len(scene.report.notes)) == (["c2", "d1"], 2), (
        "of one rotation there is nothing to say"
    )


@pytest.mark.parametrize("restarted", [False, True])
async def test_the_generations_beside_what_a_link_leads_to_are_read(
    scene: Scene, tmp_path: Path, restarted: bool
) -> None:
    real = tmp_path / "logs"
    real.mkdir()
    link, scene.path = scene.path, real / "ids.log"
    link.symlink_to(scene.path)
    scene.follower = Follower(scene.queue, str(link), followed={str(link), str(tmp_path / "other.log")})
    scene.write("a1")
    await scene.poll()
    if restarted:
        scene.follower.close()
        scene.follower = Follower(scene.queue, str(link))
    scene.write("a2")
    for number in range(3):
        scene.rotate()
        scene.write(f"b{number}")
    await scene.poll()
    assert (scene.queue.ids, scene.report.notes) == (scene.written, [])


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("name", ["ids-2026010{}.log", "ids.log.2026-01-0{}", "ids.2026-01-0{}.log"])
async def test_a_link_that_leads_to_another_file_each_day(
    scene: Scene, tmp_path: Path, name: str, restarted: bool
) -> None:
    (tmp_path / "logs").mkdir()
    link = scene.path

    def point(day: int) -> None:
        link.unlink(missing_ok=True)
        scene.path = tmp_path / "logs" / name.format(day)
        link.symlink_to(scene.path)

    point(1)
    scene.follower = Follower(scene.queue, str(link))
    scene.write("a1")
    await scene.poll()
    if restarted:
        scene.follower.close()
        scene.follower = Follower(scene.queue, str(link))
    scene.write("a2")
    for day in (2, 3, 4):
        point(day)
        scene.write(f"b{day}")
    await scene.poll()
    assert (scene.queue.ids, scene.report.notes) == (scene.written, [])


@pytest.mark.parametrize("name", ["ids-2.log", "ids-prod.log", "other.log.1", "idsx.log.1"])
async def test_the_files_of_others_are_left_alone(scene: Scene, name: str) -> None:
    scene.write("a1")
    await scene.poll()
    scene.write("alien", path=scene.path.with_name(name))
    scene.rotate()
    scene.write("b1")
    await scene.poll()
    assert (scene.queue.ids, scene.report.notes) == (["a1", "b1"], [])


async def test_a_generation_that_is_followed_itself_is_not_read_twice(scene: Scene) -> None:
    scene.follower = Follower(scene.queue, str(scene.path), followed={f"{scene.path}.1"})
    scene.write("a1")
    await scene.poll()
    scene.path.rename(scene.path.with_name("ids.log.2"))
    scene.write("b1", path=scene.path.with_name("ids.log.1"))
    scene.write("c1")
    await scene.poll()
    assert scene.queue.ids == ["a1", "c1"]


async def test_a_generation_that_is_gone_is_told_of(scene: Scene) -> None:
    scene.write("a1")
    await scene.poll()
    for one in ("b1", "c1"):
        scene.rotate()
        scene.write(one)
    scene.path.with_name("ids.log.1").unlink()
    await scene.poll()
    await scene.poll()
    assert scene.queue.ids == ["a1", "c1"]
    assert ["ids.log.1, a rotated file of" in note and "not seen" in note for note in scene.report.notes] == [True]


async def test_a_compressed_generation_that_was_not_read_is_told_of(scene: Scene) -> None:
    scene.write("a1")
    await scene.poll()
    scene.restart()
    scene.rotate()
    scene.write("b1")
    scene.rotate()
    _compress(scene.path.with_name("ids.log.1"))
    scene.write("c1")
    await scene.poll()
    assert scene.queue.ids == ["a1", "c1"]
    assert ["ids.log.1.gz" in note and "not seen" in note for note in scene.report.notes] == [True]


async def test_a_generation_that_was_read_before_it_was_compressed_is_not_told_of(scene: Scene) -> None:
    scene.write("a1")
    await scene.poll()
    scene.rotate()
    _compress(scene.path.with_name("ids.log.1"))
    scene.write("b1")
    await scene.poll()
    assert (scene.queue.ids, scene.report.notes) == (["a1", "b1"], [])


def _compress(path: Path) -> None:
    """As gzip does: the time of the last change stays."""
    status, packed = path.stat(), path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()


async def test_a_rotation_into_another_directory_is_told_of_once(scene: Scene) -> None:
    (scene.path.parent / "old").mkdir()
    scene.write("a1")
    for number in range(3):
        await scene.poll()
        scene.write(f"b{number}")
        scene.path.rename(scene.path.parent / "old" / f"ids.log.{number}")
        scene.write(f"c{number}")
    await scene.poll()
    assert sorted(scene.queue.ids) == sorted(scene.written)
    assert ["another directory" in note for note in scene.report.notes] == [True]


@pytest.mark.parametrize("stand_in", ["/dev/zero", "/dev/null", "/dev/tty"])
async def test_a_device_is_never_opened(scene: Scene, stand_in: str) -> None:
    scene.path.symlink_to(stand_in)
    with pytest.raises(UsageError, match="it is a device, not a regular file"):
        await scene.poll()

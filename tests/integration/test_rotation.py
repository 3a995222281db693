"""Followed files among programs that rotate and rewrite them, logrotate itself included; no line is lost in silence."""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reaper.core.errors import UsageError
from reaper.intake.follower import Follower
from reaper.queues.values import Added, Position
from tests.support.intake import RecordingQueue, RecordingReport
from tests.support.programs import need

pytestmark = pytest.mark.anyio


class Scene:
    """A followed file, its writer, and a follower that can be restarted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queue = RecordingQueue()
        self.report = RecordingReport()
        self.follower = Follower(self.queue, str(path))
        self.written: list[str] = []
        self._clock = itertools.count(1_700_000_000)

    def write(self, *ids: str, path: Path | None = None, restamp: bool = True) -> None:
        """Append IDs; each writing at a later second, so that no test depends on how fine the disk's clock is."""
        with (path or self.path).open("a") as file:
            file.writelines(f"{one}\n" for one in ids)
        self.written += ids
        if restamp:
            os.utime(path or self.path, (next(self._clock),) * 2)

    def held(self) -> set[str]:
        return set(self.path.read_text().split())

    def rotate(self) -> None:
        for number in range(8, 0, -1):
            old = self.path.with_name(f"{self.path.name}.{number}")
            if old.exists():
                old.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))

    async def poll(self) -> Added | None:
        return await self.follower.poll(self.report)

    def restart(self) -> None:
        self.follower.close()
        self.follower = Follower(self.queue, str(self.path))


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


@pytest.mark.parametrize("stand_in", ["/dev/zero", "/dev/null", "/dev/tty"])
async def test_a_device_is_never_opened(scene: Scene, stand_in: str) -> None:
    scene.path.symlink_to(stand_in)
    with pytest.raises(UsageError, match="it is a device, not a regular file"):
        await scene.poll()


# --- real programs --------------------------------------------------------------------------------------------------

REWRITES = {
    "shell": "cat {new} > {path}",
    "sed": "sed -i 's/^old_/new_/' {path}; cat {more} >> {path}",
    "mv": "cp {new} {path}.tmp && mv {path}.tmp {path}",
    "cp": "cp {new} {path}",
    "tee": "tee {path} < {new} > /dev/null",
    "dd": "dd if={new} of={path} conv=notrunc status=none",
    "sort": "sort -u -o {path} {path} {new}",
    "install": "install -m 600 {new} {path}",
    "ed": "printf '0a\\n%s\\n.\\nw\\nq\\n' new_first | ed -s {path}",
}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("writer", REWRITES)
async def test_a_writer_that_writes_anew_loses_nothing(
    scene: Scene, tmp_path: Path, writer: str, restarted: bool
) -> None:
    if writer == "ed" and shutil.which("ed") is None:
        pytest.skip("no ed")
    await _write_anew(scene, tmp_path, REWRITES[writer], restarted)


async def _write_anew(scene: Scene, tmp_path: Path, command: str, restarted: bool) -> None:
    scene.path.write_text("".join(f"old_{number:04}\n" for number in range(0, 400, 3)))
    new, more = tmp_path / "new", tmp_path / "more"
    new.write_text("".join(f"new_{number:04}\n" for number in range(500)))
    more.write_text("more_1\nmore_2\n")
    await scene.poll()
    if restarted:
        scene.restart()
    shell = command.format(path=scene.path, new=new, more=more)
    subprocess.run(shell, shell=True, check=True)  # noqa: ASYNC221
    for _ in range(3):
        await scene.poll()
    held = set(scene.path.read_text().split())
    assert held - set(scene.queue.ids) == set()
    assert {one for one in scene.queue.ids if not one[4:].isdecimal() and one not in held} == set(), "a piece of an ID"


LOGROTATE = {
    "create": "create 0600",
    "nocreate": "nocreate",
    "dateext": "create 0600\n dateext\n dateformat -%Y%m%d-%s",
    "extension": "create 0600\n dateext\n dateformat -%Y%m%d-%s\n extension .log",
    "compress": "create 0600\n compress",
    "delaycompress": "create 0600\n compress\n delaycompress",
    "copytruncate": "copytruncate",
    "copy": "copy",
}
TOLD = {"compress", "delaycompress", "copytruncate"}
"""The forms under which lines can be out of reach: then that is said."""


def configure(scene: Scene, form: str) -> tuple[Path, Path]:
    """Write a configuration of logrotate that runs as this user; return its path and that of its state."""
    directory = scene.path.with_name("conf")
    directory.mkdir()
    config = directory / "rotate"
    config.write_text(f"{scene.path} {{\n rotate 20\n {form}\n}}\n")
    config.chmod(0o600)
    scene.path.parent.chmod(0o700)
    return config, directory / "state"


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("rotations", [1, 3])
@pytest.mark.parametrize("form", LOGROTATE)
async def test_logrotate(scene: Scene, tmp_path: Path, form: str, rotations: int, restarted: bool) -> None:
    logrotate = need("logrotate")
    config, state = configure(scene, LOGROTATE[form])
    scene.write("a1", "a2", restamp=False)
    await scene.poll()
    if restarted:
        scene.restart()
    scene.write("a3", restamp=False)
    for number in range(rotations):
        if form in ("dateext", "extension"):  # one name a second
            subprocess.run(["sleep", "1.1"], check=True)  # noqa: ASYNC221
        subprocess.run([logrotate, "-f", "-s", state, config], check=True)  # noqa: ASYNC221
        scene.write(f"b{number}", f"c{number}", restamp=False)
    await scene.poll()
    missing = [one for one in scene.written if one not in scene.queue.ids]
    told = [note for note in scene.report.notes if "not seen" in note]
    if form not in TOLD:
        assert missing == []
    assert told or not missing, scene.report.notes
    if rotations == 1 and form != "copytruncate" and not (form == "compress" and restarted):
        assert (missing, told) == ([], [])

"""The entries of `intake.files`: `~`, patterns, files that are not there."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reaper.intake import line_grammar, line_reader
from reaper.intake.followed_paths import FollowedPaths, describe_entry
from reaper.intake.poller import Intake
from reaper.queues.values import Added
from tests.support.intake import RecordingQueue, RecordingReport

pytestmark = pytest.mark.anyio


class Scene:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.queue, self.report = RecordingQueue(), RecordingReport()
        self.followed: set[str] = set()
        self.sources: list[FollowedPaths] = []

    def follow(self, entry: str) -> FollowedPaths:
        self.sources.append(FollowedPaths(self.queue, entry, 0.0, self.followed))
        return self.sources[-1]

    def write(self, name: str | bytes, *ids: str) -> Path:
        path = self.directory / os.fsdecode(name)
        with path.open("a") as file:
            file.writelines(f"{one}\n" for one in ids)
        return path


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    for source in made.sources:
        source.close()


async def test_a_pattern_is_looked_up_anew_each_time(scene: Scene) -> None:
    source = scene.follow(f"{scene.directory}/*.ids")
    assert await source.poll(scene.report) is None
    assert source.is_missing
    scene.write("a.ids", "a1")
    assert await source.poll(scene.report) == Added(1, 0, 0)
    scene.write(b"b\xff\n.ids", "b1")
    scene.write("a.ids", "a2")
    scene.write(".hidden.ids", "h1")
    scene.write("c.other", "c1")
    assert await source.poll(scene.report) == Added(2, 0, 0)
    assert not source.is_missing
    assert scene.queue.ids == ["a1", "a2", "b1"]
    assert all(source.isprintable() for _, source, _ in scene.report.added)
    assert ["matches no files" in note for note in scene.report.notes] == [True]


async def test_compressed_matches_are_passed_over_and_told_of_once(scene: Scene) -> None:
    for suffix in ("gz", "bz2", "zst", "xz"):
        (scene.directory / f"a.ids.{suffix}").write_bytes(gzip.compress(b"a9\n"))
    scene.write("a.ids", "a1")
    source = scene.follow(f"{scene.directory}/a.ids*")
    for _ in range(3):
        await source.poll(scene.report)
    assert scene.queue.ids == ["a1"]
    assert [note.split(" is compressed")[0][-3:] for note in scene.report.notes] == ["bz2", ".gz", ".xz", "zst"]
    assert scene.report.notes[1].endswith(f"passed over: `zcat {scene.directory}/a.ids.gz | reaper add --from -`")


async def test_home_is_looked_up_anew_each_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(scene.directory / "home"))
    source = scene.follow("~/ids.txt")
    for _ in range(2):
        await source.poll(scene.report)
    there = f"{scene.directory}/home/ids.txt"
    assert scene.report.notes == [f"~/ids.txt ({there}) does not exist; it is read when it appears"]
    (scene.directory / "home").mkdir()
    scene.write("home/ids.txt", "a1")
    assert await source.poll(scene.report) == Added(1, 0, 0)


async def test_a_name_with_signs_of_a_pattern_is_a_name_where_such_a_file_exists(scene: Scene) -> None:
    scene.write("a[1].txt", "a1")
    scene.write("a1.txt", "alien")
    await scene.follow(f"{scene.directory}/a[1].txt").poll(scene.report)
    assert scene.queue.ids == ["a1"]


async def test_one_match_that_cannot_be_followed_stops_no_other(scene: Scene) -> None:
    (scene.directory / "a.ids").mkdir()
    os.mkfifo(scene.directory / "b.ids")
    (scene.directory / "c.ids").symlink_to("/dev/zero")
    scene.write("d.ids", "d1")
    source = scene.follow(f"{scene.directory}/*.ids")
    for _ in range(3):
        await source.poll(scene.report)
    assert scene.queue.ids == ["d1"]
    assert [sentence.split("it is a ")[1].split(",")[0] for sentence in scene.report.failures] == [
        "directory",
        "FIFO",
        "device",
    ]


async def test_a_pattern_that_matches_the_rotated_files_too_loses_nothing(scene: Scene) -> None:
    source = scene.follow(f"{scene.directory}/ids.log*")
    for number in range(4):
        scene.write("ids.log", f"a{number}")
        await source.poll(scene.report)
        scene.write("ids.log", f"b{number}")
        for old in (2, 1):
            if (path := scene.directory / f"ids.log.{old}").exists():
                path.rename(scene.directory / f"ids.log.{old + 1}")
        (scene.directory / "ids.log").rename(scene.directory / "ids.log.1")
    await source.poll(scene.report)
    assert sorted(scene.queue.ids) == sorted(f"{kind}{number}" for kind in "ab" for number in range(4))


async def test_what_is_missing_is_counted_each_round(scene: Scene) -> None:
    scene.write("here", "a1")
    for entry in ("here", "gone", "*.none"):
        scene.follow(f"{scene.directory}/{entry}")
    await Intake(scene.sources, 1.0, scene.report).poll()
    assert (scene.report.missing, scene.report.spool) == (2, None)


def test_an_entry_is_described(tmp_path: Path) -> None:
    (tmp_path / "a.ids").touch()
    assert describe_entry(f"{tmp_path}/a.ids") == (True, f"{tmp_path}/a.ids is there")
    assert describe_entry(f"{tmp_path}/*.ids") == (True, f"{tmp_path}/*.ids matches 1 file now")
    assert describe_entry(f"{tmp_path}/*.no") == (False, f"{tmp_path}/*.no matches no files now")
    assert describe_entry(str(tmp_path)) == (False, f"{tmp_path} is a directory; only regular files can be followed")
    assert describe_entry("/dev/zero/x")[1] == "/dev/zero/x cannot be read: Not a directory"


async def test_a_line_that_breaks_the_parser_stops_no_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_on(line: bytes, number: int, first: int) -> object:
        if line == b"odd":
            raise ZeroDivisionError("nobody foresaw this")
        return line_grammar.parse(line, number, first)

    monkeypatch.setattr(line_reader, "parse", break_on)
    scene.write("a.ids", "a1", "odd", "a2")
    assert await scene.follow(f"{scene.directory}/a.ids").poll(scene.report) == Added(2, 0, 1)
    assert scene.queue.ids == ["a1", "a2"]
    assert "nobody foresaw this" in scene.report.wrong[0][2]

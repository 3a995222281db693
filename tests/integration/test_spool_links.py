"""Directories of the spool that are links, are swapped for links, or were made anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reaper.core.errors import ConfigError, UsageError
from reaper.intake.spool import QUIET_S, RETRY_S, Spool
from reaper.queues.values import Added
from tests.support.intake import RecordingQueue
from tests.support.spool import Scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "spool")
    made.spool.prepare()
    yield made
    made.spool.close()


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

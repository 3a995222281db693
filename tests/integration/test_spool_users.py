"""The spool among users who may not be trusted, or share it by their group."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reaper.core.errors import ConfigError, UsageError
from reaper.intake.spool import QUIET_S, Spool
from reaper.queues.values import Added
from tests.support.intake import RecordingQueue, RecordingReport
from tests.support.spool import Scene

pytestmark = pytest.mark.anyio

REAPER, PRODUCER, STRANGER, GROUP = 20001, 20002, 20003, 20010
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as several users: needs root")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "spool")
    made.spool.prepare()
    yield made
    made.spool.close()


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

"""Followed files under real programs: editors and shells that write anew, and logrotate."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.followed import Scene
from tests.support.programs import need

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "ids.log")
    yield made
    made.follower.close()


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

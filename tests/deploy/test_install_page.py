"""docs/install.md in page order, as a reader does who follows it before the first release."""

from __future__ import annotations

import os
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

import reaper
from tests.support.deploy.release import build_release, environment, run
from tests.support.docs.blocks import blocks
from tests.support.docs.reader import Reader
from tests.support.programs import need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = "docs/install.md"
VERSION = f"reaper {reaper.__version__}\n"
ONE_EXTRA = (
    "{0}/bin/reaper --version && {0}/bin/python -c 'import redis' && ! {0}/bin/python -c 'import psycopg' 2> /dev/null"
)
AFTER = {
    "uvx": "true",
    "pipx install": "~/.local/bin/reaper --version && man -M ~/.local/share/man -w reaper && "
    "pipx uninstall archal-reaper",
    "uv tool": "~/.local/bin/reaper --version",
    "venv/bin/pip": "venv/bin/reaper --version && venv/bin/python -c 'import apprise, psycopg, redis, uvloop' && "
    "PATH=$PWD/venv/bin:$PATH man -w reaper && man -M venv/share/man -w reaper",
    "small/bin/pip": ONE_EXTRA.format("small"),
    "uv venv": ONE_EXTRA.format("other"),
}
"""Commands, and what must work after each."""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader in a home of their own, with uv, pipx and a release; the cache of uv is this machine's."""
    venv.create(tmp_path / "tools", with_pip=True)
    run(tmp_path / "tools" / "bin" / "python", "-m", "pip", "install", "--quiet", "pipx", cwd=tmp_path)
    for tool in ("uv", "uvx"):
        (tmp_path / "tools" / "bin" / tool).symlink_to(need(tool))
    need("man")
    (tmp_path / "dist").mkdir()
    build_release(tmp_path / "dist")
    outer = environment(tmp_path)
    cache = run(need("uv"), "cache", "dir", cwd=tmp_path).strip()
    path = f"{tmp_path}/tools/bin:{Path(sys.executable).resolve().parent}:{os.environ['PATH']}"
    own = {"HOME": str(tmp_path), "PATH": path, "UV_CACHE_DIR": cache, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with Reader(tmp_path, {**outer, **own}) as one:
        yield one


def test_every_way_to_install_works_as_the_page_says(reader: Reader) -> None:
    checked = set()
    for step in (step for block in blocks(PAGE) for step in block.steps):
        command = step.command.replace("make constraints &&", "")
        done = reader.paste(command)
        assert done.code == 0, f"{command}\n{done.said}"
        for begin in (begin for begin in AFTER if command.startswith(begin)):
            checked.add(begin)
            after = reader.paste(AFTER[begin])
            assert after.code == 0, f"{command}\n{after.said}"
            assert VERSION in after.said or "accepted" in done.said
    assert checked == AFTER.keys()

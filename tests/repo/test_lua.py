"""The Lua scripts, as the engine gets them: luacheck finds nothing to say about them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reaper.queues.redis import scripts
from tests.support.programs import need

NAMES = sorted(path.stem for path in Path(scripts.__file__).parent.glob("*.lua") if not path.stem.startswith("common"))


@pytest.mark.parametrize("name", NAMES)
def test_luacheck_passes(name: str) -> None:
    done = subprocess.run(
        [need("luacheck"), "--std", "lua51", "--globals", "redis", "KEYS", "ARGV", "--no-color", "-"],
        input=scripts.load(name).text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

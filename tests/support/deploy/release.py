"""A release as `make constraints` builds it: wheel, source archive and constraints file, in a folder."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import reaper
from tests.support.programs import need
from tools.constraints import constraints

ROOT = Path(__file__).parents[3]
NAME = f"archal_reaper-{reaper.__version__}"
EXPORT = ["export", "--quiet", "--frozen", "--no-dev", "--all-extras", "--no-emit-project"]
EXPORT += ["--no-header", "--no-annotate"]
"""The words by which `make constraints` has uv write the pins; a test compares them with the Makefile."""


def environment(home: Path) -> dict[str, str]:
    """Return this process's environment, from which the index can be reached, without a word about reaper."""
    kept = {name: value for name, value in os.environ.items() if not re.match("REAPER_|ARCHAL_|PYTHON|VIRTUAL_", name)}
    return {**kept, "UV_SYSTEM_CERTS": "1", "XDG_STATE_HOME": str(home / "state")}


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must end with 0, and return what it printed to stdout."""
    done = subprocess.run(command, cwd=cwd, env=environment(cwd), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def build_release(folder: Path) -> Path:
    """Build into an existing folder, and return it. Skips the test without uv."""
    uv = need("uv")
    run(uv, "build", "--quiet", "--out-dir", folder, ROOT, cwd=folder)
    (folder / "constraints.txt").write_text(constraints(run(uv, *EXPORT, cwd=ROOT), folder))
    return folder

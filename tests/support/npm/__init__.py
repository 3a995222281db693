"""Programs from npm that tests run: package.json names them, package-lock.json pins them and their dependencies."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.programs import missing, need

PINNED = Path(__file__).parent
INSTALLED = Path(sys.prefix) / "npm"


def npm_program(name: str) -> list[str]:
    """Return the command that runs a program of package.json; the first call installs what is pinned beside Python.

    Skips the test where Node.js, npm or the registry is missing, and fails it where TEST_REQUIRE_TOOLS names npm.
    """
    node, npm = need("node"), need("npm")
    pinned, installed = PINNED / "package-lock.json", INSTALLED / "package-lock.json"
    with INSTALLED.with_name("npm.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # of several test processes one installs
        if not installed.exists() or installed.read_bytes() != pinned.read_bytes():
            _install(node, npm)
    return [node, str((INSTALLED / "node_modules" / ".bin" / name).resolve(strict=True))]


def _install(node: str, npm: str) -> None:
    """Install into a folder beside, and move it into place when it is whole. No package runs a script."""
    fresh = INSTALLED.with_name("npm.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(PINNED / name, fresh / name)
    path = os.pathsep.join((str(Path(node).parent), os.environ.get("PATH", "")))
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        command, cwd=fresh, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        shutil.rmtree(fresh)
        missing("npm", f"could not install what {PINNED / 'package-lock.json'} pins: {done.stderr[-1000:]}")
    shutil.rmtree(INSTALLED, ignore_errors=True)
    fresh.rename(INSTALLED)

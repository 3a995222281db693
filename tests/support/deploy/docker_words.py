"""What a line of docs/container.md asks of `docker`: noted by a program of that name, and read as Docker reads it."""

from __future__ import annotations

import argparse
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

NOTES = """#!/usr/bin/env bash
place=$(mktemp -d "$NOTED/XXXXXX")
printf '%s\\0' "$@" > "$place/words"
if [ -p /dev/stdin ] || [ -f /dev/stdin ]; then cat > "$place/typed"; else : > "$place/typed"; fi
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of `docker`. `words`: the command in the container, without the options of Docker."""

    verb: str
    words: tuple[str, ...]
    typed: str
    environ: dict[str, str]
    detached: bool = False
    volumes: tuple[str, ...] = ()


def asked(line: str, folder: Path) -> list[Asked]:
    """Run a line of the page in a directory, and return its calls of `docker` in their order."""
    noted, programs = folder / "noted", folder / "programs"
    noted.mkdir(exist_ok=True)
    programs.mkdir(exist_ok=True)
    (programs / "docker").write_text(NOTES)
    (programs / "docker").chmod(0o755)
    before = set(noted.iterdir())
    environ = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "NOTED": str(noted)}
    subprocess.run(["bash", "-euc", line], cwd=folder, env=environ, stdin=subprocess.DEVNULL, check=True)
    calls = sorted(set(noted.iterdir()) - before, key=lambda one: one.stat().st_mtime_ns)
    return [_read((one / "words").read_text().split("\0")[:-1], (one / "typed").read_text()) for one in calls]


def _read(words: list[str], typed: str) -> Asked:
    verb, *rest = words
    if verb not in ("run", "exec"):
        return Asked(verb, tuple(rest), typed, {})
    parser = argparse.ArgumentParser(prog=f"docker {verb}", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-i", action="store_true")
    if verb == "run":
        for flag in ("-d", "--rm", "--read-only", "--no-healthcheck"):
            parser.add_argument(flag, action="store_true")
        for option in ("--name", "--restart", "--stop-timeout", "--cap-drop", "--security-opt", "--tmpfs", "--network"):
            parser.add_argument(option)
        parser.add_argument("-v", action="append", default=[])
        parser.add_argument("-e", action="append", default=[])
    parser.add_argument("target")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    found = parser.parse_args(rest)
    given = vars(found)
    assert found.i or not typed, "without -i the command reads nothing"
    assert found.target == ("archal-reaper" if verb == "run" else "reaper")
    return Asked(
        verb,
        tuple(found.words),
        typed,
        dict(pair.split("=", 1) for pair in given.get("e", [])),
        given.get("d", False),
        tuple(given.get("v", [])),
    )

"""The walk-through of docs/discovery.md, run line by line: what it shows is what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from reaper.sandbox.sessions import generate
from tests.support.processes.command import Command
from tests.support.sandbox import running_sandbox

GUIDE = Path(__file__).parents[2] / "docs" / "discovery.md"


def walk() -> list[tuple[str, list[str]]]:
    """Return each command of the walk-through with the lines that follow it."""
    (part,) = re.findall(r"<!-- walk:[^\n]*-->\n(.*?)<!-- /walk -->", GUIDE.read_text(), flags=re.S)
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", part, flags=re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def bare(line: str) -> str:
    """Leave out what differs from run to run: ages, instants, hold IDs, users, paths, column widths."""
    line = re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "AT", line)
    line = re.sub(r"\b\d+ [dhms](?: \d+ [hms])?\b", "AGE", line)
    line = re.sub(r"\bin \d+\.\d s\b", "in AGE", line)
    line = re.sub(r"^[0-9a-f]{6} ", "HOLD ", line)
    line = re.sub(r"approved by \w+", "approved by WHO", line)
    line = re.sub(r"/\S+/reaper\.db", "LEDGER", line)
    return re.sub(r" +", " ", line).strip()


def test_the_walk_through_shows_what_is_printed(command: Command) -> None:
    hold = ""
    with running_sandbox(list(generate(12, 0))) as sandbox:
        command.env |= {"REAPER_API__BASE_URL": sandbox.url, "REAPER_TELEMETRY__LOG_LEVEL": "error"}
        for line, shown in walk():
            words = shlex.split(line)
            if words[0] == "export":
                command.env |= dict(word.split("=", 1) for word in words[1:])
                continue
            assert words[0] == "reaper"
            if "approve" in words:
                words[words.index("approve") + 1] = hold
            done = command.run(*words[1:])
            # Logs go beside: on a terminal they are for people, here they are left out.
            said = [one for one in (done.stderr + done.stdout).splitlines() if not one.startswith("{")]
            assert sorted(map(bare, said)) == sorted(map(bare, shown)), line
            if words[1] == "holds":
                hold = done.stdout.split()[0]
        assert len(sandbox.do(lambda s: dict(s.sends))) == 7
    command.audit()

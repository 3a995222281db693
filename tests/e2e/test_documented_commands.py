"""What README.md and docs/ show, pasted as it stands there, page by page, in the order of the page.

Each page has a home, a stand-in API and a shell of its own. `READINGS` says how each is read; a command is to end with
0, or with the code that its page announces. What root does on a machine is in deploy/test_pages_on_a_machine.py, and
what cannot run in either is in `ELSEWHERE`, with the reason; docs/commands-run.md lists all of it.
"""

from __future__ import annotations

import os
import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from reaper.sandbox.sessions import Session
from reaper.settings.load import load
from tests.support.docs.blocks import PAGES, ROOT, Block, Step, blocks
from tests.support.docs.elsewhere import ELSEWHERE, Elsewhere, entries
from tests.support.docs.fates import IN_ORDER, SHOWN, Fate, fate
from tests.support.docs.reader import Reader
from tests.support.docs.readings import HOLDS, IDS, LANGUAGES, READINGS, World
from tests.support.eventually import eventually
from tests.support.processes.command import TOKEN
from tests.support.processes.daemon import free_port
from tests.support.processes.quick import INSTALLED, quick_reaper
from tests.support.sandbox import running_sandbox, stopped


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with quick_reaper(tmp_path_factory.mktemp("quick")) as programs:
        yield programs


@pytest.fixture
def world(request: pytest.FixtureRequest, programs: Path, tmp_path: Path) -> Iterator[World]:
    page, reading = request.param, READINGS[request.param]
    now = time.time()
    names = [*IDS, "env_12345", "env_67890", "env_24680", "ses_1", "ses_2", "ses_3", "ses_4711"]
    live = [Session(name, created_at=now - 60, expires_at=now + 3600) for name in names]
    expired = [Session(f"old_{number}", created_at=now - 9999, expires_at=now - 3600) for number in (1, 2)]
    with running_sandbox([*live, *expired]) as sandbox:
        environ = {
            "PATH": f"{programs}:{INSTALLED.parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path / ".config"),  # root's settings would be the machine's
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "REAPER_API__BASE_URL": sandbox.url,
            "REAPER_TELEMETRY__LISTEN": f"127.0.0.1:{free_port()}",
            **reading.environ,
        }
        if not any("ARCHAL_TOKEN=" in block.text for block in blocks(page)):
            environ["ARCHAL_TOKEN"] = TOKEN
        world = World(
            page,
            tmp_path,
            sandbox,
            environ,
            dict(reading.fills),
            {begin: [*codes] for begin, codes in reading.exits.items()},
        )
        (tmp_path / "ids.txt").write_text("".join(f"{one}\n" for one in IDS))
        (tmp_path / "my_project.py").write_text(
            "import subprocess\n\n\ndef create_session():\n"
            "    return subprocess.check_output('./create-session', text=True).strip()\n"
        )
        (tmp_path / "Makefile").write_text("all test:\n\t@echo made\n")
        world.script("create-session", "mkdir -p made && touch made/$$ && echo env_$(ls made | wc -l)")
        world.script("run-tests", "echo tested")
        yield world


def fate_here(page: str) -> Fate:
    return Fate("a user with a home of their own", f"{IN_ORDER}[{page}]")


def steps(page: str) -> Iterator[tuple[Block, Step]]:
    """Yield what is to run here, once each: the page of commands shows some twice."""
    seen = set()
    for block in blocks(page):
        for step in block.steps:
            mine = fate(block, step) == fate_here(page)
            if mine and (page != "docs/commands.md" or step not in seen):
                seen.add(step)
                yield block, step


@pytest.mark.untraced  # some hundred commands, each of which has its own test
@pytest.mark.parametrize("world", READINGS, indirect=True, ids=lambda page: page)
def test_a_page_runs_as_it_stands(world: World) -> None:
    reading = READINGS[world.page]
    with reading.engine(world), Reader(world.home, world.environ) as reader:
        for command in reading.before:
            assert reader.paste(command).code == 0, command
        for block, step in steps(world.page):
            where = f"{block.page}:{block.line}: {step.command}"
            RUN[block.language](world, reader, block, step, where)
        assert (set(reading.fills), any(world.exits.values())) == (world.used & set(reading.fills), False)
        eventually(lambda: reading.stopped <= set(world.sandbox.do(stopped)), what="all are stopped")
        for done in reader.end():
            assert done.code == 0, done.said
        if (world.home / ".local/state/reaper/reaper.db").exists():
            assert reader.paste("reaper audit").code == 0


def in_a_shell(world: World, reader: Reader, block: Block, step: Step, where: str) -> None:
    bare_command = step.command.partition("  #")[0].rstrip()
    announced = world.exits.get(bare_command) or [0]
    if command := READINGS[world.page].between.get(bare_command):
        before = reader.paste(command)
        assert before.code == 0, f"{command}\n{before.said}"
    done = reader.paste(world.filled(step.command))
    assert done.code == announced.pop(0), f"{where}\n{done.said}"
    if bare_command == "reaper holds" and (real := re.match(r"[0-9a-f]{6}\b", done.said)):
        world.fills |= dict.fromkeys(HOLDS, real[0])
    if step.shown:
        assert sorted(map(bare, done.said.splitlines())) == sorted(map(bare, step.shown)), where


def bare(line: str) -> str:
    """Leave out what differs from run to run: ages, instants, hold IDs, users, paths, column widths."""
    line = re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "AT", line)
    line = re.sub(r"\b\d+ [dhms](?: \d+ [hms])?\b", "AGE", line)
    line = re.sub(r"\bin \d+\.\d s\b", "in AGE", line)
    line = re.sub(r"^[0-9a-f]{6} |(?<=(?:holds|prove|scard) )[0-9a-f]{6}\b", "HOLD ", line)
    line = re.sub(r"approved by \w+", "approved by WHO", line)
    line = re.sub(r"/\S+/reaper\.db", "LEDGER", line)
    return re.sub(r" +", " ", line).strip()


def in_python(world: World, reader: Reader, block: Block, step: Step, where: str) -> None:
    """Run a conftest.py under pytest, and each other block as a program of its own, more than once."""
    if fixture := re.search(r"^@pytest\.fixture.*\ndef (\w+)\(", step.command, flags=re.MULTILINE):
        (world.home / "conftest.py").write_text(step.command)
        (world.home / "test_it.py").write_text(f"def test_it({fixture[1]}):\n    assert {fixture[1]} in {IDS}\n")
        done = reader.paste(
            f"PYTHONPATH=. {sys.executable} -m pytest -q -p no:cacheprovider -p no:xdist -p no:hypothesispytest"
        )
    else:
        (world.home / "script.py").write_text(step.command)
        done = reader.paste(f"{sys.executable} -W error script.py && {sys.executable} -W error script.py")
    assert done.code == 0, f"{where}\n{done.said}"
    print(done.said)


def as_settings(world: World, reader: Reader, block: Block, step: Step, where: str) -> None:
    path = world.home / "some.toml"
    path.write_text(step.command)
    path.chmod(0o600)
    result = load(path, {}, {"HOME": str(world.home)})
    assert result.warnings == (), where
    for section, table in tomllib.loads(step.command).items():
        for name in table:
            assert "some.toml" in result.origins[f"{section}.{name}"], where


def as_statements(world: World, reader: Reader, block: Block, step: Step, where: str) -> None:
    for statement in re.split(r";\n|(?<!;)\n(?=ACL )", step.command):
        if statement.strip():
            world.typed[block.language](block.name, statement.strip())


def as_workflow(world: World, reader: Reader, block: Block, step: Step, where: str) -> None:
    for job in yaml.safe_load(step.command)["jobs"].values():
        for one in job["steps"]:
            variables = " ".join(f"{name}={value}" for name, value in job["env"].items())
            (world.home / "step").write_text(one["run"])
            done = reader.paste(f"{variables} bash -e step")
            assert done.code == 0, f"{where}\n{done.said}"


RUN: dict[str, Callable[[World, Reader, Block, Step, str], None]] = {
    "console": in_a_shell,
    "sh": in_a_shell,
    "python": in_python,
    "toml": as_settings,
    "sql": as_statements,
    "redis": as_statements,
    "yaml": as_workflow,
}


# --- what is not run -------------------------------------------------------------------------------------------------


def test_every_block_is_run_or_listed() -> None:
    left = [
        f"{page}:{block.line}: {step.command}"
        for page in PAGES
        for block in blocks(page)
        if block.language not in SHOWN
        for step in block.steps
        if fate(block, step) is None
    ]
    assert set(RUN) == LANGUAGES
    assert left == [], "neither run (readings.py, tours.py) nor listed (elsewhere.py)"
    assert [page for page in READINGS if not list(steps(page))] == []


@pytest.mark.parametrize("entry", ELSEWHERE, ids=lambda entry: f"{entry.page}: {entry.begin}")
def test_what_is_listed_is_there_and_its_test_too(entry: Elsewhere) -> None:
    assert any(entry in entries(block, step) for block in blocks(entry.page) for step in block.steps)
    if entry.covered_by:
        file, _, test = entry.covered_by.partition("::")
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")

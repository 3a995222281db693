"""`reaper exec` as a process. docs/recipes.md says in a table what is stopped when: each of its rows happens here."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim
from tests.support.processes.daemon import daemon, watch
from tests.support.processes.shell import CTRL_C, CTRL_Z, PROMPT, Shell
from tests.support.sandbox import RunningSandbox, running_sandbox

RECIPES = Path(__file__).parents[2] / "docs" / "recipes.md"
REAPER = f"{sys.executable} -m reaper"
LIVES = "echo up; while :; do sleep 0.1; done"
"""Not one long `sleep`: dash loses a SIGINT that comes while it turns into its last command."""
COUNTS = "trap 'echo got >>got' INT TERM HUP; echo up; until [ -e finish ]; do sleep 0.05; done; exit 7"
"""A command that counts what reaches it."""


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let the processes of a test have SIGINT: a worker of pytest-xdist ignores it, and they would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def sandbox(command: Command) -> Iterator[RunningSandbox]:
    with running_sandbox(3) as one:
        aim(command, one)
        yield one


@pytest.fixture
def env_id(sandbox: RunningSandbox) -> str:
    return str(sandbox.do(lambda it: sorted(it.sessions.active))[0])


def is_live(sandbox: RunningSandbox, session_id: str) -> bool:
    return bool(sandbox.do(lambda it: session_id in it.sessions.active))


@dataclass(frozen=True, slots=True)
class Row:
    """One promise of the table."""

    happens: str
    code: int | None
    when: str


def rows() -> dict[str, Row]:
    (table,) = re.findall(r"<!-- table: exec -->\n.*?\n.*?\n(.*?)\n\n", RECIPES.read_text(), flags=re.S)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {one[0]: Row(one[0], int(one[2]) if one[2] else None, one[3]) for one in cells}


@contextmanager
def started(command: Command, session_id: str, script: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a shell script under exec, for the block; it begins when the script has said `up`."""
    process = command.start("exec", *options, session_id, "--", "sh", "-c", script, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def from_itself(script: str) -> Callable[[Command, str], int]:
    def run(command: Command, session_id: str) -> int:
        return command.run("exec", session_id, "--", "sh", "-c", script).returncode

    return run


def from_outside(number: signal.Signals) -> Callable[[Command, str], int]:
    def run(command: Command, session_id: str) -> int:
        with started(command, session_id, LIVES) as process:
            process.send_signal(number)
            process.communicate(timeout=60)
        return process.returncode

    return run


def ctrl_c(command: Command, session_id: str) -> int:
    with Shell(command.home, command.environ()) as shell:
        shell.type(f"{REAPER} exec {session_id} -- sh -c '{LIVES}'\n")
        shell.wait_for("\nup\n")
        shell.type(CTRL_C)
        shell.wait_for(PROMPT)
        return code_of(shell)


def code_of(shell: Shell) -> int:
    return int(shell.run("echo the code is $?").split("the code is ")[-1].split()[0])


def closed_terminal(command: Command, session_id: str) -> int:
    words = (sys.executable, "-m", "reaper", "exec", session_id, "--", "sh", "-c", LIVES)
    with Shell(command.home, command.environ(), *words) as remote:  # as `ssh -t host reaper exec …`
        remote.wait_for("up\n")
        remote.close()
    assert remote.code is not None
    return remote.code


HAPPENS = {
    "the command ends with 0": from_itself("exit 0"),
    "the command ends with 5": from_itself("exit 5"),
    "the command is killed (SIGKILL)": from_itself("kill -9 $$"),
    "Ctrl-C on a terminal": ctrl_c,
    "reaper gets SIGINT": from_outside(signal.SIGINT),
    "reaper gets SIGTERM": from_outside(signal.SIGTERM),
    "the terminal is closed": closed_terminal,
}
KILLED = "reaper is killed (SIGKILL)"


def test_the_table_has_these_rows() -> None:
    assert set(rows()) == {*HAPPENS, KILLED}


@pytest.mark.parametrize("what", HAPPENS)
def test_what_is_stopped_when(command: Command, sandbox: RunningSandbox, env_id: str, what: str) -> None:
    row = rows()[what]
    assert (HAPPENS[what](command, env_id), row.when) == (row.code, "at once")
    assert not is_live(sandbox, env_id)
    assert command.json("show", env_id)["outcome"] == "stopped"
    command.audit()


def test_a_killed_reaper_ends_its_command_and_leaves_the_session_to_one_that_runs(
    command: Command, sandbox: RunningSandbox, env_id: str
) -> None:
    assert rows()[KILLED].when.startswith("when their time to live is over")
    watch(command, sandbox)
    script = "trap 'echo ended >got; exit' TERM; echo up; while :; do sleep 0.05; done"
    with daemon(command), started(command, env_id, script, "--after", "3s") as process:
        time.sleep(2)
        process.kill()
        killed_at = time.monotonic()
        process.communicate(timeout=60)
        eventually((command.home / "got").exists, what="SIGTERM came from the kernel")
        eventually(lambda: not is_live(sandbox, env_id))
        assert time.monotonic() - killed_at > 0.5, "it was postponed meanwhile"
    command.audit()


def test_a_closed_terminal_with_a_shell_stops_the_session_too(
    command: Command, sandbox: RunningSandbox, env_id: str
) -> None:
    with Shell(command.home, command.environ()) as shell:
        shell.type(f"{REAPER} exec {env_id} -- sh -c 'echo $$ >pid; {LIVES}'\n")
        shell.wait_for("\nup\n")
    eventually(lambda: not is_live(sandbox, env_id))
    with pytest.raises(ProcessLookupError):
        os.killpg(int((command.home / "pid").read_text()), 0)


def test_ctrl_c_comes_once_and_the_command_may_go_on(command: Command, sandbox: RunningSandbox, env_id: str) -> None:
    with Shell(command.home, command.environ()) as shell:
        shell.type(f'{REAPER} exec {env_id} -- bash -c "{COUNTS}"\n')
        shell.wait_for("\nup\n")
        shell.type(CTRL_C)
        eventually((command.home / "got").exists)
        time.sleep(0.3)
        assert (command.home / "got").read_text() == "got\n"
        assert is_live(sandbox, env_id)
        (command.home / "finish").touch()
        assert "1 stopped" in shell.wait_for(PROMPT)
        assert code_of(shell) == 7


def test_ctrl_c_ends_the_loop_around_it_too(command: Command, sandbox: RunningSandbox) -> None:
    first, second, _ = sandbox.do(lambda it: sorted(it.sessions.active))
    with Shell(command.home, command.environ()) as shell:
        shell.type(f"for one in {first} {second}; do {REAPER} exec $one -- sh -c '{LIVES}'; done\n")
        shell.wait_for("\nup\n")
        shell.type(CTRL_C)
        assert "SIGINT" in shell.wait_for(PROMPT)
        assert code_of(shell) == 130
    assert not is_live(sandbox, first)
    assert is_live(sandbox, second)


def test_ctrl_z_stops_both_and_fg_gives_the_keys_back(command: Command, env_id: str) -> None:
    with Shell(command.home, command.environ()) as shell:
        shell.type(f"{REAPER} exec {env_id} -- sh -c 'echo up; read x; echo \"got $x\"; exit 4'\n")
        shell.wait_for("\nup\n")
        shell.type(CTRL_Z)
        assert "Stopped" in shell.wait_for(PROMPT)
        shell.run("bg")
        eventually(lambda: "Stopped" in shell.run("jobs"), what="it wants to read, in the background")
        shell.type("fg\n")
        shell.wait_for("exit 4")
        shell.type("hello\n")
        shell.wait_for("\ngot hello\n")
        assert "1 stopped" in shell.wait_for(PROMPT)
        assert code_of(shell) == 4


def test_in_a_pipeline_it_gets_the_terminal_when_it_reads(command: Command, env_id: str) -> None:
    with Shell(command.home, command.environ()) as shell:
        shell.type(f"{REAPER} exec {env_id} -- sh -c 'echo up; read x; echo \"got $x\"' | cat\n")
        shell.wait_for("\nup\n")
        shell.type("hello\n")
        shell.wait_for("\ngot hello\n")
        shell.wait_for(PROMPT)


def test_the_queue_may_be_away_in_the_middle(command: Command, sandbox: RunningSandbox, env_id: str) -> None:
    script = "echo up; until [ -e finish ]; do sleep 0.05; done"
    with started(command, env_id, script, "--after", "3s") as process:
        moved = command.ledger.parent.with_name("moved")
        command.ledger.parent.rename(moved)
        time.sleep(2.5)
        assert process.poll() is None
        moved.rename(command.ledger.parent)
        due_at = command.json("show", env_id)["due_at"]
        eventually(lambda: command.json("show", env_id)["due_at"] > due_at)
        (command.home / "finish").touch()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.count("queue.unavailable") == said.count("queue.recovered") == 1
    assert not is_live(sandbox, env_id)


def test_a_command_is_not_run_where_its_sessions_cannot_be_guarded(
    command: Command, sandbox: RunningSandbox, env_id: str
) -> None:
    assert command.run("exec", env_id, "--", "true").returncode == 0
    settled = command.run("exec", env_id, "--", "touch", "ran")
    assert settled.returncode == 3
    assert f"reaper add {env_id} --again" in settled.stderr
    nowhere = command.run("exec", "--queue", "redis://127.0.0.1:1", "env_1", "--", "touch", "ran")
    assert nowhere.returncode == 69, nowhere.stderr
    assert command.run("exec", "env_1", "--", "./nope").returncode == 127
    assert command.run("exec", "env_1", "touch", "ran").returncode == 2
    assert not (command.home / "ran").exists()
    assert command.run("show", "env_1").returncode == 3, "it was not left behind"
    command.audit()


def test_a_stop_that_fails_is_told_by_the_exit_code_if_the_command_succeeded(
    command: Command, sandbox: RunningSandbox, env_id: str
) -> None:
    command.env |= {"ARCHAL_TOKEN": "archal_ws_wrong", "REAPER_API__CREDENTIALS_WAIT_S": "0.2"}
    assert command.run("exec", env_id, "--", "sh", "-c", "exit 9").returncode == 9
    done = command.run("exec", "--json", env_id, "--", "sh", "-c", "cat; echo said >&2", stdin="asked")
    assert (done.returncode, done.stdout) == (77, "asked")
    found = json.loads(done.stderr.splitlines()[-1])
    assert (found["event"], found["exit"], found["waiting"]) == ("reaper.exited", 77, 1)
    assert "sh ended with 0" in found["detail"]
    assert "archal_ws_wrong" not in done.stderr

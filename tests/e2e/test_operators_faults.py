"""The operators' commands where something is wrong: no ledger, a lost row, a full disk, no reader, wrong words."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reaper.core.model import Outcome
from tests.support.processes.command import Command
from tests.support.processes.ledger import settle


def test_audit_finds_a_lost_row(command: Command) -> None:
    command.json("add", "ses-1", "ses-2")
    assert command.json("audit")["balanced"] is True
    backup = command.home / "copy.db"
    assert command.run("queue", "backup", str(backup)).returncode == 0
    assert backup.stat().st_mode & 0o077 == 0
    assert command.run("queue", "backup", str(backup)).returncode == 2
    delete_a_row(backup)
    damaged = command.run("audit", "--queue", f"sqlite://{backup}")
    assert damaged.returncode == 1
    assert "FAULT" in damaged.stdout
    assert damaged.stdout.startswith("THE BOOKS DO NOT BALANCE: ")
    assert command.run("audit").stdout.startswith("the books balance: ")


def delete_a_row(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("DELETE FROM item WHERE session_id = 'ses-1'").rowcount == 1
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "verb",
    ["status", "show ses-1", "outcomes", "audit", "dead list", "postpone ses-1 --after 0", "cancel a --reason b"],
)
def test_without_a_ledger_they_name_its_path_and_create_none(command: Command, verb: str) -> None:
    done = command.run(*verb.split())
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("reaper: ")
    assert done.stderr.count("\n") == 1
    assert str(command.ledger) in done.stderr
    assert not command.ledger.parent.exists()


def test_a_reader_that_left_and_a_closed_stdout_give_no_traceback(command: Command) -> None:
    command.run("add", "--from", "-", stdin="".join(f"ses-{n}\n" for n in range(2000)))
    settle(command, Outcome.FORBIDDEN, 403)
    read, write = os.pipe()
    os.close(read)
    choices: list[tuple[int, dict[str, Any]]] = [(141, {"stdout": write}), (0, {"preexec_fn": lambda: os.close(1)})]
    for code, options in choices:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            [sys.executable, "-m", "reaper", "outcomes"],
            env=command.environ(),
            stderr=subprocess.PIPE,
            check=False,
            timeout=30,
            **options,
        )
        assert (done.returncode, done.stderr) == (code, b"")
    os.close(write)
    command.audit()


@pytest.mark.parametrize("words", ["audit", "once --no-wait", "status", "add s"])
def test_a_full_disk_under_the_output_is_one_sentence(command: Command, words: str) -> None:
    command.run("queue", "init")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "reaper", *words.split(), "-q"], env=command.environ(), stdout=full,
            stderr=subprocess.PIPE,
            check=False, timeout=30, text=True,
        )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1, "reaper: the output cannot be written: No space left on device",
    )  # fmt: skip


def test_usage_configuration_and_the_nearest_command(command: Command) -> None:
    typo = command.run("stauts")
    assert typo.returncode == 2
    assert "Did you mean status?" in typo.stderr
    assert command.run("check", "--concurrency", "0").returncode == 78
    shown = command.run("--help")
    assert shown.returncode == 0
    assert "exit codes" in shown.stdout
    assert command.run("--version").stdout.startswith("reaper ")

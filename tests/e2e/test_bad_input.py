"""Bad input: one clear sentence, the right exit code, nothing lost, no traceback."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes.command import Command


def expect(command: Command, *args: str, code: int, words: str, stdin: str | None = None) -> str:
    done = command.run(*args, stdin=stdin)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_inputs_that_cannot_be_read(command: Command, tmp_path: Path) -> None:
    expect(command, "once", "missing.txt", code=2, words="missing.txt")
    expect(command, "once", str(tmp_path), code=2, words="directory")
    (tmp_path / "binary").write_bytes(b"\x7fELF\x02\x01\x01\x00\x00\x00\x00")
    expect(command, "once", "binary", code=2, words="binary")
    assert not command.ledger.exists() or command.json("status")["ready"] == 0


def test_an_empty_file_is_done_at_once(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert command.json("once", "empty")["accepted"] == 0


def test_a_pipe_that_nobody_asked_for_is_not_passed_over_in_silence(command: Command) -> None:
    words = "standard input was not read; to read it: reaper once -"
    expect(command, "once", code=0, words=words, stdin="env_1\n")
    expect(command, "once", "--dry-run", code=0, words=words, stdin="env_1\n")
    for done in (command.run("once"), command.run("once", "--dry-run", "-", stdin="env_1\n")):
        assert "standard input" not in done.stderr


def test_a_file_that_is_named_as_an_id_is_not_passed_over_in_silence(command: Command) -> None:
    (command.home / "ids.txt").write_text("env_1\n")
    expect(command, "add", "ids.txt", code=0, words="reaper add --from ids.txt")
    assert "file" not in command.run("add", "env_1").stderr
    odd = "a b\x1b[2J"
    for name in (odd, *(f"{n}.txt" for n in range(25))):
        (command.home / name).write_text("env_1\n")
    said = command.run("add", odd, *(f"{n}.txt" for n in range(25))).stderr
    assert r"reaper add --from 'a b\x1b[2J'" in said
    assert "\x1b" not in said
    assert said.count("is a file, ") == 20
    assert "… and 6 more files" in said


def test_odd_lines_are_named_and_the_rest_is_taken(command: Command, tmp_path: Path) -> None:
    lines = [
        b"\xef\xbb\xbfenv_1\r\n",
        b"env_1\n",
        b"x" * 10_000 + b"\n",
        b"env\x00_2\n",
        b"\xff\xfe\n",
        b'{"session_id": 7}\n',
        b'{"session_id": "env_3", "due_at": "soon"}\n',
        b"../x\n",
        b"a/b?c#d\n",
        b"# a comment\n",
        b"\n",
        b'{"sessionId": "env_4", "expiresAt": "2099-01-01T00:00:00Z"}',
    ]
    (tmp_path / "odd").write_bytes(b"".join(lines))
    done = command.run("add", "--from", "odd", "--json")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    status = command.json("status")
    assert (status["ready"], status["delayed"]) == (1, 1)
    assert command.json("audit")["invalid"] == 7


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("REAPER_API__BASE_URL", "http://example.com", "api.allow_http"),
        ("REAPER_QUEUE__LEASE_S", "5", "queue.lease_s"),
        ("REAPER_WORKER__CONCURENCY", "5", "REAPER_WORKER__CONCURRENCY"),
        ("REAPER_WORKER__CONCURRENCY", "0", "worker.concurrency"),
        # Nobody may rely on a protection that cannot be read.
        ("REAPER_PROTECT__FILE", "/nowhere/protected", "protect.file"),
    ],
)
def test_bad_settings(command: Command, name: str, value: str, words: str) -> None:
    command.env[name] = value
    expect(command, "once", "-", code=78, words=words)


def test_no_token(command: Command) -> None:
    command.env["ARCHAL_TOKEN"] = ""
    expect(command, "once", "-", code=78, words="ARCHAL_TOKEN", stdin="env_1\n")


@pytest.mark.parametrize("content", [None, ""])
def test_a_token_file_that_is_missing_or_empty(command: Command, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    command.env |= {"REAPER_API__CREDENTIALS_WAIT_S": "1", "REAPER_API__TOKEN_FILE": str(tmp_path / "token")}
    expect(command, "once", "-", code=77, words="token", stdin="env_1\n")
    assert command.json("status")["ready"] == 1


def test_a_ledger_that_cannot_be_used(command: Command, tmp_path: Path) -> None:
    assert command.run("add", "env_1").returncode == 0
    whole = command.ledger.read_bytes()
    with sqlite3.connect(command.ledger) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    expect(command, "status", code=69, words="99")
    command.ledger.write_bytes(b"this is not a ledger" * 500)
    expect(command, "add", "env_2", code=69, words=str(command.ledger))
    command.ledger.write_bytes(whole)
    assert command.json("show", "env_1")["state"] == "ready"


def test_a_state_directory_that_cannot_be_written(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command.env["XDG_STATE_HOME"] = str(tmp_path / "file")
    expect(command, "add", "env_1", code=69, words=str(tmp_path / "file"))


def test_no_ledger_is_said_and_none_is_made(command: Command) -> None:
    expect(command, "status", code=69, words=str(command.ledger))
    assert not command.ledger.exists()


@pytest.mark.parametrize("stand_in", ["fifo", "directory", "/dev/zero"])
def test_what_stands_in_place_of_a_settings_file_is_named_and_not_waited_for(
    command: Command, tmp_path: Path, stand_in: str
) -> None:
    path = tmp_path / "there"
    if stand_in == "fifo":
        os.mkfifo(path)
    elif stand_in == "directory":
        path.mkdir()
    else:
        path.symlink_to(stand_in)
    words = "not a regular file"
    assert str(path) in expect(command, "add", "env_1", "--config", str(path), code=78, words=words)
    command.env["REAPER_PROTECT__FILE"] = str(path)
    assert str(path) in expect(command, "once", "--no-wait", code=78, words=words)


def test_an_input_may_be_a_process_or_a_descriptor(command: Command) -> None:
    script = """
        add() { "$1" -m reaper add --from "$2"; }
        add "$1" <(echo env_1) && echo env_2 | add "$1" /dev/stdin && add "$1" /dev/fd/7 7< <(echo env_3)"""
    done = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable], env=command.environ(), cwd=command.home, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert command.json("status")["ready"] == 3

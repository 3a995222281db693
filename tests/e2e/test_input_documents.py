"""JSON documents as input: the API's list as it is, broken ones, and the largest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from reaper.sandbox.sessions import Session
from tests.support.processes.command import Command, aim
from tests.support.processes.memory import memory_mib
from tests.support.programs import need
from tests.support.sandbox import running_sandbox


def test_the_list_of_the_api_is_taken_as_it_is(command: Command) -> None:
    later, past = "2090-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
    sessions = [{"sessionId": f"env_{number}", "status": "running", "expiresAt": later} for number in range(3)]
    (command.home / "list.json").write_text(json.dumps({"sessions": sessions}, indent=2))
    with running_sandbox([Session(f"env_{number}") for number in range(4)]) as sandbox:
        aim(command, sandbox)
        done = command.run("once", "list.json")
        assert done.returncode == 0, done.stderr
        assert "3 sessions come with the list's own time (expiresAt) and none is due now" in done.stderr
        assert not sandbox.deletes
        mixed = json.dumps(
            [{"sessionId": "env_3", "expiresAt": past}, {"sessionId": "env_0", "expiresAt": later}, None]
        )
        done = command.run("once", "-", stdin=mixed)
        assert done.returncode == 3, done.stderr
        assert "the list's own time" not in done.stderr
        assert [delete.session_id for delete in sandbox.deletes] == ["env_3"]
    command.audit()


@pytest.mark.parametrize("key", ["sessionId", "session_id", "id"])
def test_what_is_said_of_a_list_that_comes_delayed_stops_its_sessions(command: Command, key: str) -> None:
    need("jq")
    ids = ["env_0", "env_1", "env_2"]
    sessions = [{key: one, "expiresAt": "2090-01-01T00:00:00Z"} for one in ids]
    (command.home / "my list.json").write_text(json.dumps([*sessions, None]))
    with running_sandbox([Session(one) for one in ids]) as sandbox:
        aim(command, sandbox)
        said = command.run("add", "--from", "my list.json").stderr
        what_to_do = said.partition("to stop them now: ")[2].splitlines()[0]
        path = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
        done = subprocess.run(
            ["sh", "-c", what_to_do],
            env={**command.environ(), "PATH": path},
            cwd=command.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert {delete.session_id for delete in sandbox.deletes} == {*ids}
    command.audit()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["env_1", "env_2"', "ends too early"),
        ('{\n  "session_id": "env_1"\n}\n{\n  "session_id": "env_2"\n}\n', "jq -c ."),
        ('["env_1"]\n["env_2"]\n', "jq -c ."),
    ],
)
def test_a_document_that_is_not_whole_is_refused_whole(command: Command, text: str, words: str) -> None:
    (command.home / "list.json").write_text(text)
    for done in (command.run("add", "--from", "list.json"), command.run("once", "-", stdin=text)):
        assert done.returncode == 2, done.stderr
        assert "is refused whole" in done.stderr
        assert words in done.stderr
    assert command.json("status")["ready"] == 0


def test_half_a_document_that_never_ends_is_not_taken(command: Command) -> None:
    with running_sandbox([Session("env_1")]) as sandbox:
        aim(command, sandbox)
        process = command.start("once", "--for", "2s", "--json", "-", stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write('["env_1",\n')
        process.stdin.flush()
        assert process.wait(60) == 75
        out, _ = process.communicate()
        assert json.loads(out)["accepted"] == 0
        assert not sandbox.deletes


@pytest.mark.untraced  # much work, which a tracer slows
def test_the_largest_document_costs_little_memory(command: Command) -> None:
    # Each of its bytes would cost forty as Python objects.
    size = 32 * 1024 * 1024
    tail = b'{"x":["env_1"]}], "sessions": ["env_1", "env_2"]}'
    filler = b'{"next":[' + b"[1,2,3]," * ((size - len(tail) - 20) // 8)
    (command.home / "list.json").write_bytes(filler + tail)
    assert size - 100 < (command.home / "list.json").stat().st_size <= size
    process = command.start("add", "--json", "--from", "list.json")
    most_mib = 0.0
    while process.poll() is None:
        most_mib = max(most_mib, memory_mib(process.pid, "VmHWM"))
        time.sleep(0.005)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    assert json.loads(out)["accepted"] == 2
    assert 60 < most_mib < 250  # forty times would be 1,280; a traced process needs some 15 more
    (command.home / "list.json").write_bytes(b" " * 100 + filler + tail)
    done = command.run("add", "--from", "list.json")
    assert done.returncode == 2
    assert "more than 32 MiB; give JSON lines: jq -c '.sessions[]'" in done.stderr

"""Input as other programs make it: words that are no IDs, streams that trickle or never end, wrong files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from reaper.sandbox.sessions import Session
from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim
from tests.support.sandbox import running_sandbox


def _is_known(command: Command, session_id: str) -> bool:
    return command.run("show", session_id).returncode == 0


def test_an_export_without_values_stops_nothing_and_claims_nothing(command: Command) -> None:
    (command.home / "ids.txt").write_text("null\nNone\nenv_1\n")
    with running_sandbox([Session("env_1")]) as sandbox:
        aim(command, sandbox)
        done = command.run("once", "ids.txt")
        assert done.returncode == 3, done.stderr
        assert "null is what programs write for no value" in done.stderr
        assert [delete.session_id for delete in sandbox.deletes] == ["env_1"]
    assert command.run("add", "undefined").returncode == 3
    assert command.run("show", "undefined").returncode == 3
    command.audit()


def test_files_of_windows_joined_by_cat_and_a_column_title(command: Command) -> None:
    (command.home / "ids.txt").write_bytes(b"\xef\xbb\xbfsessionId\r\nenv_1\r\n\xef\xbb\xbfenv_2\r\n")
    done = command.run("add", "--from", "ids.txt")
    assert done.returncode == 0, done.stderr
    assert "the first line, sessionId, is a column title and was skipped" in done.stderr
    assert {command.json("show", one)["state"] for one in ("env_1", "env_2")} == {"ready"}
    assert command.run("show", "sessionId").returncode == 3


def test_a_wrong_file_is_a_few_log_lines_and_a_count(command: Command) -> None:
    (command.home / "bad.csv").write_text("".join(f'"env_{number}","running"\n' for number in range(12_000)))
    command.env["REAPER_TELEMETRY__LOG_FORMAT"] = "json"
    for words in (["once", "bad.csv"], ["once", "--dry-run", "bad.csv"]):
        done = command.run(*words)
        assert done.returncode == 3, done.stderr
        logged = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        singly = [line for line in logged if line["event"] == "intake.line_invalid"]
        assert len(singly) == 20
        assert "cut -d, -f1" in singly[0]["reason"]
        assert [line["lines"] for line in logged if line["event"] == "intake.lines_invalid"] == [11_980]
    assert command.json("audit")["invalid"] == 12_000


def test_what_trickles_in_is_durable_while_the_pipe_is_open(command: Command) -> None:
    process = command.start("add", "--from", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    for number in range(3):
        process.stdin.write(f"env_{number}\n")
        process.stdin.flush()
        eventually(partial(_is_known, command, f"env_{number}"))
    process.kill()
    process.communicate(timeout=60)
    assert command.json("status")["ready"] == 3


@pytest.mark.parametrize("origin", ["stdin", "a FIFO without writer"])
def test_the_time_budget_bounds_the_reading_and_what_came_is_stopped(command: Command, origin: str) -> None:
    os.mkfifo(command.home / "fifo")
    with running_sandbox([Session("env_1")]) as sandbox:
        aim(command, sandbox)
        if origin == "stdin":
            process = command.start("once", "--for", "8s", "--json", "-", stdin=subprocess.PIPE)
            assert process.stdin is not None
            process.stdin.write("env_1\n")
            process.stdin.flush()
        else:
            command.run("add", "env_1")
            process = command.start("once", "--for", "8s", "--json", "fifo")
        begun = time.monotonic()
        returned = process.wait(60)
        took_s = time.monotonic() - begun
        assert process.stdout is not None
        printed = json.loads(process.stdout.read())
        process.communicate()
    assert returned == 75  # what would have come is not known
    assert took_s < 20
    assert (printed["stopped"], printed["waiting"], printed["exit"]) == (1, 0, 75)


def test_the_end_of_the_time_budget_names_what_was_asked_for(command: Command) -> None:
    (command.home / "ids.txt").write_text("env_1\n")
    with running_sandbox([Session("env_1")], latency="30s") as sandbox:
        aim(command, sandbox)
        done = command.run("once", "--for", "2s", "ids.txt")
    assert done.returncode == 75
    assert "the time budget of 2 s is used up" in done.stderr  # not what the reading left of it: 1.94 s


def test_a_dry_run_has_the_same_bound(command: Command) -> None:
    process = command.start("once", "--dry-run", "--for", "1s", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("env_1\n")
    process.stdin.flush()
    assert process.wait(60) == 75
    out, errors = process.communicate()
    assert out == "env_1\n"
    assert "was not read to its end" in errors


@pytest.mark.parametrize("verb", [["once"], ["add", "--from"]])
def test_ctrl_c_ends_the_wait_for_a_writer(command: Command, verb: list[str]) -> None:
    fifo: Path = command.home / "fifo"
    os.mkfifo(fifo)
    process = command.start(*verb, "fifo")
    eventually(lambda: command.ledger.exists())
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode in (75, 130), errors
    assert "Traceback" not in errors


def test_a_limited_run_says_what_it_left_and_the_next_one_what_was_done_before(command: Command) -> None:
    ids = [f"env_{number}" for number in range(8)]
    (command.home / "ids.txt").write_text("\n".join(ids[:6]))
    with running_sandbox([Session(one) for one in ids]) as sandbox:
        aim(command, sandbox)
        assert command.run("add", *ids[6:]).returncode == 0  # they were there before: they come first
        first = command.json("once", "--limit", "5", "ids.txt", code=75)
        assert (first["stopped"], first["waiting"], first["sends"], first["exit"]) == (5, 3, 5, 75)
        assert not any(first["earlier"].values())
        assert {*ids[6:]} < {delete.session_id for delete in sandbox.deletes}
        rest = command.run("once", "--limit", "5", "ids.txt")
        assert rest.returncode == 0, rest.stderr  # nothing more is due: the limit left nothing
        assert "stopped 3 now, 3 by earlier runs" in " ".join(rest.stdout.split())
        again = command.json("once", "ids.txt")
        assert (again["stopped"], again["earlier"]["stopped"], again["sends"]) == (6, 6, 0)
        assert len(sandbox.deletes) == 8
    assert "--limit 5 is reached" not in rest.stderr
    command.audit()


@pytest.mark.parametrize("redirected", ["", "2>&1"])
def test_a_reader_that_closes_the_output_changes_no_exit_code(command: Command, redirected: str) -> None:
    (command.home / "ids.txt").write_text("env_1\nenv_1\n" + "not an ID\n" * 30)
    script = f'{{ "$0" -m reaper add --from ids.txt {redirected}; echo $? >code; }} | head -c 1 >/dev/null'
    subprocess.run(
        ["sh", "-c", script, sys.executable], env=command.environ(), cwd=command.home, timeout=60, check=True
    )
    assert (command.home / "code").read_text().strip() == "3"


READING = [
    ("show", "far"), ("show", "env_1"), ("status",), ("outcomes",), ("dead", "list"), ("audit",), ("once", "--dry-run"),
]  # fmt: skip


def test_no_reading_verb_ends_by_far_times_or_by_names_of_any_bytes(command: Command) -> None:
    name = os.fsdecode(b"bad\xff\xed\xa0\x80\x1b[2J.txt")
    (command.home / name).write_text(
        '{"session_id": "far", "due_at": "9999-12-31T23:59:59-12:00"}\nenv_1\n{"session_id": "\\ud800"}\n'
        '{"session_id": "x", "due_at": "\\udfff"}\n{"id": "x", "session\\ud800": 1}\n"x\n'
    )
    with running_sandbox([Session("env_1"), Session("env_2", foreign=True)]) as sandbox:
        aim(command, sandbox)
        added = command.run("add", "--json", "--from", name)
        assert added.returncode == 3, added.stderr
        assert json.loads(added.stdout)["accepted"] == 2
        done = command.run("add", os.fsdecode(b"a\xff"), "env_2")
        assert done.returncode == 3
        assert "\\xff" in done.stderr
        for round_s in ("before", "after"):
            for words in READING:
                for form in ([], ["--json"]):
                    done = command.run(*words, *form)
                    assert done.returncode == 0, (words, form, done.stderr)
                    assert "\x1b" not in done.stdout + done.stderr
                    if form:
                        [json.loads(line) for line in done.stdout.splitlines()]
            if round_s == "before":
                assert command.run("once", name).returncode == 3
    assert command.json("show", "far")["due_at"] == "9999-12-31T23:59:59.000Z"
    assert command.json("show", "env_1")["source"] == r"bad\xff\xed\xa0\x80\x1b[2J.txt"
    assert command.run("cancel", "far", "--reason", os.fsdecode(b"r\xff")).returncode == 0
    assert command.run("outcomes", "--json").returncode == 0
    for words in (("once", os.fsdecode(b"no\xff")), ("--config", os.fsdecode(b"\xff"), "status"), ("show", "\udcff")):
        done = command.run(*words)
        assert done.returncode in (2, 3, 78), done.stderr
        assert "internal error" not in done.stderr


def test_what_another_reaper_stops_during_the_intake_is_not_of_earlier_runs(command: Command) -> None:
    with running_sandbox([Session("env_1"), Session("env_2")]) as sandbox:
        aim(command, sandbox)
        command.run("once", "-", stdin="env_1\n")
        process = command.start("once", "--json", "-", stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write("env_1\nenv_2\n")
        process.stdin.flush()
        eventually(partial(_is_known, command, "env_2"))
        assert command.json("once")["stopped"] == 1
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        done = json.loads(out)
        assert (done["stopped"], done["earlier"]["stopped"], done["sends"]) == (2, 1, 0)

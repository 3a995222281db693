"""`run --on-term reap`: what a job registered and left behind is stopped before the sidecar ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from reaper.sandbox.faults import Mode
from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.processes.command import Command, write_ids
from tests.support.processes.daemon import daemon, events, page, watch
from tests.support.sandbox import running_sandbox

APP = """
import os, sys, time
spool, ids = sys.argv[1], sys.argv[2:]
for number, session in enumerate(ids):
    with open(f"{spool}/tmp/{number}", "w") as file:
        file.write(session + chr(10))
    os.rename(f"{spool}/tmp/{number}", f"{spool}/new/{number}")
print("registered", flush=True)
time.sleep(60)
"""
"""A test job: registers each session as it makes it, and would clean up at its end, which never comes."""


def test_fifty_sessions_of_a_dead_job_are_stopped_at_the_end_of_the_pod(command: Command, tmp_path: Path) -> None:
    some = [session.session_id for session in generate(51, 9)]
    spool = tmp_path / "spool"
    with running_sandbox(list(generate(51, 9)), latency="50ms") as sandbox:
        watch(command, sandbox, intake__spool_dir=spool, intake__default_after_s=3600, intake__poll_s=5)
        with daemon(command, "--on-term", "reap") as process:
            eventually(lambda: (spool / "new").is_dir() and page(command, "/readyz")[0] == 200)
            with subprocess.Popen(
                [sys.executable, "-c", APP, str(spool), *some[:50]], stdout=subprocess.PIPE, text=True
            ) as app:
                assert app.stdout is not None
                assert app.stdout.readline() == "registered\n"
                (spool / "tmp" / "half").write_text(some[50])
                app.kill()
            assert sandbox.sends == {}
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=25) == 0
            assert time.monotonic() - begun < 25
        assert set(sandbox.sends) == set(some[:50])
    assert command.outcomes() == dict.fromkeys(some[:50], "stopped")
    notes = [str(event["note"]) for event in events(command, "intake.noted")]
    assert any("1 in tmp/" in note for note in notes), notes
    command.audit()


def test_a_last_line_without_newline_is_stopped_at_the_end_of_the_pod(command: Command, tmp_path: Path) -> None:
    some = [session.session_id for session in generate(3, 9)]
    spool = tmp_path / "spool"
    with running_sandbox(list(generate(3, 9))) as sandbox:
        watch(command, sandbox, intake__spool_dir=spool, intake__default_after_s=3600, intake__poll_s=0.2)
        with daemon(command, "--on-term", "reap") as process:
            eventually(lambda: (spool / "new").is_dir() and page(command, "/readyz")[0] == 200)
            (spool / "tmp" / "a").write_text("\n".join(some))
            (spool / "tmp" / "a").rename(spool / "new" / "a")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=25) == 0
        assert set(sandbox.sends) == set(some)
    assert (spool / "done" / "a").exists()
    command.audit()


def test_what_is_left_when_time_runs_out_is_said_and_kept(command: Command, tmp_path: Path) -> None:
    some = [session.session_id for session in generate(20, 4)]
    limits = {"worker__drain_timeout_s": 3, "api__timeout_s": 2, "api__connect_timeout_s": 1}
    with running_sandbox(list(generate(20, 4))) as sandbox:
        watch(command, sandbox, **limits)
        with daemon(command, "--on-term", "reap") as process:
            ids = write_ids(tmp_path / "ids", some)
            assert command.run("add", "--from", str(ids), "--after", "1h").returncode == 0
            eventually(lambda: page(command, "/readyz")[0] == 200)
            sandbox.do(lambda s: s.set_mode(Mode.HANG))
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 75
            assert 2.5 < time.monotonic() - begun < 8
        event = events(command, "reaper.exited")[-1]
        assert event["waiting"] == 20
        assert "stays in the ledger" in str(event["detail"])
        sandbox.do(lambda s: s.set_mode(Mode.OK))
        with daemon(command, "--on-term", "reap") as process:
            eventually(lambda: len(events(command, "reaper.ready")) == 2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=25) == 0
    assert set(command.outcomes().values()) == {"stopped"}
    command.audit()


def test_a_second_signal_leaves_at_once(command: Command, tmp_path: Path) -> None:
    some = [session.session_id for session in generate(5, 4)]
    with running_sandbox(list(generate(5, 4)), latency="3s") as sandbox:
        watch(command, sandbox)
        with daemon(command, "--on-term", "reap") as process:
            assert command.run("add", *some, "--after", "1h").returncode == 0
            eventually(lambda: bool(events(command, "reaper.ready")))
            process.send_signal(signal.SIGTERM)
            eventually(lambda: len(sandbox.sends) == 5)
            assert page(command, "/readyz")[0] == 503
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=5) == 75
    assert command.json("status")["ready"] == 5


def test_reap_is_refused_on_a_shared_queue(command: Command) -> None:
    done = command.run("run", "--on-term", "reap", "--queue", "redis://127.0.0.1:1/0")
    assert done.returncode == 2, done.stderr
    assert "shared queue" in done.stderr

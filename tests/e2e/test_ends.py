"""How `run` and `once` end as processes: signals at each moment, exit codes, and the last line of the log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from reaper.sandbox.sessions import Session, generate
from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim, kill
from tests.support.processes.daemon import daemon, events, free_port, page, watch
from tests.support.sandbox import running_sandbox

SLOW = {"api__timeout_s": 8, "worker__drain_timeout_s": 10, "worker__concurrency": 4}


def exits(command: Command) -> list[object]:
    return [event["exit"] for event in events(command, "reaper.exited")]


@pytest.mark.parametrize(("apart_s", "on_term", "code"), [(0.3, "drain", 0), (1.2, "drain", 0), (1.2, "reap", 75)])
def test_a_repeated_sigterm_counts_once_and_a_second_one_leaves_now(
    command: Command, apart_s: float, on_term: str, code: int
) -> None:
    ids = [f"env_{one}" for one in range(20)]
    with running_sandbox(map(Session, ids)) as sandbox:
        sandbox.do(lambda s: s.set_mode("hang", deletes_only=True))
        watch(command, sandbox, **SLOW)
        assert command.run("add", *ids).returncode == 0
        with daemon(command, "--on-term", on_term) as process:
            sandbox.until(lambda s: s.counters.deletes == 4, 30)
            process.send_signal(signal.SIGTERM)
            time.sleep(apart_s)
            process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            if apart_s < 1:
                time.sleep(1)
                assert process.poll() is None, "the repeat counted as a second signal"
            else:
                assert process.wait(timeout=30) == code
                assert time.monotonic() - begun < 2
                assert exits(command) == [code]
                status = command.json("status")
                assert status["in_flight"] == 0, "what was in flight is released"
                assert status["ready"] + status["delayed"] == len(ids)


def test_signals_around_the_end_never_change_the_exit_code(command: Command) -> None:
    """The event loop gives its signals back when it closes: one that comes then must not end the process."""
    with running_sandbox(0) as sandbox:
        watch(command, sandbox)
        for _ in range(4):
            with daemon(command) as process:
                eventually(lambda: page(command, "/livez")[0] == 200)
                while process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    time.sleep(0.002)
                assert process.returncode == 0
    assert exits(command) == [0] * 4


def test_livez_is_right_from_the_first_moment(command: Command) -> None:
    with running_sandbox(0) as sandbox, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(command.home / "notify"))
        manager.settimeout(15)
        watch(command, sandbox, queue__url=f"sqlite:///{command.home}/q.db")
        command.env["NOTIFY_SOCKET"] = str(command.home / "notify")
        for _ in range(3):
            with daemon(command):
                assert manager.recv(1000) == b"READY=1"
                assert page(command, "/livez") == (200, "ok\n")


def test_a_signal_ends_a_start_that_waits(command: Command) -> None:
    """An engine that takes the connection and never answers holds the start up, and no signal."""
    with running_sandbox(0) as sandbox, socket.create_server(("127.0.0.1", 0)) as silent:
        aim(command, sandbox, queue__url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0", telemetry__log_format="json")
        for verb, code in (("run", 0), ("once", 75)):
            with (command.home / "daemon.log").open("w") as log:
                process = command.start(verb, stderr=log)
                accepted = silent.accept()[0]
                process.send_signal(signal.SIGTERM)
                begun = time.monotonic()
                try:
                    assert process.wait(timeout=30) == code
                    assert time.monotonic() - begun < 2
                finally:
                    kill(process) if process.poll() is None else process.communicate()
                    accepted.close()
            assert exits(command) == [code]


def blocked_signals(pid: int) -> set[int]:
    """Return the signals that wait for a process until it lets them through."""
    with open(f"/proc/{pid}/status") as status:
        mask = next(int(line.split()[1], 16) for line in status if line.startswith("SigBlk"))
    return {number for number in range(1, 32) if mask >> (number - 1) & 1}


@pytest.mark.parametrize(("verb", "code"), [("run", 0), ("once", 75)])
def test_a_signal_while_the_command_is_loaded_ends_it_in_order(command: Command, verb: str, code: int) -> None:
    command.env["REAPER_TELEMETRY__LOG_FORMAT"] = "json"
    with running_sandbox(0) as sandbox, (command.home / "daemon.log").open("w") as log:
        watch(command, sandbox)
        process = command.start(verb, stderr=log)
        try:
            eventually(lambda: signal.SIGTERM in blocked_signals(process.pid), 10, every_s=0.001)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == code
        finally:
            kill(process) if process.poll() is None else process.communicate()
    assert exits(command) == [code]


def last_event(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """Return the last event on stderr; the sentence for a person may follow it."""
    last: dict[str, object] = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")][-1]
    return last


def test_every_end_is_logged(command: Command) -> None:
    ids = [session.session_id for session in generate(3, 8)]
    with running_sandbox(list(generate(3, 8))) as sandbox, socket.create_server(("127.0.0.1", 0)) as busy:
        aim(command, sandbox, telemetry__log_format="json")
        done = command.run("once", "-", stdin="\n".join(ids))
        assert last_event(done).items() >= {"event": "reaper.exited", "exit": 0, "sends": 3, "waiting": 0}.items()
        done = command.run("once", "-", stdin="env_unknown_1\nnot an ID\n")
        assert last_event(done).items() >= {"event": "reaper.exited", "exit": 3, "level": "warning"}.items()

        command.env["REAPER_TELEMETRY__LISTEN"] = f"127.0.0.1:{busy.getsockname()[1]}"
        done = command.run("run")
        event = last_event(done)
        assert (done.returncode, event["event"], event["exit"]) == (78, "reaper.exited", 78)
        assert "telemetry.listen" in str(event["detail"])

        command.env |= {"REAPER_TELEMETRY__LISTEN": "", "REAPER_QUEUE__URL": f"redis://127.0.0.1:{free_port()}/0"}
        for verb in ("run", "once"):
            done = command.run(verb)
            event = last_event(done)
            assert (done.returncode, event["event"], event["exit"]) == (69, "reaper.exited", 69)
            assert event["detail"]


def test_an_output_that_nobody_takes_holds_up_no_signal(command: Command) -> None:
    """The work is done and the summary waits for its reader: a signal leaves with the exit code of the run."""
    ids = [session.session_id for session in generate(3, 8)]
    with running_sandbox(list(generate(3, 8))) as sandbox:
        aim(command, sandbox)
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 65536)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"x")
        os.set_blocking(writing, True)
        path = command.home / "ids"
        path.write_text("\n".join(ids))
        process = subprocess.Popen(
            [sys.executable, "-m", "reaper", "once", str(path)],
            env=command.environ(), cwd=command.home, stdout=writing, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        try:
            eventually(lambda: command.ledger.exists() and len(command.outcomes()) == 3, 20)
            time.sleep(1)
            assert process.poll() is None, "the output was taken"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=5) == 0
        finally:
            process.kill()
            process.wait()
            os.close(reading)

"""`reaper run` as a process: what it follows, what it shows, how it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from reaper.sandbox.faults import Mode
from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.processes.command import Command, kill, write_ids
from tests.support.processes.daemon import daemon, events, page, watch
from tests.support.sandbox import running_sandbox


def test_follows_a_file_and_a_spool_and_drains(command: Command, tmp_path: Path) -> None:
    some = [session.session_id for session in generate(30, 2)]
    followed, spool = tmp_path / "follow.txt", tmp_path / "spool"
    write_ids(followed, some[:10])
    with running_sandbox(list(generate(30, 2)), latency="20ms") as sandbox:
        watch(command, sandbox, intake__files=str(followed), intake__spool_dir=spool, intake__poll_s=0.1)
        with daemon(command) as process:
            eventually(lambda: len(sandbox.sends) == 10)
            with followed.open("a") as file:
                file.write("\n".join(some[10:15]) + "\n" + some[15])
            (spool / "tmp" / "a").write_text("\n".join(some[16:20]))
            (spool / "tmp" / "a").rename(spool / "new" / "a")
            done = command.run("add", *some[20:25])
            assert done.returncode == 0, done.stderr
            # All but the line that has no newline yet.
            eventually(lambda: sandbox.sends.keys() == {*some[:15], *some[16:25]})
            with followed.open("a") as file:
                file.write("\n")
            eventually(lambda: some[15] in sandbox.sends)
            assert command.run("health").returncode == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        assert [delete for delete in sandbox.deletes if not delete.delivered] == []
    assert len(events(command, "reaper.ready")) == len(events(command, "reaper.exited")) == 1
    assert set(command.outcomes().values()) == {"stopped"}
    assert (spool / "done" / "a").exists()
    assert command.run("health").returncode == 1
    command.audit()


def test_killed_daemon_goes_on_in_its_file(command: Command, tmp_path: Path) -> None:
    some = [session.session_id for session in generate(400, 4)]
    followed = write_ids(tmp_path / "follow.txt", some[:200])
    with running_sandbox(list(generate(400, 4)), latency="30ms") as sandbox:
        watch(command, sandbox, intake__files=str(followed), intake__poll_s=0.1, worker__concurrency=4)
        with daemon(command) as process:
            eventually(lambda: len(sandbox.sends) > 40)
            kill(process)
        with followed.open("a") as file:
            file.writelines(f"{one}\n" for one in some[200:])
        begun = time.monotonic()
        with daemon(command, "--concurrency", "32") as process:
            eventually(lambda: len(sandbox.sends) == 400)
            eventually(lambda: sum(command.json("status")["settled"].values()) == 400)
            # Asked for again are those that were in flight at the kill and those whose answers waited for their commit,
            # at most the bound of each.
            assert command.json("status")["settled"]["already_gone"] <= 2 * 4
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        assert time.monotonic() - begun < 30, "the dead daemon's leases were waited for"
        imported = [event["accepted"] for event in events(command, "intake.imported")]
        assert sum(map(int, map(str, imported))) == 400
    command.audit()


def test_two_daemons_share_one_ledger(command: Command, tmp_path: Path) -> None:
    some = [session.session_id for session in generate(300, 6)]
    with running_sandbox(list(generate(300, 6)), latency="30ms") as sandbox:
        watch(command, sandbox, worker__concurrency=8)
        assert command.run("add", "--from", str(write_ids(tmp_path / "ids", some))).returncode == 0
        with daemon(command) as one:
            command.env["REAPER_TELEMETRY__LISTEN"] = ""
            with daemon(command) as two:
                eventually(lambda: len(sandbox.sends) == 300)
                for process in (one, two):
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(timeout=10) == 0
        assert set(sandbox.sends.values()) == {1}
        assert sandbox.counters.peak_in_flight > 8
    assert len(command.outcomes()) == 300
    command.audit()


def test_pages_tell_of_pauses(command: Command) -> None:
    with running_sandbox(5) as sandbox:
        watch(command, sandbox)
        sandbox.do(lambda s: s.set_mode(Mode.HTML_404))
        with daemon(command):
            eventually(lambda: page(command, "/readyz")[0] == 503)
            assert "wrong_target" in page(command, "/readyz")[1]
            assert page(command, "/livez") == (200, "ok\n")
            status = json.loads(page(command, "/status")[1])
            assert [pause["reason"] for pause in status["pauses"]] == ["wrong_target"]
            assert 'reaper_paused{reason="wrong_target"} 1.0' in page(command, "/metrics")[1]
            eventually(lambda: [p["reason"] for p in command.json("status")["pauses"]] == ["wrong_target"], 5)
            sandbox.do(lambda s: s.set_mode(Mode.OK))
            assert command.run("add", *sandbox.do(lambda s: s.sessions.active)).returncode == 0
            eventually(lambda: page(command, "/readyz")[0] == 200)


def test_operators_pause_stops_a_running_daemon(command: Command) -> None:
    ids = [session.session_id for session in generate(5, 8)]
    with running_sandbox(list(generate(5, 8))) as sandbox:
        watch(command, sandbox)
        with daemon(command):
            assert command.run("pause", "--reason", "maintenance").returncode == 0
            eventually(lambda: bool(events(command, "api.paused")), 5)
            assert command.run("add", *ids).returncode == 0
            time.sleep(1.5)
            assert sandbox.sends == {}
            assert command.run("resume").returncode == 0
            eventually(lambda: len(sandbox.sends) == 5, 5)


def test_configured_address_busy_is_an_error(command: Command) -> None:
    with running_sandbox(1) as sandbox, socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        watch(command, sandbox)
        command.env["REAPER_TELEMETRY__LISTEN"] = f"127.0.0.1:{busy.getsockname()[1]}"
        done = command.run("run")
        assert done.returncode == 78
        assert "telemetry.listen" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_lack_of_descriptors_silences_the_probes_and_not_the_daemon(command: Command) -> None:
    few = 40
    with running_sandbox(1) as sandbox:
        watch(command, sandbox)
        limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (few, few))
        with daemon(command, preexec_fn=limit) as process, ExitStack() as held:
            eventually(lambda: page(command, "/livez")[0] == 200)
            host, port = command.env["REAPER_TELEMETRY__LISTEN"].split(":")
            for _ in range(2 * few):
                held.enter_context(socket.create_connection((host, int(port)), timeout=5))
            time.sleep(1.5)
            assert process.poll() is None
            held.close()
            eventually(lambda: page(command, "/livez")[0] == 200)
            assert command.run("add", *sandbox.do(lambda s: s.sessions.active)).returncode == 0
            eventually(lambda: len(sandbox.sends) == 1)


def test_an_error_of_a_service_is_an_error_in_the_journal(command: Command, tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        status = os.fstat(journal.fileno())
        command.env |= {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}", "REAPER_WORKER__CONCURRENCY": "0"}
        process = command.start("run", stderr=journal)
        process.communicate(timeout=30)
        assert process.returncode == 78
        journal.seek(0)
        line = journal.read()
        assert line.startswith("<3>{")
        assert json.loads(line.removeprefix("<3>"))["error"].startswith("worker.concurrency must be")


def test_systemd_hears_of_it(command: Command, tmp_path: Path) -> None:
    """Ready once it listens, alive while the work moves, stopping on a signal: as datagrams."""
    path = str(tmp_path / "notify")
    with running_sandbox(1) as sandbox, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        watch(command, sandbox)
        command.env |= {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "900000"}
        with daemon(command) as process:
            assert manager.recv(1000) == b"READY=1"
            beat = manager.recv(1000).decode()
            assert "WATCHDOG=1" in beat
            assert "STATUS=0 ready" in beat
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
            manager.settimeout(1)
            heard = [manager.recv(1000)]
            while b"STOPPING=1" not in heard[-1]:
                heard.append(manager.recv(1000))


def test_faulty_inputs_are_on_the_page_in_both_status_documents_and_in_check(command: Command, tmp_path: Path) -> None:
    spool, missing = tmp_path / "spool", tmp_path / "none.txt"
    with running_sandbox(list(generate(1, 2))) as sandbox:
        watch(command, sandbox, intake__files=str(missing), intake__spool_dir=spool, intake__poll_s=0.1)
        with daemon(command):
            eventually(lambda: (spool / "new").exists() and page(command, "/status")[0] == 200)
            (spool / "tmp" / "a.json").write_text('{"sessions": [')
            (spool / "tmp" / "a.json").rename(spool / "new" / "a.json")
            eventually(lambda: json.loads(page(command, "/status")[1]).get("spool_refused") == 1)
            found, told = json.loads(page(command, "/status")[1]), command.json("status")
            assert found["intake_missing"] == told["intake_missing"] == [
                f"{missing} does not exist; it is read when it appears"
            ]  # fmt: skip
            assert told["spool_refused"] == 1
            shown = json.loads(page(command, "/page.json")[1])
            assert [notice["name"] for notice in shown["notices"]] == ["Input missing", "Spool"]
    assert f"1 file was refused whole and moved to {spool}/bad" in command.run("check").stdout

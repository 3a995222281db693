"""SIGHUP: a changed configuration and token are followed without dropping what is in flight; a bad one is refused."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from reaper.sandbox.faults import Mode
from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.processes.command import Command, write_ids
from tests.support.processes.daemon import configure, daemon, events, free_port, page, reload, watch
from tests.support.sandbox import running_sandbox


def test_everything_but_two_keys_follows_the_file_while_sends_go_on(command: Command, tmp_path: Path) -> None:
    some = [session.session_id for session in generate(120, 3)]
    followed, spool = tmp_path / "late.txt", tmp_path / "spool"
    with running_sandbox(list(generate(120, 3)), latency="300ms") as sandbox:
        watch(command, sandbox)
        del command.env["REAPER_WORKER__ADAPTIVE"]
        configure(command, "[worker]\nconcurrency = 2\nadaptive = false\n")
        with daemon(command) as process:
            assert command.run("add", "--from", str(write_ids(tmp_path / "ids", some[:80]))).returncode == 0
            eventually(lambda: len(sandbox.sends) > 2)
            write_ids(followed, some[80:100])
            configure(
                command,
                "[worker]\nconcurrency = 40\nadaptive = false\n[retry]\nmax_attempts = 3\n"
                f'[intake]\nfiles = ["{followed}"]\nspool_dir = "{spool}"\npoll_s = 0.1\n'
                '[telemetry]\nlog_level = "warning"\n'
                f'[queue]\nurl = "sqlite:///{tmp_path}/other.db"\n',
            )
            before = sandbox.counters.peak_in_flight
            process.send_signal(signal.SIGHUP)
            eventually(lambda: sandbox.counters.peak_in_flight > 10, 10)
            assert before == 2
            (spool / "tmp" / "x").write_text("\n".join(some[100:]) + "\n")
            (spool / "tmp" / "x").rename(spool / "new" / "x")
            eventually(lambda: len(sandbox.sends) == 120)
            assert events(command, "config.reloaded") == [], "the new log level holds already"
            configure(command, "[worker]\nconcurrency = 3\nadaptive = false\n")
            event = reload(command, process)
            assert "reaper_concurrency_limit 3.0" in page(command, "/metrics")[1]
            assert set(event["changed"]) == {  # type: ignore[call-overload]
                "worker.concurrency", "retry.max_attempts", "intake.files", "intake.spool_dir", "intake.poll_s",
                "telemetry.log_level",
            }  # fmt: skip
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        assert set(sandbox.sends.values()) == {1}
        assert all(delete.delivered for delete in sandbox.deletes), "a send was dropped"
    assert not (tmp_path / "other.db").exists()
    assert set(command.outcomes().values()) == {"stopped"}
    command.audit()


def test_what_only_a_restart_changes_is_named(command: Command, tmp_path: Path) -> None:
    with running_sandbox(1) as sandbox:
        watch(command, sandbox)
        listen = command.env.pop("REAPER_TELEMETRY__LISTEN")
        configure(command, f'[telemetry]\nlisten = "{listen}"\n')
        with daemon(command) as process:
            eventually(lambda: bool(events(command, "reaper.ready")))
            configure(
                command,
                f'[telemetry]\nlisten = "127.0.0.1:{free_port()}"\n[queue]\nurl = "sqlite:///{tmp_path}/o.db"\n',
            )
            event = reload(command, process)
            assert (event["changed"], event["after_restart"]) == ([], ["queue.url", "telemetry.listen"])
            command.env["REAPER_TELEMETRY__LISTEN"] = listen
            assert page(command, "/livez")[0] == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[worker]\nconcurency = 5\n", "worker.concurrency"),
        ("[worker]\nconcurrency = 5000\n", "1 to 1000"),
        ("[worker\n", "is not TOML"),
        ('[api]\nbase_url = "https://127.0.0.1:1"\nca_file = "/nowhere/ca.pem"\n', "api.ca_file"),
        ("[protect]\nfile = '/nowhere/protected'\n", "protect.file"),
        ('[intake]\nspool_dir = "/proc/spool"\n', "intake.spool_dir"),
        ('[intake]\nfiles = ["a\\u0000b"]\n', "NUL"),
        ('[api]\ntoken_file = "a\\u0000b"\n', "NUL"),
        ('[api]\nbase_url = "https://xn--a.com"\n', "no host of that name"),
        ('[api]\nbase_url = "http://127.0.0.1:1"\nproxy = "http://127.0.0.1:1"\nhttp = "2"\n', "api.http"),
    ],
)
def test_a_bad_configuration_is_refused_and_the_old_one_kept(command: Command, text: str, words: str) -> None:
    some = [session.session_id for session in generate(20, 5)]
    with running_sandbox(list(generate(20, 5))) as sandbox:
        watch(command, sandbox)
        del command.env["REAPER_API__BASE_URL"]
        good = f'[api]\nbase_url = "{sandbox.url}"\n[worker]\nconcurrency = 7\n'
        configure(command, good)
        with daemon(command) as process:
            eventually(lambda: bool(events(command, "reaper.ready")))
            configure(command, text)
            event = reload(command, process, "config.refused")
            assert words in str(event["detail"]), event
            assert "the old one kept" in str(event["detail"])
            assert json.loads(page(command, "/status")[1])["config_refused"] == event["detail"]
            [notice] = json.loads(page(command, "/page.json")[1])["notices"]
            assert notice["name"] == "Settings refused"
            assert str(event["detail"]).startswith(notice["detail"].removesuffix("…"))
            assert "reaper_concurrency_limit 7.0" in page(command, "/metrics")[1]
            configure(command, good)
            assert command.run("add", *some).returncode == 0
            eventually(lambda: len(sandbox.sends) == 20)
            reload(command, process)
            assert json.loads(page(command, "/status")[1])["config_refused"] is None
            assert json.loads(page(command, "/page.json")[1])["notices"] == []
            (command.home / "reaper.toml").unlink()
            event = reload(command, process, "config.refused")
            assert "reaper.toml" in str(event["detail"])


def test_another_address_and_another_token_need_identity_again(command: Command, tmp_path: Path) -> None:
    """The first API refuses nothing, the second one the token; nothing is sent there before its own token comes."""
    ids = [session.session_id for session in generate(6, 6)]
    good = tmp_path / "good"
    good.write_text("archal_ws_second\n")
    with (
        running_sandbox(list(generate(6, 6))) as one,
        running_sandbox(list(generate(6, 6)), token="archal_ws_second") as two,
    ):
        watch(command, one)
        del command.env["REAPER_API__BASE_URL"]
        configure(command, f'[api]\nbase_url = "{one.url}"\n')
        with daemon(command) as process:
            assert command.run("add", *ids[:3]).returncode == 0
            eventually(lambda: len(one.sends) == 3)
            configure(command, f'[api]\nbase_url = "{two.url}"\n')
            reload(command, process)
            eventually(lambda: page(command, "/readyz")[0] == 503, 10)
            assert two.counters.lists == 0, "the address is not accepted yet"
            assert "accepted: " in command.run("check", "--accept-target", "--yes").stdout
            eventually(lambda: "credentials" in page(command, "/readyz")[1], 10)
            assert command.run("add", *ids[3:]).returncode == 0
            configure(command, f'[api]\nbase_url = "{two.url}"\ntoken_file = "{good}"\n')
            reload(command, process)
            eventually(lambda: len(two.sends) == 3, 15)
            assert len(one.sends) == 3
    assert set(command.outcomes().values()) == {"stopped"}


def test_the_service_manager_hears_of_a_reload(command: Command, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with running_sandbox(1) as sandbox, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(30)
        watch(command, sandbox)
        command.env["NOTIFY_SOCKET"] = path
        with daemon(command) as process:
            assert manager.recv(1000) == b"READY=1"
            reload(command, process)
            heard = [manager.recv(1000).decode()]
            while not heard[-1].startswith("READY=1"):
                heard.append(manager.recv(1000).decode())
            begun = [one for one in heard if one.startswith("RELOADING=1\nMONOTONIC_USEC=")]
            assert len(begun) == 1, heard
            assert begun[0].rpartition("=")[2].isdigit()


def test_nothing_goes_to_another_address_before_identity_is_shown(command: Command) -> None:
    """A backlog is being worked off, at a rate, when the address changes: the first request there is the read."""
    some = list(generate(200, 6))
    with running_sandbox(list(some)) as one, running_sandbox(list(some), latency="50ms") as two:
        watch(command, one, worker__rate_per_s=50)
        del command.env["REAPER_API__BASE_URL"]
        configure(command, f'[api]\nbase_url = "{one.url}"\n')
        with daemon(command) as process:
            assert command.run("add", *[session.session_id for session in some]).returncode == 0
            eventually(lambda: len(one.sends) > 10)
            two.do(lambda s: s.set_mode(Mode.OUTAGE))
            configure(command, f'[api]\nbase_url = "{two.url}"\n')
            reload(command, process)
            assert "accepted: " in command.run("check", "--accept-target", "--yes").stdout
            eventually(lambda: two.counters.lists >= 3)
            assert two.sends == {}
            two.do(lambda s: s.set_mode(Mode.OK))
            eventually(lambda: len(two.sends) > 3)


def test_reads_that_were_off_are_made_once_they_are_on(command: Command) -> None:
    with running_sandbox(1) as sandbox:
        watch(command, sandbox)
        configure(command, "[api]\nverify = false\n")
        with daemon(command) as process:
            eventually(lambda: page(command, "/readyz")[0] == 200)
            assert sandbox.counters.lists == 0
            configure(command, "[api]\nverify = true\n")
            reload(command, process)
            eventually(lambda: sandbox.counters.lists == 1, 5)


def test_a_token_file_that_is_a_pipe_stops_nothing(command: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with running_sandbox(1) as sandbox:
        watch(command, sandbox)
        configure(command, "")
        with daemon(command) as process:
            eventually(lambda: page(command, "/readyz")[0] == 200)
            configure(command, f'[api]\ntoken_file = "{tmp_path}/pipe"\n')
            reload(command, process)
            eventually(lambda: "it is a FIFO" in page(command, "/readyz")[1], 10)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0

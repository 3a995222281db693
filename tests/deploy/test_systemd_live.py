"""What docs/systemd.md and docs/cron.md promise, under a systemd of their own, against the stand-in for the API.

That their blocks run in the order of the page is test_pages_on_a_machine.py.
All in one file, because the tests share one machine: it is installed once, which is the slow part.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.support.deploy.systemd import FIRST, SECOND, Host, host
from tests.support.docs.blocks import block
from tests.support.eventually import eventually
from tests.support.programs import missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HUNG = """
import sys, time
import anyio
from reaper.__main__ import main
from reaper.app.daemon import Daemon

async def hold_up_the_loop(self, parts):
    await anyio.sleep(1)
    time.sleep(600)

Daemon._prune = hold_up_the_loop
sys.exit(main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with host(tmp_path_factory.mktemp("systemd")) as machine:
        yield machine


@pytest.fixture
def machine(installed: Host) -> Iterator[Host]:
    installed.begin()
    yield installed
    installed.end()


# --- install and operate --------------------------------------------------------------------------------------------


def test_the_docs_make_a_working_service(machine: Host) -> None:
    assert "ok" in machine.follow("check")
    machine.follow("start")
    assert machine.show("reaper", "ActiveState") == "active"
    assert machine.show("reaper", "UnitFileState") == "enabled"
    first, *_ = machine.add(3)
    eventually(lambda: machine.stopped() == 3, what="the daemon stops what an operator added")
    eventually(
        lambda: machine.show("reaper", "StatusText").startswith("0 ready, 0 due later, 0 dead, "),
        what="systemd has the status",
    )

    (entry,) = machine.box.journal("reaper", machine.since, f"SESSION_ID={first}")
    named = {name: entry[name] for name in ("REAPER_EVENT", "OUTCOME", "STATUS", "PRIORITY", "SYSLOG_IDENTIFIER")}
    assert list(named.values()) == ["session.settled", "stopped", "204", "6", "reaper"]
    assert json.loads(entry["MESSAGE"])["session_id"] == first

    said = machine.follow("operate")

    assert "Active: active (running)" in said
    assert "Status: " in said
    shown = json.loads(machine.operator("show", "env_12345", "--json").stdout)
    assert shown["state"] == "scheduled"
    assert machine.box.run("stat", "-c", "%U %a", "/var/lib/reaper").stdout.split() == ["reaper", "700"]


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_another_user_is_told_the_command_that_works(machine: Host, user: str) -> None:
    machine.follow("start")
    for words in (("status",), ("audit",), ("add", "env_1")):
        refused = machine.box.run("sudo", "-u", user, "reaper", *words, expect=69)
        assert refused.stdout == ""
        assert len(refused.stderr.splitlines()) == 1
        assert "/var/lib/reaper/reaper.db" in refused.stderr
        assert "`sudo -u reaper reaper …`" in refused.stderr
    strangers = machine.box.run("find", "/var/lib/reaper", "!", "-user", "reaper").stdout
    assert strangers == ""


def test_the_running_service_is_closed(machine: Host) -> None:
    machine.follow("start")
    pid = machine.show("reaper", "MainPID")
    facts = dict(line.split(":", 1) for line in machine.box.run("cat", f"/proc/{pid}/status").stdout.splitlines())
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"].strip() == "1"
    assert facts["Seccomp"].strip() == "2"
    limits = machine.box.run("cat", f"/proc/{pid}/limits").stdout
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(r"Max open files +4096 +4096 ", limits)
    assert int(machine.box.run("cat", f"/proc/{pid}/coredump_filter").stdout, 16) == 0
    # Root in the service's view of the file system: what even root cannot do there, the service cannot.
    machine.box.run("touch", "/home/seen", "/tmp/seen")
    inside = ("nsenter", f"--target={pid}", "--mount", "--")
    machine.box.run(*inside, "touch", "/var/lib/reaper/x")
    assert "Read-only" in machine.box.run(*inside, "touch", "/etc/x", expect=1).stderr
    assert machine.box.run(*inside, "ls", "-A", "/home", "/tmp").stdout.split() == ["/home:", "/tmp:"]
    assert not machine.box.run(*inside, "sh", "-c", "ls /dev/mem /dev/kmsg 2> /dev/null", expect=2).stdout


def test_a_reload_takes_over_the_settings_and_refuses_bad_ones(machine: Host) -> None:
    machine.follow("start")
    pid = machine.show("reaper", "MainPID")
    machine.box.shell("printf '[worker]\\nconcurrency = 5\\n' >> /etc/reaper/reaper.toml; systemctl reload reaper")
    eventually(lambda: machine.events("config.reloaded"), what="the new settings are taken over")
    assert machine.events("config.reloaded")[0]["changed"] == ["worker.concurrency"]
    assert machine.events("config.reloaded")[0]["PRIORITY"] == "6"

    machine.box.shell("echo 'rate_per_z = 1' >> /etc/reaper/reaper.toml; systemctl reload reaper")
    eventually(lambda: machine.events("config.refused"), what="the bad settings are refused")
    assert "rate_per_s" in machine.events("config.refused")[0]["detail"]
    assert machine.events("config.refused")[0]["PRIORITY"] == "3"
    # It notified systemd of the reload's end, too.
    eventually(lambda: machine.show("reaper", "ActiveState") == "active", what="it is active again")
    assert machine.show("reaper", "MainPID") == pid
    # The operator's commands read the same file.
    machine.box.run("sed", "-i", "/rate_per_z/d", "/etc/reaper/reaper.toml")
    machine.add(1)
    eventually(lambda: machine.stopped() == 1, what="it works on")


# --- the token ------------------------------------------------------------------------------------------------------


def paused(machine: Host) -> bool:
    return "paused: credentials" in machine.show("reaper", "StatusText")


def refuse(machine: Host, count: int) -> None:
    """Queue sessions that the daemon's token may not stop any more, and wait until it has noticed."""
    ids = machine.live(count)
    machine.order(token=SECOND)
    machine.operator("add", *ids)
    eventually(lambda: paused(machine), what="systemd has the pause")
    assert machine.stopped() == 0


def test_a_new_token_is_taken_up_by_a_restart(machine: Host) -> None:
    machine.follow("start")
    refuse(machine, 3)
    put, restart = block("docs/systemd.md", name="rotate").splitlines()
    machine.box.shell(put, typed=f"{SECOND}\n")
    copy = ("cat", "/run/credentials/reaper.service/archal-token")
    if not machine.show("reaper", "RefreshOnReload"):  # a systemd that never renews the copy
        machine.box.run("systemctl", "reload", "reaper")
        eventually(lambda: machine.events("config.reloaded"), what="a reload is done")
        assert machine.box.run(*copy).stdout.strip() == FIRST
        assert paused(machine)

    machine.box.shell(restart)

    assert machine.box.run(*copy).stdout.strip() == SECOND
    eventually(lambda: machine.stopped() == 3, what="what waited for a token is stopped")
    assert machine.box.run("stat", "-c", "%U %a", "/etc/reaper/token").stdout.split() == ["root", "600"]
    assert SECOND not in machine.journal("reaper")


def test_a_token_file_is_taken_up_without_a_restart(machine: Host) -> None:
    machine.follow("start")
    machine.follow("token-file")
    assert "ok" in machine.operator("check").stdout
    machine.box.run("test", "-e", "/run/credentials/reaper.service", expect=1)
    machine.box.write("/etc/reaper/ids.txt", "\n".join(machine.live(7)))
    refuse(machine, 3)
    pid = machine.show("reaper", "MainPID")

    machine.follow("rotate-file", typed=f"{SECOND}\n")

    eventually(lambda: machine.stopped() == 3, what="what waited for a token is stopped")
    assert machine.show("reaper", "MainPID") == pid
    eventually(lambda: bool(machine.events("api.resumed")), what="the journal has it")
    assert machine.box.run("stat", "-c", "%U:%G %a", "/etc/reaper/token").stdout.split() == ["root:reaper", "640"]
    machine.box.run("sudo", "-u", "nobody", "cat", "/etc/reaper/token", expect=1)
    # The one-shot run reads the same file.
    machine.box.run("systemctl", "start", "reaper-once.service")
    assert machine.stopped() == 7


# --- ends and restarts ----------------------------------------------------------------------------------------------


def test_a_stop_lets_what_is_in_flight_end(machine: Host) -> None:
    machine.order(latency="4s")
    machine.follow("start")
    machine.add(5)
    eventually(lambda: machine.status()["in_flight"] == 5, what="all are in flight")
    begun = time.monotonic()

    machine.box.run("systemctl", "stop", "reaper")

    assert time.monotonic() - begun < 25
    assert machine.show("reaper", "Result") == "success"
    assert machine.stopped() == 5
    assert machine.status()["in_flight"] == 0
    assert machine.events("reaper.draining")[0]["in_flight"] == 5
    machine.operator("audit")


def test_a_killed_daemon_comes_back_and_goes_on(machine: Host) -> None:
    machine.drop_in("reaper.service", "[Service]\nRestartSec=500ms\n")
    machine.order(latency="3s")
    machine.follow("start")
    machine.add(5)
    eventually(lambda: machine.status()["in_flight"] == 5, what="all are in flight")

    machine.box.run("systemctl", "kill", "--signal=KILL", "reaper")

    eventually(lambda: machine.show("reaper", "NRestarts") == "1", what="systemd starts it again")
    settled = ("stopped", "already_gone")
    eventually(
        lambda: sum(machine.status()["settled"].get(how, 0) for how in settled) == 5, what="all are stopped in the end"
    )
    machine.operator("audit")


def test_wrong_settings_are_not_tried_again(machine: Host) -> None:
    machine.drop_in("reaper.service", "[Service]\nRestartSec=100ms\n")
    machine.box.shell("echo 'concurency = 5' >> /etc/reaper/reaper.toml")

    machine.box.run("systemctl", "start", "reaper", expect=1)

    assert machine.show("reaper", "ActiveState") == "failed"
    assert machine.show("reaper", "ExecMainStatus") == "78"
    assert machine.show("reaper", "NRestarts") == "0"
    (entry,) = [one for one in machine.box.journal("reaper", machine.since) if "concurency" in one["MESSAGE"]]
    assert entry["PRIORITY"] == "3"


def test_a_hung_loop_is_aborted_and_leaves_its_stack(machine: Host) -> None:
    machine.box.write("/opt/reaper/hung.py", HUNG)
    # Only the program and the two times differ from what is installed.
    command = "ExecStart=\nExecStart=/opt/reaper/bin/python /opt/reaper/hung.py run\n"
    machine.drop_in("reaper.service", f"[Service]\n{command}WatchdogSec=3\nRestartSec=100ms\n")
    machine.follow("start")

    eventually(lambda: machine.show("reaper", "NRestarts") != "0", 40, what="it is aborted and started again")

    said = machine.journal("reaper")
    assert "Watchdog timeout (limit 3s)!" in said
    assert "Fatal Python error: Aborted" in said
    assert re.search(r'File "/opt/reaper/hung.py", line \d+ in hold_up_the_loop', said)
    assert "status=6/ABRT" in said


def test_a_daemon_with_nothing_to_do_is_not_taken_for_hung(machine: Host) -> None:
    machine.drop_in("reaper.service", "[Service]\nWatchdogSec=2\n")
    machine.follow("start")
    begun = machine.show("reaper", "WatchdogTimestampMonotonic")
    eventually(
        lambda: int(machine.show("reaper", "WatchdogTimestampMonotonic")) > int(begun) + 6_000_000, what="it reports"
    )
    assert machine.show("reaper", "NRestarts") == "0"
    assert machine.show("reaper", "ActiveState") == "active"


# --- the one-shot run -----------------------------------------------------------------------------------------------


def test_the_timer_stops_what_the_list_names(machine: Host) -> None:
    machine.operator("queue", "init")
    machine.drop_in(
        "reaper-once.timer", "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nRandomizedDelaySec=0\nAccuracySec=100ms\n"
    )
    assert "reaper-once.service" in machine.follow("timer")
    machine.box.write("/etc/reaper/ids.txt", "\n".join(machine.live(4)))
    eventually(lambda: machine.stopped() == 4, what="the timer's run stops them")
    eventually(lambda: "4 sessions in" in machine.journal("reaper-once.service"), what="the log has its summary")
    machine.operator("audit")


def test_a_run_without_its_list_fails(machine: Host) -> None:
    machine.box.run("systemctl", "start", "reaper-once.service", expect=1)
    assert machine.show("reaper-once.service", "ExecMainStatus") == "2"
    assert "/etc/reaper/ids.txt" in machine.journal("reaper-once.service")
    machine.box.run("install", "-m", "0644", "/dev/null", "/etc/reaper/ids.txt")
    machine.box.run("systemctl", "start", "reaper-once.service")


def test_work_that_is_left_is_no_failure(machine: Host) -> None:
    machine.box.write("/etc/reaper/ids.txt", "\n".join(machine.live(2)))
    machine.operator("queue", "init")
    machine.operator("pause", "--reason", "a quiet hour")
    # `start` waits for its end, and reports a failure.
    machine.box.run("systemctl", "start", "reaper-once.service")
    assert "stopped early" in machine.journal("reaper-once.service")
    assert machine.status()["ready"] == 2
    # The same code, were it not named.
    machine.drop_in("reaper-once.service", "[Service]\nSuccessExitStatus=\n")
    machine.box.run("systemctl", "start", "reaper-once.service", expect=1)
    assert machine.show("reaper-once.service", "ExecMainStatus") == "75"


def test_the_crontab_runs_and_says_nothing(machine: Host) -> None:
    machine.box.shell("userdel reaper && rm -rf /var/lib/reaper /etc/reaper")
    machine.box.shell(block("docs/cron.md", name="user"), typed=f"{FIRST}\n")
    machine.aim()
    assert "ok" in machine.box.shell(block("docs/cron.md", name="check"))
    mail, line = block("docs/cron.md", name="crontab").splitlines()
    assert mail.startswith("MAILTO=")
    minute, hour, day, month, weekday, user, command = line.split(maxsplit=6)
    assert (minute, hour, day, month, weekday) == ("*/15", "*", "*", "*", "*")
    machine.box.write("/etc/reaper/ids.txt", "\n".join(machine.live(3)))
    as_cron = ("sudo", "-u", user, "env", "-i", "PATH=/usr/bin:/bin", "/bin/sh", "-c", command)

    done = machine.box.run(*as_cron)

    assert (done.stdout, done.stderr) == ("", "")
    assert machine.stopped() == 3
    tagged = ("journalctl", "--identifier=reaper", f"--since=@{machine.since:.6f}", "--output=cat")
    assert "3 sessions in" in machine.box.run(*tagged).stdout
    # What it cannot do is mailed.
    machine.box.run("rm", "/etc/reaper/ids.txt")
    assert "/etc/reaper/ids.txt" in machine.box.run(*as_cron).stderr


def test_the_line_for_a_monitor_takes_work_left_for_success(machine: Host) -> None:
    machine.follow("token-file")
    machine.box.run("systemctl", "stop", "reaper")
    machine.box.write("/etc/reaper/ids.txt", "\n".join(machine.live(2)))
    monitor = ("sh", "-c", block("docs/cron.md", name="monitor"))
    machine.operator("pause", "--reason", "a quiet hour")
    machine.box.run(*monitor)
    assert machine.status()["ready"] == 2
    machine.operator("resume")
    machine.box.run("rm", "/etc/reaper/ids.txt")
    machine.box.run(*monitor, expect=1)


# --- a shared queue -------------------------------------------------------------------------------------------------


def test_the_service_and_its_operators_share_a_queue(machine: Host) -> None:
    engine = "redis-server --port 6399 --bind 127.0.0.1 --appendonly yes --dir /run/engine"
    start = ("systemd-run", "--quiet", "--unit=engine", "-p", "RuntimeDirectory=engine", *engine.split())
    if machine.box.run("which", "redis-server", expect=None).returncode != 0:
        missing("redis-server", "is not installed")
    machine.box.run(*start, "--save", "")
    try:
        machine.follow("shared-queue")
        use_queue(machine, "redis://127.0.0.1:6399/0")
        eventually(
            lambda: "PONG" in machine.box.run("redis-cli", "-p", "6399", "ping", expect=None).stdout, what="it answers"
        )
        machine.follow("shared-queue-start")
        machine.add(3)
        eventually(lambda: machine.stopped() == 3, what="what an operator added is stopped")
        assert machine.box.run("find", "/var/lib/reaper", "-name", "reaper.db").stdout == ""
        machine.box.run("sudo", "-u", "nobody", "cat", "/etc/reaper/reaper.toml", expect=1)

        machine.box.run("systemctl", "stop", "engine")
        eventually(lambda: "queue unavailable" in machine.show("reaper", "StatusText"), what="systemd has the status")
        assert machine.show("reaper", "ActiveState") == "active"
    finally:
        machine.box.run("systemctl", "stop", "engine", expect=None)


def test_a_service_whose_engine_is_away_is_tried_again(machine: Host) -> None:
    machine.follow("shared-queue")
    use_queue(machine, "postgresql://reaper:s3cret@127.0.0.1:1/reaper")
    machine.box.run("systemctl", "start", "reaper", expect=1)
    eventually(lambda: machine.show("reaper", "SubState") == "auto-restart", what="systemd waits to start it again")
    assert machine.show("reaper", "ExecMainStatus") == "69"
    # The driver is loaded under all the restrictions of the service.
    assert "PostgreSQL at 127.0.0.1:1" in machine.journal("reaper")
    assert "s3cret" not in machine.journal("reaper")


def use_queue(machine: Host, url: str) -> None:
    """Write a URL where the page says to put it."""
    machine.box.run("sed", "-i", f'/^.queue.$/,/^.intake.$/s|^url = .*|url = "{url}"|', "/etc/reaper/reaper.toml")
    assert url in machine.box.run("cat", "/etc/reaper/reaper.toml").stdout


# --- drop-ins, upgrade, removal -------------------------------------------------------------------------------------


def test_the_way_out_can_be_closed(machine: Host) -> None:
    example = "/srv/clone/systemd/reaper.service.d/egress.conf.example"
    machine.box.run("install", "-D", "-m", "0644", example, "/etc/systemd/system/reaper.service.d/egress.conf")
    machine.box.run("systemctl", "daemon-reload")
    machine.follow("start")
    machine.add(1)
    eventually(lambda: machine.stopped() == 1, what="this machine stays reachable")

    if "does not support BPF" in machine.journal("reaper"):
        missing("bpf", "is not there for the kernel to filter addresses with")

    # The same without the stand-in's address: it cannot be reached any more.
    machine.box.run("sed", "-i", "/localhost/d", "/etc/systemd/system/reaper.service.d/egress.conf")
    machine.box.shell("systemctl daemon-reload; systemctl restart reaper")
    machine.add(1)
    eventually(lambda: "paused: api_down" in machine.show("reaper", "StatusText"), 60, what="the API is unreachable")
    assert machine.stopped() == 1


def test_an_upgrade_keeps_the_ledger(machine: Host) -> None:
    machine.follow("start")
    machine.add(2)
    eventually(lambda: machine.stopped() == 2, what="something is in the ledger")
    machine.follow("upgrade")
    assert machine.show("reaper", "ActiveState") == "active"
    assert machine.stopped() == 2
    assert machine.box.run("find", "/var/lib/reaper", "-name", "before-*.db").stdout.count("\n") == 1
    machine.add(1)
    eventually(lambda: machine.stopped() == 3, what="it works on")


def test_what_is_removed_is_gone_and_can_be_installed_again(machine: Host) -> None:
    machine.follow("start")
    machine.follow("timer")
    try:
        machine.follow("remove")
        assert machine.show("reaper", "LoadState") == "not-found"
        assert machine.show("reaper-once.timer", "LoadState") == "not-found"
        assert machine.box.run("find", "/etc/systemd", "/opt", "/usr/local/bin", "-name", "*reaper*").stdout == ""
        assert machine.box.run("find", "/var/lib/reaper", "-name", "reaper.db").stdout
        machine.follow("purge")
        assert machine.box.run("find", "/etc", "/var", "-name", "*reaper*").stdout == ""
        assert "reaper" not in machine.box.run("cat", "/etc/passwd", "/etc/group").stdout
    finally:
        machine.install()
    machine.begin()
    machine.follow("start")
    machine.add(1)
    eventually(lambda: machine.stopped() == 1, what="a second installation works")

"""A resolver that never answers: nothing waits for it longer than for a connection, least of all the end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.processes.command import Command
from tests.support.programs import missing, need

SILENT = """
set -e
ip link set lo up
printf 'nameserver 127.0.0.53\\nsearch a.test b.test svc.cluster.local cluster.local\\noptions ndots:5\\n' > resolv
printf 'hosts: files dns\\n' > nsswitch
mount --bind resolv /etc/resolv.conf
mount --bind nsswitch /etc/nsswitch.conf
exec {python} -c '
import os, socket, subprocess, sys
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.53", 53))
os.execv("/bin/sh", ["sh", "-c", sys.argv[1]]) if os.fork() == 0 else os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
' {script}
"""


def run_with_silent_resolver(command: Command, script: str) -> tuple[int, float, str]:
    """Run a shell script where names are asked of a server that takes queries and answers none."""
    unshare = need("unshare")
    need("ip")
    if os.geteuid() or subprocess.run([unshare, "-m", "-n", "true"], check=False).returncode:
        missing("unshare", "may make no namespaces here")
    whole = SILENT.format(python=shlex.quote(sys.executable), script=shlex.quote(script))
    begun = time.monotonic()
    done = subprocess.run(
        [unshare, "-m", "-n", "sh", "-c", whole],
        env=command.environ() | {"REAPER": f"{sys.executable} -m reaper"},
        cwd=command.home,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, time.monotonic() - begun, done.stdout + done.stderr


@pytest.fixture
def away(command: Command) -> Command:
    command.env |= {"REAPER_API__BASE_URL": "https://api.test.example", "REAPER_TELEMETRY__LISTEN": ""}
    return command


def test_the_daemon_is_gone_soon_after_sigterm(away: Command) -> None:
    script = """
    $REAPER add -q env_1 env_2 env_3
    $REAPER run & daemon=$!
    sleep 4; kill -TERM $daemon; date +%s.%N > begun
    wait $daemon; code=$?; date +%s.%N > ended; exit $code
    """
    code, _, said = run_with_silent_resolver(away, script)
    assert code == 0, said
    begun, ended = (float(Path(away.home / name).read_text()) for name in ("begun", "ended"))
    assert ended - begun < 2, said
    assert '"reaper.exited", "exit": 0' in said


def test_a_time_budget_is_kept(away: Command) -> None:
    code, took_s, said = run_with_silent_resolver(away, "echo env_1 | $REAPER once --for 4s -")
    assert code == 75, said
    assert took_s < 7, said


@pytest.mark.parametrize("engine", ["postgresql", "redis"])
@pytest.mark.parametrize("verb", ["once", "status"])
def test_a_queues_server_is_waited_for_no_longer_than_a_connection(away: Command, engine: str, verb: str) -> None:
    away.env["REAPER_QUEUE__URL"] = f"{engine}://queue.test.example/0"
    code, took_s, said = run_with_silent_resolver(away, f"$REAPER {verb}")
    assert code == 69, said
    assert took_s < 13, said
    assert "Traceback" not in said

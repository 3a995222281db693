"""Too few descriptors: fewer sends in flight, a warning, and an outage that ends by itself."""

from __future__ import annotations

import os
import resource
import signal
from functools import partial

from reaper.sandbox.sessions import Session
from tests.support.eventually import eventually
from tests.support.processes.command import Command, aim, write_ids
from tests.support.processes.daemon import daemon, page, watch
from tests.support.sandbox import running_sandbox

IDS = [f"env_{number}" for number in range(300)]


def limited(soft: int, hard: int) -> partial[None]:
    return partial(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))


def test_a_hard_limit_below_the_bound_is_respected(command: Command) -> None:
    with running_sandbox(map(Session, IDS), latency="100ms") as sandbox:
        aim(command, sandbox, worker__concurrency=500)
        path = str(write_ids(command.home / "ids", IDS))
        process = command.start("once", path, preexec_fn=limited(100, 100))
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
        assert "at most 100 files may be open" in said
        assert 8 <= sandbox.counters.peak_in_flight <= 36
        assert max(sandbox.sends.values()) == 1
    command.audit()


def test_a_soft_limit_is_raised(command: Command) -> None:
    with running_sandbox(map(Session, IDS), latency="300ms") as sandbox:
        aim(command, sandbox, worker__concurrency=200)
        path = str(write_ids(command.home / "ids", IDS))
        process = command.start("once", path, preexec_fn=limited(64, 1024))
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
        assert "files may be open" not in said
        assert sandbox.counters.peak_in_flight > 100


def test_check_says_what_the_limit_allows(command: Command) -> None:
    with running_sandbox(0) as sandbox:
        aim(command, sandbox, worker__concurrency=500)
        process = command.start("check", preexec_fn=limited(100, 100))
        printed = process.communicate(timeout=30)[0]
        assert process.returncode == 0, printed
        assert "worker.concurrency 500 needs 564" in printed


def test_a_lack_in_between_is_an_outage_that_is_said_and_ends(command: Command) -> None:
    """Another part of the process, or an administrator, takes the descriptors away; later they are back."""
    with running_sandbox(map(Session, IDS), latency="500ms") as sandbox:
        watch(command, sandbox, worker__concurrency=16, retry__cap_s=1)
        with daemon(command) as process:
            eventually(lambda: page(command, "/readyz")[0] == 200)
            before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            now = len(os.listdir(f"/proc/{process.pid}/fd"))
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (now, before[1]))
            assert command.run("add", "--from", str(write_ids(command.home / "ids", IDS))).returncode == 0
            log = command.home / "daemon.log"
            eventually(lambda: "Too many open files" in log.read_text(), 20)
            assert "cannot be resolved" not in log.read_text()
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
            eventually(lambda: len(sandbox.sends) == len(IDS), 40)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0
        assert max(sandbox.sends.values()) == 1
    assert set(command.outcomes().values()) == {"stopped"}
    command.audit()

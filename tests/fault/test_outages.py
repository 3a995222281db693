"""No room, no inodes, no descriptors, a ledger that another program locks: outages, after which work goes on."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from reaper.sandbox.sessions import Session
from tests.support.eventually import eventually
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import asked, settle_up
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command, write_ids
from tests.support.processes.daemon import daemon, events, page, watch
from tests.support.programs import missing
from tests.support.sandbox import RunningSandbox, running_sandbox

COUNT = 300


@contextmanager
def small_disk(command: Command, options: str) -> Iterator[Path]:
    """Mount a small file system where the ledger will be."""
    place = command.home / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        missing("mount", f"not allowed here: {done.stderr.strip()}")
    command.env["REAPER_QUEUE__URL"] = f"sqlite://{place}/r/reaper.db"
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def fill(place: Path, what: str) -> None:
    """Leave no room, or no inode."""
    with suppress(OSError):
        if what == "space":
            with (place / "ballast").open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
        for number in range(1000):
            (place / f"ballast{number}").touch()


def empty(place: Path) -> None:
    for ballast in place.glob("ballast*"):
        ballast.unlink()


def goes_on(command: Command, warm: Warm, sandbox: RunningSandbox, ids: list[str]) -> None:
    """Check that the daemon recovers, stops everything, and that the books balance; the outage was said once."""
    sandbox.until(lambda s: len(s.sessions.active) == 0, 30)
    eventually(lambda: len(events(command, "queue.recovered")) == len(events(command, "queue.unavailable")), 10)
    assert "Traceback" not in (command.home / "daemon.log").read_text()
    command.env.pop("REAPER_TELEMETRY__LISTEN")
    run = partial(warm.run, command)
    # The last answers are in the ledger up to 20 ms after the API gave them, and later on a busy machine.
    eventually(lambda: asked(run, "status")[0]["settled"].get("stopped") == len(ids), 10, what="all is in the ledger")
    settle_up(command, sandbox.deletes, ids, Bounds(in_flight=8, repeats=0, sends_per_id=1), run=run)


@contextmanager
def at_work(command: Command, warm: Warm) -> Iterator[subprocess.Popen[str]]:
    """Run a daemon that has begun to stop `COUNT` sessions; afterwards it must go on to the end."""
    ids = [f"ses-{number}" for number in range(COUNT)]
    with running_sandbox(map(Session, ids), latency="20ms") as sandbox:
        watch(command, sandbox, worker__concurrency=8)
        path = str(write_ids(command.home / "ids.txt", ids))
        assert warm.run(command, "add", "-q", "--from", path).returncode == 0
        with daemon(command) as process:
            sandbox.until(lambda s: s.counters.deletes > 30, 30)
            yield process
            goes_on(command, warm, sandbox, ids)
            process.terminate()
            assert process.wait(30) == 0


# A ledger that is open needs no more inodes.
@pytest.mark.parametrize(
    ("what", "when"), [("space", "at work"), ("space", "before the start"), ("inodes", "before the start")]
)
def test_a_full_disk(command: Command, warm: Warm, what: str, when: str) -> None:
    ids = [f"ses-{number}" for number in range(COUNT)]
    options = "size=8m" if what == "space" else "size=30m,nr_inodes=40"
    with running_sandbox(map(Session, ids), latency="20ms") as sandbox, small_disk(command, options) as place:
        watch(command, sandbox, worker__concurrency=8)
        path = str(write_ids(command.home / "ids.txt", ids))
        assert warm.run(command, "add", "-q", "--from", path).returncode == 0
        if when == "before the start":
            fill(place, what)
        with daemon(command) as process:
            if when == "at work":
                sandbox.until(lambda s: s.counters.deletes > 30, 30)
                fill(place, what)
            eventually(lambda: events(command, "queue.unavailable"), 20)
            time.sleep(2)
            (said,) = events(command, "queue.unavailable")
            assert f"no {what} left on {place}" in str(said["detail"])
            if when == "at work":
                assert page(command, "/readyz")[0] == 503
            assert process.poll() is None
            refused = warm.run(command, "add", "more")
            assert (refused.returncode, f"no {what} left" in refused.stderr) == (69, True), refused.stderr
            sent = len(sandbox.deletes)
            empty(place)
            goes_on(command, warm, sandbox, ids)
            assert sent < COUNT
            process.terminate()
            assert process.wait(30) == 0


def test_no_descriptors(command: Command, warm: Warm) -> None:
    """The running process gets a limit below what it has open, and then its old one again."""
    with at_work(command, warm) as process:
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (6, limits[1]))
        time.sleep(3)
        assert process.poll() is None
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)


def test_a_ledger_that_another_program_locks(command: Command, warm: Warm) -> None:
    """As a shell of sqlite3 with a transaction open does it, for longer than a call waits."""
    with at_work(command, warm) as process:
        blocker = sqlite3.connect(command.ledger, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        eventually(lambda: events(command, "queue.unavailable"), 30)
        assert process.poll() is None
        blocker.execute("ROLLBACK")
        blocker.close()


def test_a_process_that_may_open_too_few_files_says_so(command: Command, warm: Warm) -> None:
    assert warm.run(command, "add", "-q", "ses-1").returncode == 0
    for limit in range(4, 40):
        done = subprocess.run(
            ["sh", "-c", f"ulimit -n {limit}; exec python -m reaper add ses-2"],
            env=command.environ() | {"PATH": f"{Path('.venv/bin').resolve()}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            break
        if "reaper:" in done.stderr and "ledger" in done.stderr:
            assert "rights" not in done.stderr, done.stderr
    assert done.returncode == 0

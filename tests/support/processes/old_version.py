"""The last version of the older schema, from the project's history, run as a process beside today's."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.support.processes.command import Command

COMMIT = "1210c34"
"""The last commit with schema 1, for every engine. Schema 2 never left its author's machine: 3 came first."""

FILL = """
import asyncio, os, sys, time
from pathlib import Path
from reaper.core.model import LeaseResult, Outcome, Pause, PauseReason, Release, Retry, Send, SessionId, Settle
from reaper.queues.open import open_queue
from reaper.queues.values import Batch, NewItem

def batch(*names, at=None):
    return Batch("old", [NewItem(SessionId(name), at) for name in names])

async def fill(url, home, lease_s, *more):
    opened = await open_queue(url, create=True, read_only=False, worker=True, state_dir=lambda: Path(home))
    queue = opened.queue
    now = queue.now()

    async def end(name, decision, status, error=None):
        await queue.add(batch(name))
        (lease,) = await queue.claim(1, lease_s=60)
        assert lease.session_id == name, lease
        send = None if status is None else Send(at=now, duration_s=0.1, status=status, error=error)
        assert await queue.apply([LeaseResult(lease, decision, send)]) == [True]

    await end("env_stopped", Settle(Outcome.STOPPED), 204)
    await end("env_gone", Settle(Outcome.ALREADY_GONE), 404)
    await end("env_refused", Settle(Outcome.FORBIDDEN), 403, "no")
    await end("env_retry_soon", Retry(1.0), 502)
    await end("env_retry_late", Retry(3600.0), 502)
    await queue.add(batch("env_delayed"), default_after_s=3600.0)
    await queue.add(batch("env_timed", at=now + 7200.0))
    await queue.add(batch("env_held", "env_held_cancelled"))
    assert len(await queue.claim(2, lease_s=float(lease_s))) == 2
    await queue.cancel(SessionId("env_held_cancelled"), reason="why", by="who")
    await queue.add(batch("env_a", "env_b", "env_c", *more))
    await queue.compare_and_set("account", "usr_1", was=None)
    os._exit(0)  # as killed: leases stay

asyncio.run(fill(*sys.argv[1:]))
"""


@cache
def source() -> Path:
    """Return a directory with the package of that version; skip the test where git does not have it."""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(["git", "-C", str(root), "archive", COMMIT, "reaper"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"commit {COMMIT} is not in the history here: {done.stderr.decode(errors='replace').strip()}")
    directory = tempfile.mkdtemp(prefix="reaper-old-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    subprocess.run(["tar", "-x", "-C", directory], input=done.stdout, check=True)
    return Path(directory)


def old(command: Command) -> Command:
    """Return the command of that version in the same world."""
    return Command(command.home, {**command.env, "PYTHONPATH": str(source())}, keeps_contract=False)


def fill(command: Command, url: str, lease_s: float = 3.0) -> None:
    """Let the old version fill a queue with IDs in every state, and die with two of them in flight."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, url, str(command.home), str(lease_s), "null"],
        env=old(command).environ(),
        cwd=command.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]

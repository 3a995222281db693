"""SIGKILL at every system call that writes: this run up to there and the next one together leave nothing undone."""

from __future__ import annotations

import shutil
import signal
from functools import partial

import pytest

from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import peak, settle_up
from tests.support.fault.profile import Profile
from tests.support.fault.tracing import WRITES, traced
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command, aim, write_ids
from tests.support.sandbox import running_sandbox, script, start_sessions

BOUND, PORTION = 3, 6


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("workload", ["on a new ledger", "on an old ledger"])
def test_killed_at_every_write(command: Command, warm: Warm, profile: Profile, workload: str) -> None:
    """The nth write of the thread that gets there first: of all of the ledger's, which writes most."""
    old = command.home / "old"
    with running_sandbox([], latency="5ms") as sandbox:
        aim(command, sandbox, worker__concurrency=BOUND, retry__base_s=0.01)
        if workload == "on an old ledger":
            assert warm.run(command, "add", "old-1").returncode == 0
            assert warm.run(command, "once").returncode == 0
            shutil.copytree(command.ledger.parent, old)
        points, number, hit = 0, 1 + profile.seed % profile.every, True
        while hit:
            shutil.rmtree(command.ledger.parent, ignore_errors=True)
            if old.exists():
                shutil.copytree(old, command.ledger.parent)
            ids = [f"point-{number}-{one}" for one in range(PORTION)]  # the last is nobody's: 404
            start_sessions(sandbox, ids[:-1])
            script(sandbox, [ids[1]], "502")
            path = str(write_ids(command.home / "ids.txt", ids))
            inject = f"inject={WRITES}:signal=KILL:when={number}"
            done = traced(warm, command, "once", "-q", path, options=["-e", f"trace={WRITES}", "-e", inject])
            hit = done.code == -signal.SIGKILL
            assert hit or done.code == 0, done.err
            done_after = warm.run(command, "once", "-q", path)
            assert done_after.returncode == 0, (number, done_after.stderr)
            deletes = [delete for delete in sandbox.deletes if (delete.session_id or "").startswith(f"point-{number}-")]
            known = {*ids, "old-1"} if old.exists() else ids
            settle_up(
                command,
                [*deletes, *(delete for delete in sandbox.deletes if delete.session_id == "old-1")],
                known,
                Bounds(in_flight=BOUND, repeats=BOUND, sends_per_id=3),
                run=partial(warm.run, command),
                peak_in_flight=peak(sandbox),
            )
            points += hit
            number += profile.every
    assert points >= 20 // profile.every + 1
    print(f"\nSIGKILL at {points} writes ({workload}, every {profile.every}): 0 lost, 0 doubled")

"""What the ledger acknowledged was synced before, as the kernel saw it: a setting alone proves nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import need

ROUNDS = 5
PROGRAM = """
import os, sys
import anyio
from reaper.core.model import LeaseResult, Outcome, Send, SessionId, Settle
from reaper.queues.values import Batch, NewItem
from reaper.queues.sqlite.open import open_ledger

def acknowledged(what, number):
    os.write(2, f"acknowledged {what} {number}".encode())

async def main():
    queue, _ = await open_ledger(sys.argv[1], create=True, read_only=False, worker=True)
    for number in range(int(sys.argv[2])):
        acknowledged("begin", number)
        await queue.add(Batch("test", [NewItem(SessionId(f"s{number}"))]))
        acknowledged("add", number)
        (lease,) = await queue.claim(1, lease_s=60)
        acknowledged("claim", number)
        await queue.apply([LeaseResult(lease, Settle(Outcome.STOPPED), Send(1.0, 0.1, 204))])
        acknowledged("apply", number)
    await queue.close()

anyio.run(main)
"""


def test_what_is_acknowledged_was_synced_before(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    watched = [need("strace"), "-f", "-qq", "-o", str(trace), "-e", "trace=write,fsync,fdatasync"]
    done = subprocess.run(
        [*watched, sys.executable, "-c", PROGRAM, str(tmp_path / "ledger.db"), str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode and "ptrace" in done.stderr.lower():
        pytest.skip("this machine allows no tracing")
    assert done.returncode == 0, done.stderr
    synced, seen = 0, []
    for line in trace.read_text().splitlines():
        if re.search(r"\bf(data)?sync\(|<\.\.\. f(data)?sync resumed", line) and line.rstrip().endswith("= 0"):
            synced += 1
        elif found := re.search(r'write\(2, "acknowledged (\w+) \d+"', line):
            seen.append((found[1], synced))
            synced = 0
    assert [what for what, _ in seen] == ["begin", "add", "claim", "apply"] * ROUNDS
    unsynced = [(what, number // 4) for number, (what, syncs) in enumerate(seen) if what != "begin" and not syncs]
    assert not unsynced, "acknowledged, and not on the disk yet"

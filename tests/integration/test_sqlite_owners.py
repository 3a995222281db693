"""Several real processes on one ledger, and the sudden death of one."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from reaper.core.model import Outcome
from reaper.queues.sqlite.open import open_ledger
from tests.support.queues.harness import LEASE_S, STOPPED, ended, ids, names, sent

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]

PRELUDE = """
import asyncio, os, signal, sys
from tests.support.queues.harness import *
from reaper.queues.sqlite.open import open_ledger
async def main():
    queue, _ = await open_ledger(sys.argv[1], create=True, read_only=False, worker=True)
"""
DIE_HOLDING = """
    await queue.add(ids("a", "b", "c"))
    for lease in await queue.claim(2, lease_s=3600):
        print(lease.session_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
ADD_MANY = """
    for number in range(100):
        await queue.add(ids(*(f"{sys.argv[2]}-{number}-{i}" for i in range(5))))
    await queue.close()
asyncio.run(main())
"""
ADD_UNTIL_KILLED = """
    for number in range(1_000_000):
        await queue.add(ids(f"s{number}"))
        print(number, flush=True)
asyncio.run(main())
"""


def start(body: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + body, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


async def test_no_restart_waits_for_a_lease_of_the_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    process = start(DIE_HOLDING, path)
    out, _ = await anyio.to_thread.run_sync(process.communicate)
    assert (process.returncode, out.split()) == (-9, ["a", "b"])
    queue, created = await open_ledger(path, create=True, read_only=False, worker=True)
    assert not created
    leases = await queue.claim(5, lease_s=LEASE_S)
    assert sorted(names(leases)) == ["a", "b", "c"]
    assert {lease.session_id: lease.unanswered for lease in leases} == {"a": 1, "b": 1, "c": 0}
    assert (await queue.audit()).balanced
    await queue.close()


async def test_processes_write_and_read_beside_each_other(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    queue, _ = await open_ledger(path, create=True, read_only=False, worker=True)
    reader, _ = await open_ledger(path, create=False, read_only=True, worker=False)
    producers = [start(ADD_MANY, path, name) for name in ("x", "y")]
    stopped: list[str] = []
    with anyio.fail_after(60):
        while len(stopped) < 1_000:
            leases = await queue.claim(64, lease_s=LEASE_S)
            for lease in leases:
                assert await ended(queue, lease, STOPPED, sent())
            stopped += names(leases)
            assert (await reader.audit()).balanced
            if not leases:
                await anyio.sleep(0.005)
    for process in producers:
        await anyio.to_thread.run_sync(process.communicate)
        assert process.returncode == 0
    assert len(set(stopped)) == 1_000
    assert (await reader.stats()).settled[Outcome.STOPPED] == 1_000
    await reader.close()
    await queue.close()


async def test_what_add_returned_for_survives_a_kill(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    process = start(ADD_UNTIL_KILLED, path)
    assert process.stdout is not None
    for _ in range(50):
        line = await anyio.to_thread.run_sync(process.stdout.readline)
    process.kill()
    rest, _ = await anyio.to_thread.run_sync(process.communicate)
    promised = int((rest.split() or [line])[-1]) + 1 if not rest or rest.endswith("\n") else int(line) + 1
    queue, _ = await open_ledger(path, create=False, read_only=False, worker=False)
    stats = await queue.stats()
    assert promised <= stats.accepted <= promised + 1
    assert (await queue.audit()).balanced
    assert (await queue.add(ids(*(f"s{number}" for number in range(promised))))).accepted == 0
    await queue.close()

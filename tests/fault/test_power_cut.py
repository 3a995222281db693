"""Power cuts under the ledger: whatever was said to be done is there, whichever unsynced writes the disk forgets.

The reaper runs under strace; its system calls are replayed to a simulated disk that is cut at random moments. What was
said by then, to the producer, to the API or in the log, must be in the ledger that is left.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reaper.core.errors import QueueError
from reaper.core.model import Outcome, SessionId
from reaper.queues.sqlite.open import open_ledger
from reaper.sandbox.sessions import Session
from tests.support.fault.disk import Disk
from tests.support.fault.planting import UNSYNCED, plant
from tests.support.fault.profile import Profile
from tests.support.fault.syscalls import OPTIONS, Call, calls
from tests.support.fault.tracing import strace, traced
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command, aim, write_ids
from tests.support.sandbox import running_sandbox

DELETE = re.compile(rb"DELETE /api/sessions/([^ /]+) HTTP")
KEPT = ("reaper.db", "reaper.db-wal", "reaper.db-journal")
"""The files that matter; the index of the log is made anew after a restart of the machine."""


@dataclass(slots=True)
class Said:
    """What others know so far."""

    accepted: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    settled: dict[str, str] = field(default_factory=dict)

    def hear(self, call: Call, ids: Sequence[str]) -> None:
        """`ids`: what the command that runs takes in, said to be accepted by its answer."""
        self.sent.update(found.decode() for found in DELETE.findall(call.data))
        if call.path.endswith(".out") and b'"accepted"' in call.data:
            self.accepted.update(ids)
        if call.path.endswith(".err"):
            for line in call.data.splitlines():
                event = json.loads(line) if line.startswith(b"{") and line.endswith(b"}") else {}
                if event.get("event") == "session.settled":
                    self.settled[event["session_id"]] = event["outcome"]


def replay(some: Iterable[Call], disk: Disk, ledger: Path) -> Iterator[Call]:
    """Carry out calls on the disk; yield each afterwards."""
    for call in some:
        name = Path(call.path).name
        if call.path == str(ledger.parent) and call.name in ("fsync", "fdatasync"):
            disk.sync_directory()
        elif name in KEPT and Path(call.path).parent == ledger.parent:
            match call.name:
                case "openat" if call.creates:
                    disk.create(name)
                case "pwrite64":
                    disk.write(name, call.numbers[-1], call.data)
                case "ftruncate":
                    disk.write(name, call.numbers[-1], None)
                case "fsync" | "fdatasync":
                    disk.sync(name)
                case "unlink":
                    disk.remove(name)
                case "openat":
                    pass
                case _:
                    raise AssertionError(f"the disk knows no {call.name}")
        yield call


def damage(files: dict[str, bytes], said: Said, folder: Path) -> list[str]:
    """Open the ledger that is left, as the next run would; return what is wrong with it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        return asyncio.run(_missing(folder / "reaper.db", said))
    except QueueError as error:
        return [str(error)]


async def _missing(path: Path, said: Said) -> list[str]:
    queue, _ = await open_ledger(str(path), create=True, read_only=False, worker=True)
    try:
        faults = []
        if not (await queue.audit()).balanced:
            faults.append("the books do not balance")
        for one in sorted(said.accepted | said.sent):
            item = await queue.show(SessionId(one))
            if item is None:
                faults.append(f"{one} was accepted and is gone")
            elif one in said.sent and not item.sends:
                faults.append(f"{one} was sent and not claimed")
            elif one in said.settled and item.outcome != Outcome(said.settled[one]):
                faults.append(f"{one} was reported as {said.settled[one]} and is {item.outcome}")
        return faults
    finally:
        await queue.close()


def record(command: Command, warm: Warm) -> list[tuple[list[Call], list[str]]]:
    """Run a few commands on a new ledger; return for each its system calls and the IDs that it takes in."""
    recorded = []
    ids = [f"ses-{number:03d}" for number in range(60)]
    with running_sandbox(map(Session, ids[:-5]), latency="1-6ms", fail="502:0.1,lost:0.05") as sandbox:
        aim(command, sandbox, worker__concurrency=4, retry__base_s=0.005)
        for number, verb in enumerate(["add", "once", "add", "once", "once"]):
            mine = ids[number * 12 : number * 12 + 12]
            path = str(write_ids(command.home / "ids.txt", mine))
            words = ["add", "--from", path, "--json"] if verb == "add" else ["once", path, "-v", "--json"]
            done = traced(warm, command, *words, options=OPTIONS)
            assert done.code == 0, done.err
            recorded.append((list(calls(done.trace)), mine))
    return recorded


def cuts(
    recorded: Sequence[tuple[list[Call], list[str]]], command: Command, number: int, chance: random.Random
) -> Iterator[list[str]]:
    """Cut the power so often, at random calls; yield what is missing after each."""
    total = sum(len(some) for some, _ in recorded)
    at = sorted(chance.randrange(total) for _ in range(number))
    disk, said, seen = Disk(), Said(), 0
    for some, ids in recorded:
        for call in replay(some, disk, command.ledger):
            said.hear(call, ids)
            while at and at[0] <= seen:
                at.pop(0)
                yield damage(disk.after_cut(chance), said, command.home / "left")
            seen += 1
    assert len(said.accepted) == len(said.sent) == len(said.settled) == 60


@pytest.mark.timeout(3600)
def test_power_cuts(command: Command, warm: Warm, profile: Profile, chance: random.Random) -> None:
    recorded = record(command, warm)
    for faults in cuts(recorded, command, profile.cuts, chance):
        assert not faults, faults
    print(f"\n{profile.cuts} power cuts, seed {profile.seed}: nothing that was said to be done is lost")


def test_a_ledger_that_does_not_sync_is_noticed(command: Command, chance: random.Random) -> None:
    strace()
    warm = Warm(plant(command.home / "planted", UNSYNCED))
    try:
        found = [faults for faults in cuts(record(command, warm), command, 40, chance) if faults]
    finally:
        warm.close()
    assert len(found) > 5
    assert any("gone" in fault for faults in found for fault in faults)

"""SIGKILL at random moments, thousands of times, on one ledger that grows."""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from reaper.sandbox.sessions import Session, generate
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import peak, settle_up
from tests.support.fault.profile import Profile
from tests.support.fault.warm import Warm
from tests.support.processes.command import Command, aim, write_ids
from tests.support.sandbox import RunningSandbox, running_sandbox, start_sessions

BOUND = 8
PORTION = 12
"""IDs that come in per round."""
LOOK_EVERY = 200
"""Kills after which all is let end and held against the server."""


@dataclass(slots=True)
class Killing:
    """One ledger, and what the producer knows of it."""

    command: Command
    warm: Warm
    sandbox: RunningSandbox
    chance: random.Random
    seed: int
    accepted: set[str] = field(default_factory=set)
    offered: set[str] = field(default_factory=set)
    kills: int = 0
    faster: int = 0
    usual_s: dict[str, float] = field(default_factory=lambda: {"add": 0.1, "once": 0.25, "run": 0.3})

    some: Iterator[Session] = field(init=False)

    def __post_init__(self) -> None:
        self.some = generate(10_000_000, self.seed)

    def measure(self) -> None:
        """Let each end by itself once, and keep how long it took."""
        for verb in ("add", "once"):
            begun = time.monotonic()
            ids = self._new_ids()
            done = self.warm.run(self.command, verb, "-q", *(["--from"] if verb == "add" else []), self._write(ids))
            assert done.returncode == 0, done.stderr
            self.accepted.update(ids)
            self.usual_s[verb] = time.monotonic() - begun

    def round(self) -> None:
        """Bring IDs in and kill what works on them: at its start, at work, at its end, or too late."""
        verb = self.chance.choice(["add", "once", "once", "run"])
        ids = self._new_ids()
        path = self._write(ids)
        if verb == "run":
            done = self.warm.run(self.command, "add", "-q", "--from", path)
            assert done.returncode == 0, done.stderr
            self.accepted.update(ids)
        words = {"add": ["add", "-q", "--from", path], "once": ["once", "-q", path], "run": ["run", "-q"]}
        begun = time.monotonic()
        running = self.warm.start(self.command, *words[verb])
        time.sleep(self.chance.uniform(0.0, 1.2 * self.usual_s[verb]))
        running.send_signal(signal.SIGKILL)
        code = self.warm.wait(running)
        if code == -signal.SIGKILL:
            self.kills += 1
        else:
            assert code in (0, 75), running.err.read_text()
            self.faster += 1
            self.accepted.update(ids)
            self.usual_s[verb] += 0.2 * (time.monotonic() - begun - self.usual_s[verb])
        running.out.unlink(missing_ok=True)
        running.err.unlink(missing_ok=True)

    def check(self) -> None:
        """Let all end; the ledger and the server must agree."""
        done = self.warm.run(self.command, "once", "-q", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        settle_up(
            self.command,
            self.sandbox.deletes,
            self.accepted,
            Bounds(in_flight=BOUND, repeats=self.kills * BOUND, sends_per_id=4),
            run=partial(self.warm.run, self.command),
            offered=self.offered,
            peak_in_flight=peak(self.sandbox),
        )

    def _write(self, ids: list[str]) -> str:
        return str(write_ids(self.command.home / "ids.txt", ids))

    def _new_ids(self) -> list[str]:
        new = list(itertools.islice(self.some, PORTION))
        start_sessions(self.sandbox, new)
        ids = [session.session_id for session in new]
        self.offered.update(ids)
        return ids


@pytest.mark.timeout(3600)
def test_killed_at_random_moments(command: Command, warm: Warm, profile: Profile, chance: random.Random) -> None:
    with running_sandbox([], latency="2-15ms", fail="502:0.05,reset:0.02,lost:0.02,garbage:0.01") as sandbox:
        aim(command, sandbox, worker__concurrency=BOUND, retry__base_s=0.01, api__timeout_s=5, telemetry__listen="")
        killing = Killing(command, warm, sandbox, chance, profile.seed)
        begun = time.monotonic()
        while killing.kills < profile.kills:
            if killing.kills % LOOK_EVERY == 0:
                killing.measure()
            killing.round()
            if killing.kills % LOOK_EVERY == 0 or killing.kills == profile.kills:
                killing.check()
        rate = killing.kills / (time.monotonic() - begun)
    assert len(killing.accepted) > len(killing.offered) / 10
    print(
        f"\n{killing.kills} SIGKILLs at random moments ({rate:.0f} a second), {killing.faster} ends before one, "
        f"{len(killing.offered)} IDs, seed {profile.seed}: 0 lost, 0 doubled"
    )

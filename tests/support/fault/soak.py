"""A long run with faults on: `make soak HOURS=8`. Prints figures every minute, and a verdict.

A daemon follows a file that grows; the stand-in fails for one send in seven, goes down, throttles and changes the token
now and then; the daemon is killed, ended and started again. At the end all must be settled and all must agree.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reaper.sandbox.sessions import Session, generate
from tests.support.eventually import eventually
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import from_file, gauge, settle_up
from tests.support.processes.command import TOKEN, Command, aim, kill
from tests.support.sandbox import RunningSandbox, running_sandbox, start_sessions

FAIL = "502:0.05,500:0.02,reset:0.02,lost:0.01,garbage:0.01,429:1:0.0005,hang:0.0005,slow:0.3:0.02,403:0.005"
BOUND, PER_S = 32, 60
FIGURES = "{:>8} {:>9} {:>9} {:>8} {:>7} {:>9} {:>5} {:>9}"


@dataclass(slots=True)
class Soak:
    """One soak: the daemon, what it was given, and what was done to it."""

    command: Command
    sandbox: RunningSandbox
    log: Path
    chance: random.Random
    seed: int
    given: list[str] = field(default_factory=list)
    kills: int = 0
    ends: int = 0
    deletes: int = 0
    tokens: list[str] = field(default_factory=lambda: [TOKEN])
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """(resident bytes, descriptors), each minute."""
    process: subprocess.Popen[str] = field(init=False)

    def start(self) -> None:
        with (self.command.home / "daemon.log").open("a") as log:
            self.process = self.command.start("run", stderr=log)

    def feed(self, some: Iterable[Session]) -> None:
        """Let new sessions begin, and write their IDs where the daemon looks."""
        new = list(some)
        start_sessions(self.sandbox, new)
        ids = [session.session_id for session in new]
        with (self.command.home / "follow.txt").open("a") as file:
            file.write("".join(f"{one}\n" for one in ids))
        self.given += ids

    def disturb(self) -> None:
        """Do something that happens once in a while, or nothing."""
        lot = self.chance.random()
        if lot < 0.004:
            kill(self.process)
            self.kills += 1
            self.start()
        elif lot < 0.006:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(timeout=60) == 0
            self.process.communicate()
            self.ends += 1
            self.start()
        elif lot < 0.008:
            self.sandbox.down()
            time.sleep(self.chance.uniform(0.5, 5.0))
            self.sandbox.up()
        elif lot < 0.010:
            self.tokens.append(f"archal_ws_{len(self.tokens)}")
            self.sandbox.do(lambda s: setattr(s, "token", self.tokens[-1]))
            time.sleep(self.chance.uniform(0.0, 2.0))
            (self.command.home / "token").write_text(self.tokens[-1])

    def report(self, begun: float, deletes_before: int) -> int:
        """Print a line of figures; return the DELETEs so far."""
        status = json.loads(self.command.run("status", "--json").stdout)
        size = gauge(self.process.pid)
        self.sizes.append((size.rss_bytes, size.fds))
        deletes = self.sandbox.counters.deletes
        left = status["ready"] + status["delayed"] + status["in_flight"]
        figures = (int(time.monotonic() - begun), len(self.given), deletes, (deletes - deletes_before) / 60)
        done = (*figures[:3], f"{figures[3]:.0f}/s", left, f"{size.rss_bytes >> 20} MiB", size.fds, status["imbalance"])
        print(FIGURES.format(*done), flush=True)
        return deletes

    def end(self) -> None:
        """Let all be settled, end the daemon, and hold everything against everything."""
        self.sandbox.do(lambda s: setattr(s, "rates", ()))
        self.given = list(dict.fromkeys(self.given))
        eventually(lambda: sum(self.status()[name] for name in ("ready", "delayed", "in_flight")) == 0, 300)
        eventually(lambda: sum(self.status()["settled"].values()) >= len(self.given), 60)
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0
        self.process.communicate()
        self.deletes = self.sandbox.counters.deletes
        settle_up(
            self.command,
            from_file(self.log),
            self.given,
            Bounds(in_flight=BOUND, repeats=self.kills * BOUND, sends_per_id=1.5),
            logs=[self.command.home / "daemon.log"],
            secrets=self.tokens,
            peak_in_flight=self.sandbox.counters.peak_in_flight,
        )

    def status(self) -> Any:
        return json.loads(self.command.run("status", "--json").stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("FAULT_SEED", "1")))
    args = parser.parse_args()
    chance, some = random.Random(args.seed), generate(1_000_000_000, args.seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as home:
        command, log = Command(Path(home)), Path(home) / "deletes.jsonl"
        (command.home / "follow.txt").touch()
        (command.home / "token").write_text(TOKEN)
        with running_sandbox([], latency="20-80ms", fail=FAIL, log_path=log, remember=False) as sandbox:
            aim(command, sandbox, worker__concurrency=BOUND, retry__base_s=0.2, telemetry__listen="")
            command.env |= {
                "REAPER_API__TOKEN_FILE": str(command.home / "token"),
                "REAPER_API__TIMEOUT_S": "5",
                "REAPER_INTAKE__FILES": str(command.home / "follow.txt"),
                "REAPER_INTAKE__POLL_S": "0.2",
            }
            soak = Soak(command, sandbox, log, chance, args.seed)
            soak.start()
            begun = reported = time.monotonic()
            deletes = 0
            print(FIGURES.format("seconds", "given", "DELETEs", "rate", "open", "memory", "fds", "imbalance"))
            while time.monotonic() - begun < args.hours * 3600:
                soak.feed(itertools.islice(some, PER_S // 4))
                soak.disturb()
                if time.monotonic() - reported >= 60:
                    reported = time.monotonic()
                    deletes = soak.report(begun, deletes)
                time.sleep(0.25)
            soak.end()
        print(
            f"seed {args.seed}: {len(soak.given)} IDs, {soak.deletes} DELETEs, "
            f"{soak.kills} SIGKILLs, {soak.ends} SIGTERMs, {len(soak.tokens) - 1} rotations: 0 lost, 0 doubled"
        )
        last = soak.sizes[-1] if soak.sizes else (0, 0)
        print(f"memory at most {max(rss for rss, _ in soak.sizes or [last]) >> 20} MiB, at the end {last[0] >> 20} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
